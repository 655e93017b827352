"""The transport plan between rows, which the display and the report of a plan show.

The loss transports mass between views of rows. :func:`plan_of_rows` computes that plan for rows of the user's choice
with a trained embedder, and sums it over the views of each row. The result tells which rows the embedding confuses.
"""

from __future__ import annotations

import copy
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike
from sklearn.utils import check_random_state
from torch import Tensor

from .._builders.loss import effective_target
from .._builders.network import pooling_of
from .._builders.views import ViewOptions, has_names_only, make_views
from .._data import Rows, check_rows
from .._data.metadata import argument_read, read_metadata
from .._estimator.inputs import check_pair
from .._estimator.pipelines import rows_at
from .._persistence.codec import NotSaved
from .._utils.torch_state import known_settings
from ..encoders._images import mean_of_blocks
from ..losses import AlignmentLoss, Target
from ..losses._alignment import related_rows
from ..losses._targets import make_target
from ..ot import Marginals
from ..views import Identity, MultiView
from ._drawing import embedder_of
from ._groups import one_column

__all__ = ["RowPlan", "plan_of_rows"]

_SEED_END = np.iinfo(np.int32).max - 1
_CHUNK = 256  # number of views that go through the network at a time
_MARGINAL_NAMES = {Marginals.parse(name): name for name in ("row", "balanced")}


