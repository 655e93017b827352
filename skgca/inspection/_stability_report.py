"""Whether an embedding is the same for other seeds and other training rows, as a whole and row by row."""

from __future__ import annotations

import html
from itertools import combinations
from numbers import Integral
from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from sklearn.base import clone
from sklearn.model_selection import check_cv
from sklearn.utils import check_array, check_random_state, column_or_1d
from sklearn.utils.parallel import Parallel, delayed

from .._estimator.pipelines import all_embedders
from .._utils.compat import Interval, StrOptions, safe_indexing, validate_params
from .._utils.optional import import_optional
from ..metrics import consistency_score, effective_rank
from ._agreement import neighbor_overlap, place_agreement, votes
from ._groups import groups_of, unknown

__all__ = ["StabilityReport", "stability_report"]

_SHOWN = {  # of the summary, with what it says
    "consistency": "R^2 of the best rotation from one fit to another",
    "neighbor_overlap": "nearest neighbours in common, above chance",
    "neighbor_overlap_seen": "the same, of rows that both fits saw",
    "neighbor_overlap_held_out": "the same, of rows that one of the fits did not see",
    "confidence": "1 less how far a row moves, by its distance from the centre",
    "label_confidence": "share of the winning class among labelled neighbours",
    "label_agreement": "share of fits that give a row its winning class",
}


class StabilityReport:
    """What :func:`stability_report` found.

    Attributes
    ----------
    rows : pandas.DataFrame
        A row for each of X, with its index if it has one, and these columns:

        - "confidence": ``1 - sqrt(1 - position_r2)``, and 0 below that: the root is how far the row moves from fit to
          fit, as a share of its distance from the centre. In [0, 1], and 1 where fits are equal. It needs no labels,
          and says that a row is embedded the same each time, not that it is embedded right; ``docs/guide/stability.md``
          has how often both go together.
        - "neighbor_overlap": share of the nearest neighbours that two fits have in common, less chance, meant over all
          pairs of fits. 1 for equal neighbourhoods, about 0 for unrelated ones.
        - "position_r2": agreement of its place in two fits after the best rotation and scale, meant over pairs: 1 less
          the squared distance between the places over their squared distance from the centre. Below 0 where they are
          farther apart than that.
        - "neighbor_overlap_seen", "neighbor_overlap_held_out", with ``cv``: over pairs of fits that both saw the row,
          and over those of which one or both did not. NaN without such a pair.
        - "label", "label_confidence", "label_agreement", where y holds classes: the class that has most of the votes of
          the nearest labelled rows, the row itself not among them, over all fits; its share of these votes; and the
          share of fits in which it is ahead. As many vote as are neighbours, but no more than a class has labels, on
          average.
    fits : pandas.DataFrame
        A row for each fit: "seed", "fold" (NA without ``cv``), "n_rows" that it saw, "n_columns" of the embedding and
        its "effective_rank"; of a :class:`skgca.GCAEmbedder`, or a pipeline with exactly one, also "n_epochs",
        "stop_reason", and the last "loss", "alignment" and "uniformity" of its history.
    pairs : pandas.DataFrame
        A row for each two fits, "fit_1" and "fit_2": their "consistency"
        (:func:`skgca.metrics.consistency_score`), and mean "neighbor_overlap".
    summary : pandas.DataFrame
        "mean" and "std" (over pairs of fits for "consistency", else over rows) of the measures, and "lowest": the 5%
        quantile.
    n_neighbors : int
        Size of the neighbourhoods.

    Examples
    --------
    Principal components are the same with any seed:

    >>> from sklearn.datasets import load_iris
    >>> from sklearn.decomposition import PCA
    >>> from skgca.inspection import stability_report
    >>> report = stability_report(PCA(2), load_iris().data, n_seeds=2, random_state=0)
    >>> report.summary["mean"].round(3)
    consistency         1.0
    neighbor_overlap    1.0
    confidence          1.0
    Name: mean, dtype: float64
    """

    def __init__(self, rows: Any, fits: Any, pairs: Any, *, n_neighbors: int) -> None:
        self.rows = rows
        self.fits = fits
        self.pairs = pairs
        self.n_neighbors = n_neighbors
        measured = {name: pairs[name] if name == "consistency" else rows.get(name) for name in _SHOWN}
        self.summary = (
            import_optional("pandas", needed_for="stability_report")
            .DataFrame(
                {
                    name: {"mean": values.mean(), "std": values.std(ddof=0), "lowest": values.quantile(0.05)}
                    for name, values in measured.items()
                    if values is not None
                }
            )
            .T
        )

    def __repr__(self) -> str:
        width = max(map(len, self.summary.index))
        lines = [
            f"{name:<{width}}  {line['mean']:6.3f} ± {line['std']:.3f}  {_SHOWN[name]}"
            for name, line in self.summary.iterrows()
        ]
        return "\n".join([f"StabilityReport: {self._about()}", *lines])

    def _repr_html_(self) -> str:
        cells = "".join(
            f"<tr><td>{name}</td><td>{line['mean']:.3f}</td><td>{line['std']:.3f}</td><td>{line['lowest']:.3f}</td>"
            f"<td>{html.escape(_SHOWN[name])}</td></tr>"
            for name, line in self.summary.iterrows()
        )
        head = "<tr><th></th><th>mean</th><th>std</th><th>lowest 5%</th><th></th></tr>"
        least = self.rows.sort_values("confidence", kind="stable").head(5)
        return (
            f"<p><b>StabilityReport</b>: {html.escape(self._about())}</p><table>{head}{cells}</table>"
            f"<p>Rows of least confidence:</p>{least.to_html(escape=True, float_format='{:.3f}'.format)}"
        )

    def _about(self) -> str:
        n_seeds, folds = self.fits["seed"].nunique(), self.fits["fold"].nunique()
        of = f"{n_seeds} seeds" if n_seeds != 1 else "1 seed"
        of += f" on each of {folds} folds" if folds else ""
        return f"{len(self.fits)} fits ({of}), {len(self.rows)} rows, {self.n_neighbors} neighbours"


