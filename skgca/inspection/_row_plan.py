"""The transport plan of some rows, folded from views to rows: what the displays and the report of a plan show."""

from __future__ import annotations

import copy
import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike
from sklearn.utils import check_random_state, column_or_1d
from torch import Tensor

from .._builders.loss import effective_target
from .._builders.views import ViewOptions, make_views
from .._data import Rows, check_rows
from .._data.metadata import annotations, argument_read
from .._estimator.fitting import check_pair
from .._estimator.pipelines import rows_at
from .._persistence.codec import NotSaved
from .._utils.threads import fixed_threads
from ..losses import AlignmentLoss, Target
from ..losses._alignment import related_rows
from ..losses._targets import make_target
from ..ot import Marginals
from ..views import Identity, MultiView
from ._drawing import embedder_of

__all__ = ["RowPlan", "plan_of_rows"]

_SEED_END = np.iinfo(np.int32).max - 1
_CHUNK = 256  # views that go through the network at a time
_NAMED = {(math.inf, 0.0): "row", (math.inf, math.inf): "balanced"}


@dataclass(frozen=True, eq=False)
class RowPlan:
    """Where the mass of each of some rows goes in the transport plan of their views.

    Masses are in units of what is due to a row, so that a row whose marginals are held has mass 1. Where neither
    marginal is held nor relaxed, as in "byol", the plan is the kernel, and is scaled to the mean mass 1.

    Parameters
    ----------
    plan : ndarray of shape (n, n)
        Mass from the views of row i to those of row j. On the diagonal is what goes to the row's own other view.
    target : ndarray of shape (n, n)
        The same of the target plan.
    rows : ndarray of shape (n,)
        Positions of the rows in X, ascending.
    labels : ndarray of shape (n,)
        Labels of the rows in the index of a pandas data frame, else ``rows``.
    y, domain : ndarray of shape (n,) or None
        What is known of the rows.
    related : ndarray of shape (n, n), bool, or None
        Which rows are no evidence against each other, so that no mass goes between them.
    loss, layout : str
        Parameters of the embedder.
    target_name : str
        What the target plan is made from.
    epsilon : float
        Entropic regularisation that the plan was computed with, in units of the cost.
    marginals : Marginals
        What binds, and how hard.
    marginal_error : float
        Of the plan, as a share of its prescribed mass.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from skgca import GCAEmbedder
    >>> from skgca.inspection import plan_of_rows
    >>> X, y = load_iris(return_X_y=True)
    >>> embedder = GCAEmbedder(max_epochs=5, random_state=0).fit(X[::2])
    >>> plan = plan_of_rows(embedder, X[1::2])
    >>> plan.plan.shape, round(float(plan.row_mass.mean()), 2)
    ((75, 75), 1.0)
    """

    plan: np.ndarray
    target: np.ndarray
    rows: np.ndarray
    labels: np.ndarray
    y: np.ndarray | None
    domain: np.ndarray | None
    related: np.ndarray | None
    loss: str
    layout: str
    target_name: str
    epsilon: float
    marginals: Marginals
    marginal_error: float

    def __len__(self) -> int:
        return len(self.plan)

    @property
    def row_mass(self) -> np.ndarray:
        """Mass that leaves each row, of shape (n,); 1 is due."""
        return self.plan.sum(axis=1)

    @property
    def col_mass(self) -> np.ndarray:
        """Mass that reaches each row, of shape (n,); 1 is due."""
        return self.plan.sum(axis=0)

    @property
    def held(self) -> str:
        """The marginals as text, by their name where they have one."""
        pair = (self.marginals.rho_row, self.marginals.rho_col)
        return _NAMED.get(pair, f"({pair[0]:g}, {pair[1]:g})")

    @property
    def settings(self) -> str:
        """What the plan was computed with, as text."""
        return f"loss {self.loss}, epsilon {self.epsilon:.3g}, marginals {self.held}, layout {self.layout}"

    def __repr__(self) -> str:
        return f"RowPlan of {len(self)} rows ({self.settings})"


