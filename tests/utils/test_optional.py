import re
import sys

import pytest

from skgca._utils.optional import import_optional


def test_what_is_installed_is_imported():
    assert import_optional("xml.dom", needed_for="a test") is sys.modules["xml.dom"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({}, "plot needs notthere; install it by: pip install notthere"),
        ({"extra": "plot"}, 'plot needs notthere; install it by: pip install "skgca[plot]"'),
        ({"package": "not-there"}, "plot needs not-there; install it by: pip install not-there"),
        ({"instead": "use x"}, "plot needs notthere; install it by: pip install notthere, or use x"),
    ],
)
def test_what_is_not_installed_is_named_with_how_to_get_it(options, message):
    with pytest.raises(ImportError, match=f"^{re.escape(message)}$") as found:
        import_optional("notthere.part", needed_for="plot", **options)
    assert isinstance(found.value.__cause__, ModuleNotFoundError)
