"""Base of the records that hand parameters of the estimator to the builders."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from typing_extensions import Self

__all__ = ["Options"]


@dataclass(frozen=True)
class Options:
    """Base of the records that builders take. The fields are named like the parameters of the estimator.

    Fields have no defaults. The signature of the estimator is the only place where defaults are defined.
    """

    @classmethod
    def of(cls, attributes: Mapping[str, Any]) -> Self:
        """Take the fields from the attributes of an estimator, ``vars(estimator)``.

        ``get_params`` would not suffice: a subclass may have fewer parameters and set the others in ``__init__``.
        """
        return cls(**{field.name: attributes[field.name] for field in fields(cls)})