def plan_of_rows(
    estimator: Any,
    X: ArrayLike,
    y: Any = None,
    *,
    X_pair: ArrayLike | None = None,
    sample_domain: ArrayLike | None = None,
    sample_group: ArrayLike | None = None,
    max_rows: int = 1000,
    random_state: int | np.random.RandomState | None = 0,
) -> RowPlan:
    """Compute the transport plan of rows, mostly held-out ones, with the loss that an embedder was trained with.

    Two views of each row are drawn, by what made the views in training, and projected by the trained network. The plan
    and the target plan of all of them are computed in double precision, with the epsilon that training ended with and
    as many Sinkhorn iterations. A plan over views is folded to one over rows by adding up the views of each row. There
    may be more rows than in a batch of training, and then there are more to confuse a row with.

    Parameters
    ----------
    estimator : GCAEmbedder or Pipeline
        Fitted. In a pipeline, the steps before the embedder transform X, and those after it are left out.
    X : as in ``transform``
        Rows, 2 or more.
    y : array-like of shape (n_samples,) or (n_samples, k), default=None
        What ``target`` reads, if it does. Otherwise it only names the rows.
    X_pair : as X, default=None
        The other measurement of each row, for an embedder that was fitted with one. Earlier steps transform it too.
    sample_domain : array-like of shape (n_samples,), default=None
        Domains of the rows, which ``target="domains"`` reads; otherwise they only name the rows.
    sample_group : array-like of shape (n_samples,) or (n_samples, k), default=None
        Groups of related rows, between which no mass may go, as in ``fit``. None takes no rows as related.
    max_rows : int, default=1000
        Of more rows, a random part is taken. Memory grows with its square: 1,000 rows take some 200 MB at most.
    random_state : int, RandomState instance or None, default=0
        Of that part and of the views. The global generators stay as they are.

    Returns
    -------
    RowPlan

    Raises
    ------
    TypeError
        If the estimator is no embedder, nor a pipeline with one.
    ValueError
        If the rows cannot be read, something that the target plan reads is missing, the views cannot be made, or a
        pipeline has several embedders.

    Notes
    -----
    All rows weigh alike. The first two views stand for all where there are more. The plan of "byol" is that of
    projections, without the predictor and the target network of training; it is the kernel of the cost. An embedder
    fitted with a matrix as ``target``, which says nothing of other rows, is shown beside the target plan "pairs"; so is
    one whose own ``target`` was not saved. An opened file or pickle has no views: they are made again, and those that
    learn from data learn from X.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from skgca import GCAEmbedder
    >>> from skgca.inspection import plan_of_rows
    >>> X, _ = load_iris(return_X_y=True)
    >>> embedder = GCAEmbedder(max_epochs=5, random_state=0).fit(X[::2])
    >>> plan_of_rows(embedder, X[1::2])
    RowPlan of 75 rows (loss gca_ince, epsilon 0.5, marginals balanced, layout joint)
    """
    if max_rows < 2:
        raise ValueError(f"max_rows={max_rows!r} must be 2 or more, such as 200.")
    steps, embedder = embedder_of(estimator)
    measured = [check_rows(embedder, rows_at(estimator, steps, X), reset=False, min_rows=2)]
    if X_pair is not None:
        measured.append(check_pair(embedder, rows_at(estimator, steps, X_pair), measured[0]))
    n_rows = len(measured[0])
    rng = check_random_state(random_state)
    rows = np.arange(n_rows) if n_rows <= max_rows else np.sort(rng.choice(n_rows, max_rows, replace=False))
    names = {"y": _named("y", y, n_rows, rows), "domain": _named("sample_domain", sample_domain, n_rows, rows)}
    beside = {"y": y, "sample_domain": sample_domain, "sample_group": sample_group}
    extras, criterion, target_name = _compared(embedder, n_rows, rows, beside)
    related = extras.get("related")
    with fixed_threads(embedder.n_threads), torch.no_grad():
        z_a, z_b = _projections(embedder, [source.only(rows) for source in measured], rng.randint(_SEED_END))
        plan, goal = criterion.plans(z_a, z_b, **extras)
        folded = _folded(plan.plan, len(rows))
        wanted = _folded(goal.dense((len(plan.a), len(plan.b))), len(rows))
    if criterion.marginals == Marginals(0.0, 0.0):
        folded = folded * (len(rows) / folded.sum())
    return RowPlan(
        plan=folded,
        target=wanted,
        rows=rows,
        labels=_labels(X, rows),
        **names,
        related=None if related is None else related_rows(related, len(rows)).numpy(),
        loss=embedder.loss,
        layout=criterion.layout,
        target_name=target_name,
        epsilon=criterion.epsilon,
        marginals=criterion.marginals,
        marginal_error=float(plan.marginal_error),
    )


