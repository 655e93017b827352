"""Situations of real data, by name: each is a function without arguments that raises if the data are misread."""

SITUATIONS = {}


def situation(name):
    """Register a function under the name of its situation."""

    def register(function):
        assert name not in SITUATIONS, name
        SITUATIONS[name] = function
        return function

    return register