@validate_params(
    {
        "estimator": "no_validation",
        "X": "no_validation",
        "y": "no_validation",
        "n_seeds": [Interval(Integral, 1, None, closed="left")],
        "cv": ["cv_object", None],
        "n_neighbors": [Interval(Integral, 1, None, closed="left")],
        "metric": [StrOptions({"cosine", "euclidean"})],
        "params": [dict, None],
        "n_jobs": [Integral, None],
        "random_state": ["random_state"],
    },
    prefer_skip_nested_validation=False,
)
def stability_report(
    estimator: Any,
    X: ArrayLike,
    y: ArrayLike | None = None,
    *,
    n_seeds: int = 5,
    cv: Any = None,
    n_neighbors: int = 15,
    metric: str = "euclidean",
    params: dict[str, Any] | None = None,
    n_jobs: int | None = None,
    random_state: int | np.random.RandomState | None = None,
) -> StabilityReport:
    """Fit a transformer again and again, and tell how far its embeddings agree.

    Each fit embeds all rows. An embedding that hangs on the seed, or on which rows it was trained, is not to be
    interpreted row by row, however well a probe reads it. Needs pandas.

    Parameters
    ----------
    estimator : transformer
        A :class:`skgca.GCAEmbedder`, a pipeline that ends in one, or any other transformer. It is cloned, so whether it
        is fitted does not matter. All its ``random_state``, those of steps too, are set.
    X : as in ``fit``
        Rows.
    y : array-like of shape (n_samples,), default=None
        Handed to ``fit``, and to ``cv``, where rows without a label are a class of their own. Where it holds classes,
        the report has what the nearest labelled rows say of each row; -1 of whole numbers, None and NaN are no label.
        An estimator that learns from y has seen the labels of its rows: then look at rows that it did not see.
    n_seeds : int, default=5
        How many seeds to fit with, at least 2 without ``cv``.
    cv : int, cross-validation generator or iterable, default=None
        Splits of the rows; each seed is fitted on the training part of each, ``n_seeds`` times as many fits as folds.
        None fits on all rows. An int does not shuffle, so give a splitter where rows are sorted.
    n_neighbors : int, default=15
        Size of the neighbourhoods, from 1 to ``n_samples - 2``; the row itself is not counted.
    metric : {"cosine", "euclidean"}, default="euclidean"
        What near means in an embedding.
    params : dict, default=None
        What else to hand to ``fit``, such as ``sample_group``; what has an entry a row is split with the rows.
    n_jobs : int, default=None
        Fits at a time, by joblib. The report does not depend on it.
    random_state : int, RandomState instance or None, default=None
        Source of the seeds. An int gives the same report each time.

    Returns
    -------
    StabilityReport
        With data frames ``rows``, ``fits``, ``pairs`` and ``summary``.

    Raises
    ------
    ImportError
        If pandas is not installed.
    TypeError
        If the estimator has no ``transform`` for rows that it was not fitted on.
    ValueError
        If there is nothing to compare, there are too few rows for ``n_neighbors``, or a value is out of range.

    See Also
    --------
    skgca.metrics.consistency_score : Agreement of two embeddings, as one number.

    Notes
    -----
    What a :class:`skgca.GCAEmbedder` passes through is equal in all fits, and counts. ``passthrough=False`` leaves it
    out.

    Time beside the fits grows with the square of ``n_samples`` times the number of fits. Memory is that of the
    embeddings, and distances in chunks as in :func:`skgca.metrics.uniformity_score`.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from skgca import GCAEmbedder
    >>> from skgca.inspection import stability_report
    >>> X, y = load_iris(return_X_y=True)
    >>> report = stability_report(GCAEmbedder(max_epochs=5), X, y, n_seeds=3, random_state=0)
    >>> len(report.rows), len(report.fits), len(report.pairs)
    (150, 3, 3)
    >>> bool(report.rows["neighbor_overlap"].mean() > 0.5)
    True
    """
    pd = import_optional("pandas", needed_for="stability_report")
    _check_estimator(estimator)
    X = np.asarray(X) if isinstance(X, list) else X
    n = _n_rows(X)
    if n_neighbors > n - 2:
        raise ValueError(f"n_neighbors={n_neighbors} of {n} rows leaves nobody out; give 1 to {n - 2}.")
    codes, classes = _labels(y, n)
    seeds = check_random_state(random_state).randint(2**31 - 1, size=n_seeds).tolist()
    folds = _folds(cv, X, y if codes is None else codes, n, is_classes=codes is not None)
    planned = [(seed, fold) for fold in range(len(folds)) for seed in seeds]
    if len(planned) < 2:
        raise ValueError(
            f"n_seeds={n_seeds}, cv={cv!r} is one fit, with nothing to compare it to; give n_seeds=2 or more."
        )
    made = Parallel(n_jobs=n_jobs)(
        delayed(_embedded)(estimator, X, y, folds[fold], params or {}, seed) for seed, fold in planned
    )
    embeddings = [embedding for embedding, _ in made]
    seen = np.ones((len(made), n), dtype=bool)
    for of_fit, (_, fold) in zip(seen, planned, strict=True):
        of_fit[:] = True if folds[fold] is None else np.isin(np.arange(n), folds[fold])
    rows, pairs = _compared(embeddings, seen, n_neighbors, metric)
    if cv is None:
        rows = {name: values for name, values in rows.items() if not name.endswith(("_seen", "_held_out"))}
    if classes is not None:
        rows |= _voted(embeddings, codes, classes, n_neighbors, metric)
    fits = [
        {"seed": seed, "fold": pd.NA if cv is None else fold, **about}
        for (seed, fold), (_, about) in zip(planned, made, strict=True)
    ]
    index = X.index if isinstance(X, pd.DataFrame) else None
    fits = pd.DataFrame(fits).astype({"fold": "Int64"})
    return StabilityReport(pd.DataFrame(rows, index=index), fits, pd.DataFrame(pairs), n_neighbors=n_neighbors)