def _compared(
    embedder: Any, n_rows: int, rows: np.ndarray, beside: dict[str, Any]
) -> tuple[dict[str, Tensor], AlignmentLoss, str]:
    """Return what the loss reads of the rows, the loss in double precision, and the name of its target plan."""
    criterion = copy.deepcopy(embedder.net_.criterion_).cpu().double()
    target = effective_target(embedder.loss, embedder.target)
    name = repr(target) if isinstance(target, Target) else target if isinstance(target, str) else "callable"
    if not isinstance(target, str) and not callable(target):  # a matrix of the training rows, or one not saved
        target, name = "pairs", "pairs, as no other is known of these rows"
        criterion.target = make_target("pairs")
    grouped = beside["sample_group"] is not None
    if grouped and isinstance(embedder.related, NotSaved):
        raise ValueError(f"sample_group is read by related, which is {embedder.related!r}.")
    reads_domain = argument_read(target) == "sample_domain"
    beside = {**beside, "sample_domain": beside["sample_domain"] if reads_domain else None}
    taken = np.zeros(n_rows, dtype=bool)
    taken[rows] = True
    length = np.broadcast_to(0.0, n_rows)
    found = annotations(length, taken, target=target, related=embedder.related if grouped else None, **beside)
    every = torch.arange(len(rows))
    return {name: value[every] for name, value in found.items()}, criterion, name


def _projections(embedder: Any, measured: list[Rows], seed: int) -> tuple[Tensor, Tensor]:
    """Project two views of rows, in double precision on the CPU, each (n, d)."""
    net, reader = embedder.net_, embedder.reader_
    inputs = [torch.cat([reader.read(chunk) for chunk in source.chunks()]).to(net.device) for source in measured]
    views = _views(embedder, inputs)
    drawn = views(inputs[0] if len(inputs) == 1 else inputs, torch.Generator(net.device).manual_seed(seed))
    net.module_.eval()
    parts = [net.module_(part).cpu().double() for part in torch.cat(drawn).split(_CHUNK)]
    projections = torch.cat(parts)  # (2n, d)
    if not bool(projections.isfinite().all()):
        row = int((~projections.isfinite()).any(1).nonzero()[0, 0]) % len(inputs[0])
        raise ValueError(f"The projection of row {row} of those taken from X is not finite; look at its values.")
    z_a, z_b = projections.chunk(2)
    return z_a, z_b


def _views(embedder: Any, inputs: list[Tensor]) -> MultiView:
    """Return what makes two views: that of training, if it is still there, or the like made anew."""
    paired, views = len(inputs) == 2, embedder.net_.views
    named = embedder.views if isinstance(embedder.views, list | tuple) else [embedder.views]
    not_saved = [view for view in named if isinstance(view, NotSaved)]
    if views is None and not_saved:
        raise ValueError(f"The plan of rows needs views, and views={not_saved[0]!r}.")
    by_itself = isinstance(embedder.views, str) and embedder.views == "auto"
    if views is None or (by_itself and paired):
        options = ViewOptions.of(vars(embedder))
        views = make_views(options, embedder.reader_, paired=paired, reference=lambda: inputs[0])
    elif by_itself and all(isinstance(view, Identity) for view in views.views):
        raise ValueError("The embedder was fitted with X_pair, and so knows no views of X alone; pass X_pair as well.")
    return MultiView(*views.views[:2])


def _folded(plan: Tensor, n_rows: int) -> np.ndarray:
    """Add up the views of each row, and bring the mass that is due to a row to 1: (N, N) -> (n, n)."""
    n_views = len(plan) // n_rows
    by_row = plan.reshape(n_views, n_rows, n_views, n_rows).sum((0, 2))
    return by_row.numpy() * n_rows


def _labels(X: Any, rows: np.ndarray) -> np.ndarray:
    """Return labels of rows of a pandas data frame, in its index, or else their positions."""
    return X.index.to_numpy()[rows] if hasattr(X, "iloc") and hasattr(X, "index") else rows


def _named(name: str, values: Any, n_rows: int, rows: np.ndarray) -> np.ndarray | None:
    """Return values of the rows; None where there are none, or several of each row."""
    if values is None:
        return None
    values = np.asarray(values)
    if len(values) != n_rows:
        raise ValueError(f"{name} has {len(values)} entries, but X has {n_rows} rows.")
    if values.ndim > 1 and values.shape[1] > 1:
        return None
    return column_or_1d(values)[rows]