@dataclass(frozen=True, eq=False)
class RowPlan:
    """The transport plan between rows, summed over the views of each row.

    Use it for statistics of your own on a plan: :func:`plan_of_rows` returns it. :class:`PlanReport` has the usual
    tables.

    The unit of mass is the mass that the loss prescribes for a row. So a row has mass 1 where its marginal is
    constrained. If both marginals are free, as in "byol", nothing is prescribed: the plan is the kernel, scaled to a
    mean mass of 1.

    The parameters below are listed in groups:

    - plans: ``plan``, ``target``
    - rows: ``rows``, ``labels``, ``y``, ``domain``, ``related``
    - settings: ``loss``, ``layout``, ``target_name``, ``epsilon``, ``marginals``, ``marginal_error``
    - optional: ``cost``, ``own_ranks``

    Parameters
    ----------
    plan : ndarray of shape (n, n)
        Mass that goes from the views of row i to the views of row j. The diagonal has the mass that goes from a view of
        a row to its other view.
    target : ndarray of shape (n, n)
        The target plan, summed in the same way.
    rows : ndarray of shape (n,)
        Positions of the rows in X, ascending.
    labels : ndarray of shape (n,)
        Labels of the rows in the index of a pandas data frame; for other X, the same as ``rows``.
    y, domain : ndarray of shape (n,) or None
        Values of y and of ``sample_domain`` for the rows, if they were given.
    related : ndarray of shape (n, n), bool, or None
        Which rows are related. No mass goes between related rows.
    loss, layout : str
        Parameters of the embedder.
    target_name : str
        Name of the target plan.
    epsilon : float
        Entropic regularisation of the plan, in units of the cost.
    marginals : Marginals
        How strongly each marginal is enforced.
    marginal_error : float
        Marginal error of the plan before it was summed, as a share of the prescribed mass.
    cost : str, default="cosine"
        Ground cost of the loss.
    own_ranks : ndarray of shape (v, n) or None, default=None
        Rank of the other view of the same row among all views that each of v views could send mass to, by that mass. 1
        is the most mass. v is 2 in the joint layout, and 1 in the cross layout. Equal masses share their mean rank.

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
    cost: str = "cosine"
    own_ranks: np.ndarray | None = None

    def __len__(self) -> int:
        return len(self.plan)

    @property
    def n_candidates(self) -> np.ndarray:
        """Number of views that a view of each row could send mass to, of shape (n,)."""
        n_unrelated = np.full(len(self), len(self)) if self.related is None else (~self.related).sum(axis=1)
        # In the joint layout, both views of each unrelated row, without the view itself.
        candidates: np.ndarray = 2 * n_unrelated - 1 if self.layout == "joint" else n_unrelated
        return candidates

    @property
    def row_mass(self) -> np.ndarray:
        """Mass that leaves each row, of shape (n,); the prescribed mass is 1."""
        mass: np.ndarray = self.plan.sum(axis=1)
        return mass

    @property
    def col_mass(self) -> np.ndarray:
        """Mass that reaches each row, of shape (n,); the prescribed mass is 1."""
        mass: np.ndarray = self.plan.sum(axis=0)
        return mass

    @property
    def held(self) -> str:
        """The marginals as text: their name, or their strengths if they have none."""
        strengths = f"({self.marginals.rho_row:g}, {self.marginals.rho_col:g})"
        return _MARGINAL_NAMES.get(self.marginals, strengths)

    @property
    def settings(self) -> str:
        """The settings that the plan was computed with, as text."""
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
    """Compute the transport plan between rows, with the loss and the network of a fitted embedder.

    Use it for statistics of your own on the plan. For the usual tables, use :func:`plan_report`, which calls it.

    Two views of each row are drawn as in training, and the trained network projects them. The plan between all views,
    and the target plan, are computed in double precision, with the epsilon at the end of training and the number of
    Sinkhorn iterations of training. Both are then summed over the views of each row.

    Pass rows that were held out from training, to see what the embedder does with new rows. There may be more rows than
    in a training batch. The more there are, the more of them a row can be confused with.

    Parameters
    ----------
    estimator : GCAEmbedder or Pipeline
        Fitted. In a pipeline, the steps before the embedder transform X, and the steps after it are not used.
    X : as in ``transform``
        Rows, 2 or more.
    y : array-like of shape (n_samples,) or (n_samples, k), default=None
        Needed if ``target`` of the embedder reads y. It also names the rows in displays and reports.
    X_pair : as X, default=None
        The other measurement of each row, for an embedder that was fitted with one. Earlier steps transform it too.
    sample_domain : array-like of shape (n_samples,), default=None
        Domains of the rows; needed for ``target="domains"``. They also name the rows in displays and reports.
    sample_group : array-like of shape (n_samples,) or (n_samples, k), default=None
        Groups of related rows, between which no mass may go, as in ``fit``. With None, no rows are related.
    max_rows : int, default=1000
        If X has more rows, this many are drawn at random. Memory grows with the square: 1,000 rows take up to 200 MB.
    random_state : int, RandomState instance or None, default=0
        Draws the rows and the views. The global generators stay as they are.

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
    All rows have equal weight. Of more than two views, the first two are used. For "byol", the plan is the kernel of
    the projections, without the predictor and the target network of training.

    A ``target`` that is a matrix describes only the training rows, and a callable may not have been saved. In both
    cases the target plan is "pairs". An embedder from a file or a pickle has no views: they are made again, and views
    that learn from data learn from X.

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
    measurements = [check_rows(embedder, rows_at(estimator, steps, X), reset=False, min_rows=2)]
    if X_pair is not None:
        measurements.append(check_pair(embedder, rows_at(estimator, steps, X_pair), measurements[0]))
    n_rows = len(measurements[0])
    rng = check_random_state(random_state)
    rows = np.arange(n_rows) if n_rows <= max_rows else np.sort(rng.choice(n_rows, max_rows, replace=False))
    values = {"y": one_column("y", y, n_rows), "domain": one_column("sample_domain", sample_domain, n_rows)}
    columns = {name: None if column is None else column[rows] for name, column in values.items()}
    criterion, target, target_name = _criterion(embedder)
    metadata = {"y": y, "sample_domain": sample_domain, "sample_group": sample_group}
    with known_settings(embedder.n_threads), torch.no_grad():
        extras = _loss_inputs(embedder, target, n_rows, rows, metadata)
        related = extras.get("related")
        z_a, z_b = _projections(embedder, measurements, rows, rng.randint(_SEED_END))
        plan, target_plan = criterion.plans(z_a, z_b, **extras)
        plan_by_row = _sum_over_views(plan.plan, len(rows))
        target_by_row = _sum_over_views(target_plan.dense((len(plan.a), len(plan.b))), len(rows))
    if criterion.marginals == Marginals(0.0, 0.0):  # a kernel, whose total mass means nothing
        plan_by_row = plan_by_row * (len(rows) / plan_by_row.sum())
    return RowPlan(
        plan=plan_by_row,
        target=target_by_row,
        rows=rows,
        labels=_labels(X, rows),
        **columns,
        related=None if related is None else related_rows(related, len(rows)).numpy(),
        loss=embedder.loss,
        layout=criterion.layout,
        target_name=target_name,
        epsilon=criterion.epsilon,
        marginals=criterion.marginals,
        marginal_error=float(plan.marginal_error),
        cost=criterion.cost,
        own_ranks=_own_ranks(plan.log_plan, len(rows)),
    )


def _criterion(embedder: Any) -> tuple[AlignmentLoss, Any, str]:
    """Return a copy of the trained loss in double precision, the target that it reads, and the name of that target."""
    criterion: AlignmentLoss = copy.deepcopy(embedder.net_.criterion_).cpu().double()
    target = effective_target(embedder.loss, embedder.target)
    if isinstance(target, Target):
        return criterion, target, repr(target)
    if isinstance(target, str):
        return criterion, target, target
    if callable(target):
        return criterion, target, "callable"
    # A matrix is about the training rows, not about these; or the target was not saved.
    criterion.target = make_target("pairs")
    return criterion, "pairs", "pairs, as the target of these rows is not known"


