"""What lets an object be written to a file: it says how it was made."""

from __future__ import annotations

from typing import Any

__all__ = ["Configured", "make_configured"]


class Configured:
    """Mixin of encoders and views: an object says what it was made with, and is made of that again.

    A class of your own need not inherit from it. It can be saved if it has ``get_config``, and either ``from_config``
    or a constructor that takes the configuration by keyword.
    """

    def get_config(self) -> dict[str, Any]:
        """Return the arguments of the constructor by name: values of JSON, or parts that have a configuration.

        What is learned is not in it, such as weights: it says how to make an object that can take them.
        """
        return {}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Any:
        """Make an object from what :meth:`get_config` returned."""
        return cls(**config)


def make_configured(cls: type, config: dict[str, Any]) -> Any:
    """Make an object of a class from a configuration, by ``from_config`` if the class has that."""
    return cls.from_config(config) if hasattr(cls, "from_config") else cls(**config)
