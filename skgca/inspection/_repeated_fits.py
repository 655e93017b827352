"""Fit copies of a transformer with several seeds and on several parts of the rows, for the stability report."""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.base import clone
from sklearn.model_selection import check_cv
from sklearn.utils import check_array

from .._estimator.pipelines import all_embedders
from .._utils.compat import safe_indexing
from ..metrics import effective_rank

__all__ = ["check_transformer", "fit_and_embed", "number_of_rows", "training_parts"]


def check_transformer(estimator: Any) -> None:
    """Raise TypeError if an estimator cannot embed rows that it was not fitted on."""
    if isinstance(estimator, type) or not (hasattr(estimator, "fit") and hasattr(estimator, "transform")):
        raise TypeError(
            f"{estimator!r} does not embed rows: it needs fit and transform. For a pipeline that ends in a classifier, "
            "pass pipeline[:-1]; for a class, pass an instance."
        )


def number_of_rows(X: Any) -> int:
    """Return the number of rows of an array, a frame, a sparse matrix, or data that stays on disk."""
    return int(X.shape[0] if hasattr(X, "shape") else len(X))  # a sparse matrix has no len


def training_parts(cv: Any, X: Any, y: Any, n: int, *, is_classes: bool) -> list[np.ndarray | None]:
    """Return the positions of the training rows of each fold; None, without ``cv``, stands for all rows."""
    if cv is None:
        return [None]
    splits = check_cv(cv, y, classifier=is_classes).split(X, y)
    return [np.arange(n)[train] for train, _ in splits]  # a splitter may give masks instead of positions


def fit_and_embed(
    estimator: Any, X: Any, y: Any, train: np.ndarray | None, params: dict[str, Any], seed: int
) -> tuple[np.ndarray, dict[str, Any]]:
    """Fit a copy of an estimator on some rows, and embed all rows.

    Parameters
    ----------
    estimator : transformer
        It is cloned, and each ``random_state`` in it is set to ``seed``.
    X, y
        All rows.
    train : ndarray of shape (n_train,) or None
        Positions of the training rows; None trains on all.
    params : dict
        Further arguments of ``fit``. Those with an entry for each row are split as X is.
    seed : int

    Returns
    -------
    embedding : ndarray of shape (n, n_components), float64
    facts : dict
        Line of the table of fits, without the seed and the fold.
    """
    model = clone(estimator)
    names = [name for name in model.get_params() if name == "random_state" or name.endswith("__random_state")]
    model.set_params(**dict.fromkeys(names, seed))
    n = number_of_rows(X)
    if train is None:  # X itself, which may be of a kind that cannot be indexed
        model.fit(X, y, **params)
    else:
        part = {name: safe_indexing(value, train) if _is_by_row(value, n) else value for name, value in params.items()}
        model.fit(safe_indexing(X, train), None if y is None else safe_indexing(y, train), **part)
    embedding = check_array(model.transform(X), dtype=np.float64, input_name="The embedding")
    facts = {
        "n_rows": n if train is None else len(train),
        "n_columns": embedding.shape[1],
        "effective_rank": effective_rank(embedding),
    }
    return embedding, facts | _training_facts(model)


def _training_facts(model: Any) -> dict[str, Any]:
    """Return how the training of the embedder in a model ended; nothing if the model has none or several."""
    embedders = all_embedders(model)
    if len(embedders) != 1:
        return {}
    embedder = embedders[0].embedder
    last = embedder.history_[-1] if embedder.history_ else {}  # no epoch with max_epochs=0
    facts = {"n_epochs": embedder.n_epochs_, "stop_reason": embedder.stop_reason_}
    return facts | {name: last.get(name, np.nan) for name in ("loss", "alignment", "uniformity")}


def _is_by_row(value: Any, n: int) -> bool:
    return not isinstance(value, str) and hasattr(value, "__len__") and len(value) == n
