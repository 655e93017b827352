"""What docstrings say: names, order and defaults of parameters as in signatures, their groups, and when to use what."""

import importlib
import inspect
import re

from .test_structure import PUBLIC_ROOMS

SECTION = r"Parameters\n-{5,}\n(.*?)(?=\n\n[A-Z][A-Za-z ]+\n-{3,}\n|\Z)"
# Groups of parameters, of which docs/parameter_groups.py makes headings.
GROUPS = r"\n\nThe parameters below are listed in groups:\n\n((?:- .*\n|  .*\n)+)\n"
MOST_WITHOUT_GROUPS = 12
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
        assert [parameter for parameter in told if parameter in actual] == list(actual), (
            f"{name}: order, or some missing"
        )
        for parameter, default in actual.items():
            text, shown = told[parameter]
            if shown is not None:
                assert default is not inspect.Parameter.empty, f"{name}: {parameter} has no default"
                assert is_shown(shown, default), f"{name}: {parameter}={default!r}"
            elif default is not inspect.Parameter.empty:
                assert not text or text.lower().startswith("as "), f"{name}: {parameter}={default!r} is not told"


def test_there_are_many():
    assert len(CASES) > 80


def grouped(public):
    """Lists of the parameters of each group, by the title of the group; empty without groups."""
    found = re.search(GROUPS, inspect.getdoc(public))
    if found is None:
        return {}
    entries = re.findall(r"^- ([a-z ]+): (.*?)(?=^- |\Z)", found[1], re.MULTILINE | re.DOTALL)
    return {title: re.findall(r"``(\w+)``", names) for title, names in entries}


def test_groups_are_found():
    assert grouped(CASES[":GCAEmbedder"])["checkpoints"] == [
        "checkpoint_dir",
        "checkpoint_epochs",
        "checkpoint_minutes",
        "resume",
    ]


def test_groups_name_each_parameter_once_and_in_the_order_of_the_signature():
    for name, public in CASES.items():
        groups, parameters = grouped(public), list(inspect.signature(public).parameters)
        if groups:
            assert all(groups.values()), name
            assert [parameter for group in groups.values() for parameter in group] == parameters, name
        elif inspect.isclass(public):
            assert len(parameters) <= MOST_WITHOUT_GROUPS, f"{name}: list the groups of its parameters"


def advice():
    """The second paragraph of the docstring of each public class and function, by name, and whether it is an error."""
    for name, public in public_callables():
        if "." in name:
            continue  # a method
        paragraphs = inspect.getdoc(public).split("\n\n")
        raised = inspect.isclass(public) and issubclass(public, Exception)
        yield name, " ".join(paragraphs[1].split()) if len(paragraphs) > 1 else "", raised


def test_docstrings_say_after_the_summary_when_to_use_what():
    told = {}
    for name, text, raised in advice():
        if raised:
            assert re.match(r"(Raised|Issued) when .{20,}\.", text), f"{name}: say when it is raised, below the summary"
        else:
            assert re.match(r"Use it .{20,}\.", text), f"{name}: say when to use it, below the summary"
            assert len(re.split(r"[.:;] ", text)) > 1 or "instead" in text, f"{name}: name the alternative"
        told.setdefault(text, []).append(name)
    assert len(told) > 90
    assert all(len(names) == 1 for names in told.values()), "a sentence that fits two says little"
