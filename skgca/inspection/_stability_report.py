"""The stability report: whether an embedding would look the same with another seed, or trained on other rows.

:func:`stability_report` fits a transformer several times, lets each fit embed all rows, and compares the embeddings in
pairs. The comparison needs no labels. A user learns whether the embedding as a whole can be reproduced, and which rows
have a place and neighbours that can be relied on.
"""

from __future__ import annotations

from html import escape
from numbers import Integral
from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from sklearn.utils import check_random_state
from sklearn.utils.parallel import Parallel, delayed

from .._utils.compat import Interval, StrOptions, validate_params
from .._utils.html import report, section
from .._utils.optional import import_optional
from ..metrics._checks import check_in_memory
from ._fit_comparison import compare_fits, label_votes
from ._groups import Groups, groups_of, one_column, unknown
from ._repeated_fits import check_transformer, fit_and_embed, number_of_rows, training_parts

__all__ = ["StabilityReport", "stability_report"]

_EXPLAINED = {  # the measures in the summary, each with the text that is printed next to it
    "consistency": "R^2 of the best rotation from one fit to another",
    "neighbor_overlap": "share of nearest neighbours in common, adjusted for chance",
    "neighbor_overlap_seen": "the same, if both fits were trained on the row",
    "neighbor_overlap_held_out": "the same, if one or both fits were not trained on the row",
    "confidence": "1 - distance that a row moves / its distance from the centre",
    "label_confidence": "share of the winning class among the nearest labelled rows",
    "label_agreement": "share of fits in which that class wins",
}