def _loss_inputs(
    embedder: Any, target: Any, n_rows: int, rows: np.ndarray, metadata: dict[str, Any]
) -> dict[str, Tensor]:
    """Return the keyword arguments of the loss for some rows, from metadata that have an entry for each row of X."""
    related = None
    if metadata["sample_group"] is not None:
        related = embedder.related
        if isinstance(related, NotSaved):
            raise ValueError(f"sample_group is read by related, which is {related!r}.")
    if argument_read(target) != "sample_domain":
        # The domains only name the rows, and :func:`read_metadata` would refuse domains that no target reads.
        metadata = {**metadata, "sample_domain": None}
    is_taken = np.zeros(n_rows, dtype=bool)
    is_taken[rows] = True
    stand_in = np.broadcast_to(0.0, n_rows)  # of X, only the length is used
    inputs = read_metadata(stand_in, is_taken, target=target, related=related, **metadata)
    batch = torch.arange(len(rows))  # all rows are one batch
    return {name: value[batch] for name, value in inputs.items()}


def _projections(embedder: Any, measurements: list[Rows], rows: np.ndarray, seed: int) -> tuple[Tensor, Tensor]:
    """Project two views of some rows, in double precision on the CPU; both have shape (n, d)."""
    net, reader = embedder.net_, embedder.reader_
    taken = [measurement.only(rows) for measurement in measurements]
    inputs = [torch.cat([*map(reader.at(part), part.chunks())]).to(net.device) for part in taken]
    if has_names_only(embedder.views):  # large images are reduced first, as in training
        inputs = [mean_of_blocks(part, pooling_of(net.module_.encoder.body)) for part in inputs]
    make_two = _two_views(embedder, inputs)
    views = make_two(inputs[0] if len(inputs) == 1 else inputs, torch.Generator(net.device).manual_seed(seed))
    net.module_.eval()
    chunks = torch.cat(views).split(_CHUNK)
    projections = torch.cat([net.module_(chunk).cpu().double() for chunk in chunks])  # (2n, d)
    is_finite = projections.isfinite().all(dim=1)
    if not bool(is_finite.all()):
        first = int((~is_finite).nonzero()[0, 0]) % len(rows)  # the second half has the second views
        raise ValueError(f"The projection of row {rows[first]} of X is not finite; look at the values of that row.")
    z_a, z_b = projections.chunk(2)
    return z_a, z_b


def _two_views(embedder: Any, inputs: list[Tensor]) -> MultiView:
    """Return what makes two views of a batch: the views of training, or new ones of their kind if these are gone."""
    is_paired, views = len(inputs) == 2, embedder.net_.views
    asked_for = embedder.views if isinstance(embedder.views, list | tuple) else [embedder.views]
    not_saved = [view for view in asked_for if isinstance(view, NotSaved)]
    if views is None and not_saved:
        raise ValueError(f"The plan of rows needs views, and views={not_saved[0]!r}.")
    # "auto" takes the two measurements as views if there are two. So its views depend on whether X_pair is given now.
    is_auto = isinstance(embedder.views, str) and embedder.views == "auto"
    if views is None or (is_auto and is_paired):
        options = ViewOptions.of(vars(embedder))
        views = make_views(options, embedder.reader_, paired=is_paired, reference=lambda: inputs[0])
    elif is_auto and all(isinstance(view, Identity) for view in views.views):
        raise ValueError("The embedder was fitted with X_pair and has no views of X alone; pass X_pair as well.")
    return MultiView(*views.views[:2])


def _sum_over_views(plan: Tensor, n_rows: int) -> np.ndarray:
    """Sum a plan over the views of each row, and make the prescribed mass of a row 1: (N, N) -> (n, n)."""
    n_views = len(plan) // n_rows  # 2 in the joint layout; 1 in the cross layout, from first to second views
    by_row = plan.reshape(n_views, n_rows, n_views, n_rows).sum((0, 2))
    return by_row.numpy() * n_rows  # the total mass of a plan is 1


def _own_ranks(log_plan: Tensor, n_rows: int) -> np.ndarray:
    """Rank the other view of the same row among the entries of each view, (N, N) -> (N / n, n)."""
    numbers = torch.arange(len(log_plan))
    own = log_plan[numbers, (numbers + n_rows) % len(log_plan)][:, None]  # in the cross layout, the diagonal
    n_above, n_equal = (log_plan > own).sum(1), (log_plan == own).sum(1)  # the entry is equal to itself
    ranks: np.ndarray = (n_above + (n_equal + 1).double() / 2).reshape(-1, n_rows).numpy()
    return ranks


def _labels(X: Any, rows: np.ndarray) -> np.ndarray:
    """Return the labels of rows in the index of a pandas data frame, or their positions in any other X."""
    return X.index.to_numpy()[rows] if hasattr(X, "iloc") and hasattr(X, "index") else rows
