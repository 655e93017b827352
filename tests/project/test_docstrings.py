"""What docstrings say of parameters is what signatures have: names and defaults of all that is public."""

import importlib
import inspect
import re

from .test_structure import PUBLIC_ROOMS

SECTION = r"Parameters\n-{5,}\n(.*?)(?=\n\n[A-Z][A-Za-z ]+\n-{3,}\n|\Z)"
ENTRY = r"^(\*{0,2}\w+(?:, \*{0,2}\w+)*)(?: : (.*))?$"


def public_callables():
    """Functions and classes of public modules, and public methods of those classes, by a name that tests can show."""
    for room in PUBLIC_ROOMS:
        module = importlib.import_module(f"skgca.{room}".rstrip("."))
        for name in module.__all__:
            public = getattr(module, name)
            if not callable(public):
                continue
            yield f"{room}:{name}", public
            if inspect.isclass(public):
                for method, value in vars(public).items():
                    function = getattr(value, "__func__", value)
                    if inspect.isfunction(function) and not method.startswith("_"):
                        yield f"{room}:{name}.{method}", function


def documented(public):
    """Type and default of each documented parameter, "" for "X, y" with a sentence below; None without a section."""
    section = re.search(SECTION, inspect.cleandoc(public.__doc__ or ""), re.DOTALL)
    if section is None:
        return None
    found = {}
    for line in section[1].splitlines():
        entry = re.match(ENTRY, line)
        if entry:
            names, text = entry[1].split(", "), entry[2] or ""
            shown = re.search(r"default=(.+)$", text)
            own = shown[1].split(", ") if shown else []
            for k, name in enumerate(names):
                # "q, lam : float, default=0.6, 0.01" has a default for each
                default = own[k] if len(own) == len(names) > 1 else ", ".join(own) if shown else None
                found[name.lstrip("*")] = text, default
    return found


CASES = {name: public for name, public in public_callables() if documented(public) is not None}


def is_shown(shown, default):
    if shown in (repr(default), getattr(default, "__name__", None)):
        return True
    try:
        return eval(shown) == default
    except NameError:
        return False


def test_documented_parameters_and_defaults_are_the_actual_ones():
    for name, public in CASES.items():
        told = documented(public)
        actual = {
            parameter.name: parameter.default
            for parameter in inspect.signature(public).parameters.values()
            if parameter.name not in ("self", "cls") and parameter.kind is not parameter.VAR_KEYWORD
        }
        assert set(actual) <= set(told), f"{name}: some are not documented"
        for parameter, default in actual.items():
            text, shown = told[parameter]
            if shown is not None:
                assert default is not inspect.Parameter.empty, f"{name}: {parameter} has no default"
                assert is_shown(shown, default), f"{name}: {parameter}={default!r}"
            elif default is not inspect.Parameter.empty:
                assert not text or text.lower().startswith("as "), f"{name}: {parameter}={default!r} is not told"


def test_there_are_many():
    assert len(CASES) > 80