class StabilityReport:
    """How well the embeddings of several fits agree; :func:`stability_report` makes it.

    Use it to find rows whose place or neighbours depend on the seed. If one number is enough, compare two embeddings by
    :func:`skgca.metrics.consistency_score`.

    The report answers whether an embedding would look the same with another random seed, or trained on other rows. For
    that, all pairs of fits are compared. For each row, the measures tell which of its nearest neighbours it keeps, and
    how far it moves once one embedding is rotated and scaled onto the other. For the embedding as a whole,
    "consistency" is the R^2 of that rotation.

    Read ``summary`` first. If "consistency" and "neighbor_overlap" are close to 1, all fits found the same embedding.
    If they are not, ``rows`` tells which rows differ between fits. ``pairs`` and ``fits`` tell whether a single fit
    stands out, for example because it stopped early or collapsed to a low effective rank.

    Attributes
    ----------
    rows : pandas.DataFrame
        One line for each row of X, with the index of X if it has one. Columns:

        - "confidence": ``1 - sqrt(1 - position_r2)``, clipped to [0, 1]. The root is the distance that the row moves
          from fit to fit, as a share of its distance from the centre. So 1 means that the row does not move. High
          confidence means that the row is embedded alike each time, not that it is embedded correctly;
          ``docs/evidence/scores.md`` measures how often both coincide. It needs no labels.
        - "neighbor_overlap": share of the nearest neighbours that two fits have in common, adjusted for chance and
          averaged over pairs of fits. 1 for equal neighbourhoods, about 0 for unrelated ones.
        - "position_r2": 1 less the squared distance between the places of the row in two fits, divided by their squared
          distance from the centre; after the best rotation and scaling, and averaged over pairs of fits. Negative where
          the places are farther apart than from the centre.
        - "neighbor_overlap_seen", "neighbor_overlap_held_out": with ``cv``, the overlap averaged over the pairs in
          which both fits were trained on the row, and over the pairs in which one or both were not. NaN without such a
          pair.
        - "label", "label_confidence", "label_agreement": if y holds classes. "label" is the class with the most votes
          among the nearest labelled rows, over all fits; the row itself has no vote. "label_confidence" is its share of
          the votes. "label_agreement" is the share of fits in which it wins. The number of voters is ``n_neighbors``,
          but at most the mean number of labels in a class.
    fits : pandas.DataFrame
        One line for each fit: "seed", "fold" (NA without ``cv``), "n_rows" that it was trained on, "n_columns" of the
        embedding and its "effective_rank". For a :class:`skgca.GCAEmbedder`, or a pipeline with exactly one, also
        "n_epochs", "stop_reason", and "loss", "alignment" and "uniformity" of the last epoch.
    pairs : pandas.DataFrame
        One line for each pair of fits, "fit_1" and "fit_2": their "consistency"
        (:func:`skgca.metrics.consistency_score`), and "neighbor_overlap" averaged over rows.
    summary : pandas.DataFrame
        "mean", "std" and "lowest" of each measure, where "lowest" is the 5% quantile. They are taken over pairs of fits
        for "consistency", and over rows for all other measures.
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
        # rows also has "confidence" and others of its own, but only pairs has "consistency"
        measures = {name: pairs[name] if name == "consistency" else rows.get(name) for name in _EXPLAINED}
        self.summary = (
            import_optional("pandas", needed_for="stability_report")
            .DataFrame(
                {
                    name: {"mean": values.mean(), "std": values.std(ddof=0), "lowest": values.quantile(0.05)}
                    for name, values in measures.items()
                    if values is not None
                }
            )
            .T
        )

    def __repr__(self) -> str:
        width = max(map(len, self.summary.index))
        lines = [
            f"{name:<{width}}  {line['mean']:6.3f} ± {line['std']:.3f}  {_EXPLAINED[name]}"
            for name, line in self.summary.iterrows()
        ]
        return "\n".join([f"StabilityReport: {self._sizes()}", *lines])

    def _repr_html_(self) -> str:
        head = "<thead><tr><th></th><th>mean</th><th>std</th><th>5% quantile</th><th></th></tr></thead>"
        lines = "".join(
            f"<tr><th>{name}</th><td>{line['mean']:.3f}</td><td>{line['std']:.3f}</td><td>{line['lowest']:.3f}</td>"
            f'<td class="text">{escape(_EXPLAINED[name])}</td></tr>'
            for name, line in self.summary.iterrows()
        )
        least = self.rows.sort_values("confidence", kind="stable").head(5)
        return report(
            "StabilityReport",
            f'<p class="note">{escape(self._sizes())}</p><table>{head}<tbody>{lines}</tbody></table>',
            section(
                "rows",
                "The 5 rows of lowest confidence.",
                least.to_html(escape=True, border=0, float_format="{:.3f}".format),
            ),
        )

    def _sizes(self) -> str:
        n_seeds, n_folds = self.fits["seed"].nunique(), self.fits["fold"].nunique()  # nunique does not count NA
        source = "1 seed" if n_seeds == 1 else f"{n_seeds} seeds"
        if n_folds:
            source += f" on each of {n_folds} folds"
        return f"{len(self.fits)} fits ({source}), {len(self.rows)} rows, {self.n_neighbors} neighbours"


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
    """Measure how much an embedding changes with the random seed and with the training rows.

    Use it before you interpret single rows, neighbours or clusters of an embedding. To compare two embeddings that you
    have, use :func:`skgca.metrics.consistency_score`.

    The transformer is fitted with several seeds and, with ``cv``, on several parts of the rows. Each fit embeds all
    rows, and the embeddings are compared in pairs. A row that changes its place or its neighbours from fit to fit
    should not be interpreted, even if a probe predicts well from the embedding. :class:`StabilityReport` explains the
    measures and how to read them. Needs pandas.

    Parameters
    ----------
    estimator : transformer
        A :class:`skgca.GCAEmbedder`, a pipeline that ends in one, or any other transformer. Each fit is of a clone, so
        the estimator may be fitted or not. Each ``random_state`` in it is set, also those of steps.
    X : as in ``fit``
        Rows in memory.
    y : array-like of shape (n_samples,), default=None
        Passed to ``fit`` and to ``cv``, which treats rows without a label as one more class. If y holds classes, the
        report also has the votes of the nearest labelled rows. None, NaN, and -1 among whole numbers mean no label. If
        the estimator learns from y, its training rows are close to their own class; then judge by held-out rows.
    n_seeds : int, default=5
        Number of seeds; at least 2 without ``cv``.
    cv : int, cross-validation generator or iterable, default=None
        Splits the rows into folds. Each seed is fitted on the training part of each fold, so there are ``n_seeds``
        times as many fits as folds. None fits on all rows. An int does not shuffle: pass a splitter for sorted rows.
    n_neighbors : int, default=15
        Size of the neighbourhoods, from 1 to ``n_samples - 2``. The row itself is not counted.
    metric : {"cosine", "euclidean"}, default="euclidean"
        Distance by which neighbours are nearest.
    params : dict, default=None
        Further arguments of ``fit``, such as ``sample_group``. Those with one entry for each row are split as X is.
    n_jobs : int, default=None
        Number of fits that joblib runs at a time. The report does not depend on it.
    random_state : int, RandomState instance or None, default=None
        Draws the seeds. An int gives the same report each time.

    Returns
    -------
    StabilityReport
        With data frames ``rows``, ``fits``, ``pairs`` and ``summary``.

    Raises
    ------
    ImportError
        If pandas is not installed.
    TypeError
        If the estimator has no ``transform``, and so cannot embed rows that it was not fitted on, or if X is a path or
        a lazy frame.
    ValueError
        If there is only one fit, ``n_neighbors`` is too large for the number of rows, y has another length than X or
        fewer than two labels, or a value is out of range.

    See Also
    --------
    skgca.metrics.consistency_score : Agreement of two embeddings as one number.

    Notes
    -----
    Columns that a :class:`skgca.GCAEmbedder` passes through are equal in all fits and raise the agreement.
    ``passthrough=False`` leaves them out.

    The comparison takes time proportional to the number of fits times the square of ``n_samples``. Memory holds all
    embeddings; distances are computed in chunks as in :func:`skgca.metrics.uniformity_score`.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from skgca import GCAEmbedder
    >>> from skgca.inspection import stability_report
    >>> X, y = load_iris(return_X_y=True)
    >>> report = stability_report(
    ...     GCAEmbedder(max_epochs=5), X, y, n_seeds=3, random_state=0
    ... )
    >>> len(report.rows), len(report.fits), len(report.pairs)
    (150, 3, 3)
    >>> bool(report.rows["neighbor_overlap"].mean() > 0.5)
    True
    """
    pd = import_optional("pandas", needed_for="stability_report")  # before any fit
    check_transformer(estimator)
    check_in_memory(X, "stability_report")
    n = number_of_rows(X)
    if n_neighbors > n - 2:
        raise ValueError(
            f"n_neighbors={n_neighbors} is too large: of {n} rows, a neighbourhood must leave out at least one; use 1 "
            f"to {n - 2}."
        )
    groups = _classes(y, n)
    seeds = check_random_state(random_state).randint(2**31 - 1, size=n_seeds).tolist()
    parts = training_parts(cv, X, y if groups is None else groups.codes, n, is_classes=groups is not None)
    planned = [(seed, fold) for fold in range(len(parts)) for seed in seeds]
    if len(planned) < 2:
        raise ValueError(
            f"n_seeds={n_seeds} and cv={cv!r} make one fit only, which has nothing to be compared with; use n_seeds=2."
        )
    outcomes = Parallel(n_jobs=n_jobs)(
        delayed(fit_and_embed)(estimator, X, y, parts[fold], params or {}, seed) for seed, fold in planned
    )
    embeddings = [embedding for embedding, _ in outcomes]
    rows, pairs = compare_fits(embeddings, _trained_on(parts, planned, n), n_neighbors, metric)
    if cv is None:  # nothing is held out
        rows = {name: values for name, values in rows.items() if not name.endswith(("_seen", "_held_out"))}
    if groups is not None:
        rows |= label_votes(embeddings, groups, n_neighbors, metric)
    fits = [
        {"seed": seed, "fold": pd.NA if cv is None else fold, **facts}
        for (seed, fold), (_, facts) in zip(planned, outcomes, strict=True)
    ]
    return StabilityReport(
        pd.DataFrame(rows, index=X.index if isinstance(X, pd.DataFrame) else None),
        pd.DataFrame(fits).astype({"fold": "Int64"}),  # the integers that may be missing
        pd.DataFrame(pairs),
        n_neighbors=n_neighbors,
    )


def _trained_on(parts: list[np.ndarray | None], planned: list[tuple[int, int]], n: int) -> np.ndarray:
    """Return which rows each planned fit was trained on, of shape (n_fits, n)."""
    is_in_part = [np.ones(n, dtype=bool) if part is None else np.isin(np.arange(n), part) for part in parts]
    return np.array([is_in_part[fold] for _, fold in planned])


def _classes(y: Any, n: int) -> Groups | None:
    """Return the classes that y names; None if there is no y, or if it holds measurements or several columns.

    Raises
    ------
    ValueError
        If y has another length than X, or fewer than two labels.
    """
    values = one_column("y", y, n)
    if values is None:
        return None
    n_known = int((~unknown(values)).sum())
    if n_known < 2:
        raise ValueError(f"y holds {n_known} labels for {n} rows; give at least 2 labels, or leave y out.")
    return groups_of(values)
