"""Configurations: an object that reports the arguments of its constructor can be saved and made again."""

from __future__ import annotations

from typing import Any

__all__ = ["Configured", "make_configured"]


class Configured:
    """Mixin of encoders and views that can be saved.

    A class of your own need not inherit from it. It can be saved if it has ``get_config``, and either ``from_config``
    or a constructor that takes the configuration by keyword.
    """

    def get_config(self) -> dict[str, Any]:
        """Return the arguments of the constructor by name: JSON values, or objects with a configuration of their own.

        Learned values such as weights are not part of it. They are loaded into the new object afterwards.
        """
        return {}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Any:
        """Make an object from the result of :meth:`get_config`."""
        return cls(**config)


def make_configured(cls: type, config: dict[str, Any]) -> Any:
    """Make an object of a class from a configuration, with ``from_config`` if the class has it."""
    return cls.from_config(config) if hasattr(cls, "from_config") else cls(**config)
