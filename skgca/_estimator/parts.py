"""Parameters that are estimators themselves: set while they are None, and fitted unless they are."""

from __future__ import annotations

from abc import abstractmethod
from typing import Any, ClassVar

from sklearn.base import BaseEstimator, clone
from sklearn.frozen import FrozenEstimator
from sklearn.utils.validation import check_is_fitted

from .._utils.compat import DocumentationLinkMixin
from .embedder import GCAEmbedder

__all__ = ["WithParts", "fitted_embedder"]


class WithParts(DocumentationLinkMixin, BaseEstimator):
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


def fitted_embedder(given: Any, X: Any, y: Any, *, seed: int | None, verbose: int, **metadata: Any) -> GCAEmbedder:
    """Return a given embedder if it is fitted, else a copy of it that is fitted to the rows.

    Parameters
    ----------
    given : GCAEmbedder or FrozenEstimator
    X, y, **metadata
        Passed to its ``fit``.
    seed : int or None
        Its ``random_state``, if that is None.
    verbose : int
        Its ``verbose``, if that is 0.

    Raises
    ------
    TypeError
        If it is no embedder.
    NotFittedError
        If it is frozen, and not fitted.
    """
    embedder = given
    if isinstance(embedder, FrozenEstimator):
        embedder = embedder.estimator
        check_is_fitted(embedder)
    if not isinstance(embedder, GCAEmbedder):
        raise TypeError(f"embedder holds a {type(embedder).__name__}; give a GCAEmbedder.")
    if hasattr(embedder, "net_"):
        return embedder
    embedder = clone(embedder)
    if embedder.random_state is None and seed is not None:
        embedder.set_params(random_state=seed)
    if verbose and not embedder.verbose:
        embedder.set_params(verbose=verbose)
    fitted: GCAEmbedder = embedder.fit(X, y, **metadata)
    return fitted
