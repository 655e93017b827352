"""Parameters that are estimators themselves, and whose own parameters can be set while they are None."""

from __future__ import annotations

from abc import abstractmethod
from typing import Any, ClassVar

from sklearn.base import BaseEstimator

__all__ = ["WithParts"]


class WithParts(BaseEstimator):
    """Base of estimators with such parameters: ``embedder__epsilon`` is also there with ``embedder=None``."""

    _parts: ClassVar[tuple[str, ...]]

    @abstractmethod
    def _default(self, name: str) -> Any:
        """Return what None stands for as one of the parts."""

    def _part(self, name: str) -> Any:
        """Return the estimator that a parameter stands for."""
        given = getattr(self, name)
        return self._default(name) if given is None else given

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        """Return the parameters; with ``deep``, those of the parts too, also of a part that is None."""
        params: dict[str, Any] = super().get_params(deep=deep)
        if deep:
            for part in self._parts:
                if params[part] is None:
                    params |= {f"{part}__{name}": value for name, value in self._default(part).get_params().items()}
        return params

    def set_params(self, **params: Any) -> Any:
        """Set parameters; ``embedder__epsilon`` and the like also set a part that is None."""
        for part in self._parts:
            is_nested = any(name.startswith(f"{part}__") for name in params)
            if is_nested and params.get(part, getattr(self, part)) is None:
                params = {**params, part: self._default(part)}
        return super().set_params(**params)
