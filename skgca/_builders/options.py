"""Parameters of the estimator, grouped by the builder that reads them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from typing_extensions import Self

__all__ = ["Options"]


@dataclass(frozen=True)
class Options:
    """Base of the records that builders take; their fields have the names of the estimator's parameters.

    Fields have no defaults: those stand in the signature of the estimator only.
    """

    @classmethod
    def of(cls, attributes: Mapping[str, Any]) -> Self:
        """Take the fields out of the attributes of an estimator, ``vars(estimator)``.

        ``get_params`` would not do: a subclass may have fewer parameters, and sets the others in ``__init__``.
        """
        return cls(**{field.name: attributes[field.name] for field in fields(cls)})