# Fits


def _check_estimator(estimator: Any) -> None:
    if isinstance(estimator, type) or not (hasattr(estimator, "fit") and hasattr(estimator, "transform")):
        raise TypeError(
            f"{estimator!r} does not embed rows: it needs fit and transform. Of a pipeline with a classifier at its "
            "end, give pipeline[:-1]; instead of a class, an object of it."
        )


def _n_rows(X: Any) -> int:
    return X.shape[0] if hasattr(X, "shape") else len(X)


def _folds(cv: Any, X: Any, y: Any, n: int, *, is_classes: bool) -> list[np.ndarray | None]:
    """Return the rows to fit on of each fold, None for all of them."""
    if cv is None:
        return [None]
    splits = check_cv(cv, y, classifier=is_classes).split(X, y)
    return [np.arange(n)[train] for train, _ in splits]  # a splitter may give masks


def _embedded(
    estimator: Any, X: Any, y: Any, train: np.ndarray | None, params: dict[str, Any], seed: int
) -> tuple[np.ndarray, dict[str, Any]]:
    """Fit a copy on some rows, and return what it makes of all, and what is to be told of the fit."""
    model = clone(estimator)
    names = [name for name in model.get_params() if name == "random_state" or name.endswith("__random_state")]
    model.set_params(**dict.fromkeys(names, seed))
    n = _n_rows(X)
    if train is None:
        model.fit(X, y, **params)
    else:
        part = {name: safe_indexing(value, train) if _is_by_row(value, n) else value for name, value in params.items()}
        model.fit(safe_indexing(X, train), None if y is None else safe_indexing(y, train), **part)
    embedding = check_array(model.transform(X), dtype=np.float64, input_name="The embedding")
    about = {
        "n_rows": n if train is None else len(train),
        "n_columns": embedding.shape[1],
        "effective_rank": effective_rank(embedding),
    }
    embedders = all_embedders(model)
    if len(embedders) == 1:
        embedder = embedders[0].embedder
        last = embedder.history_[-1] if embedder.history_ else {}
        about |= {"n_epochs": embedder.n_epochs_, "stop_reason": embedder.stop_reason_}
        about |= {name: last.get(name, np.nan) for name in ("loss", "alignment", "uniformity")}
    return embedding, about


def _is_by_row(value: Any, n: int) -> bool:
    return not isinstance(value, str) and hasattr(value, "__len__") and len(value) == n


# Comparisons


def _compared(
    embeddings: list[np.ndarray], seen: np.ndarray, n_neighbors: int, metric: str
) -> tuple[dict[str, np.ndarray], list[dict[str, Any]]]:
    """Return the measures of rows, and those of pairs of fits."""
    n = len(embeddings[0])
    pairs = list(combinations(range(len(embeddings)), 2))
    total, kinds, counts = dict.fromkeys(pairs, 0.0), np.zeros((2, n)), np.zeros((2, n))
    for rows, pair, overlap in neighbor_overlap(embeddings, n_neighbors, metric):
        total[pair] += float(overlap.sum())
        held_out = (~seen[list(pair), rows].all(axis=0)).astype(int)  # 0 where both fits saw the row
        place = np.arange(n)[rows]
        kinds[held_out, place] += overlap
        counts[held_out, place] += 1
    place_r2 = np.mean([place_agreement(embeddings[a], embeddings[b]) for a, b in pairs], axis=0)
    overlap = kinds.sum(axis=0) / len(pairs)
    by_kind = np.divide(kinds, counts, out=np.full_like(kinds, np.nan), where=counts > 0)
    confidence = 1 - np.sqrt(np.clip(1 - place_r2, 0, 1))
    measures = {"confidence": confidence, "neighbor_overlap": overlap, "position_r2": place_r2}
    measures |= {"neighbor_overlap_seen": by_kind[0], "neighbor_overlap_held_out": by_kind[1]}
    told = [
        {
            "fit_1": a,
            "fit_2": b,
            "consistency": consistency_score(embeddings[a], embeddings[b]),
            "neighbor_overlap": total[a, b] / n,
        }
        for a, b in pairs
    ]
    return measures, told


def _labels(y: Any, n: int) -> tuple[np.ndarray | None, np.ndarray | None]:
    """Return the numbers of the classes in y, -1 where there is none, and the classes; None where y holds no classes.

    Raises
    ------
    ValueError
        If y is of another length than X, or holds fewer than two labels.
    """
    if y is None:
        return None, None
    if len(y) != n:
        raise ValueError(f"y has {len(y)} entries, but X has {n} rows; give as many.")
    if np.ndim(y) > 1 and np.shape(y)[1] > 1:
        return None, None
    values = column_or_1d(y)
    known = ~unknown(values)
    if known.sum() < 2:
        raise ValueError(f"y holds {known.sum()} labels of {n} rows; give at least 2, or leave y out.")
    groups = groups_of(values)
    return (None, None) if groups is None else (groups.codes, np.array(groups.names))


def _voted(
    embeddings: list[np.ndarray], codes: np.ndarray, classes: np.ndarray, n_neighbors: int, metric: str
) -> dict[str, np.ndarray]:
    """Return what the nearest labelled rows say of each row, over all fits."""
    known = codes >= 0
    # no more than a class has labels, or those of other classes would outvote it everywhere
    n_voters = min(n_neighbors, max(1, int(known.sum()) // len(classes)), int(known.sum()) - 1)
    shares = np.array([votes(Z, codes, known, n_voters, metric) for Z in embeddings])  # (n_fits, n, n_classes)
    mean = shares.mean(axis=0)
    winner = mean.argmax(axis=1)
    own = np.take_along_axis(shares, winner[None, :, None], axis=2)[..., 0]
    ahead = own >= shares.max(axis=2) - 1e-9
    return {
        "label": classes[winner],
        "label_confidence": np.take_along_axis(mean, winner[:, None], axis=1)[:, 0],
        "label_agreement": ahead.mean(axis=0),
    }
