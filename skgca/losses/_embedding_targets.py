"""Targets that read the embeddings of the batch: the network itself suggests which rows should match.

Each of them solves a transport problem between the embeddings of a batch, at an epsilon of its own, and adds the plan
to the identity. A smaller epsilon than that of the loss makes the plan sharper: rows match their likely counterparts,
and the loss pulls them together. Embeddings come without a gradient, so the target is a constant of each step.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor

from ..ot import Marginals
from ..ot._log_kernel import DenseLogKernel
from ..ot._sinkhorn import check_settings, solve
from ._targets import LabelsTarget, Target, _check_vector, _with_own_pairs

__all__ = ["LabelledTransportTarget", "RelationalTarget", "TransportTarget"]

_N_ITER = 50  # fixed, since a test of convergence would make the host wait for a GPU


@dataclass(frozen=True)
class RelationalTarget(Target):
    r"""Rows match as the first views suggest: the identity, plus the sharpened plan of these, as in ReSSL [1]_.

    Use it if rows have near neighbours of the same kind, which should not be pushed apart, and one view is milder than
    the other, as in ``views=("clean", "corruption")``. If labels tell which rows are alike, use :class:`LabelsTarget`.

    The similarities of the first view of each row to those of the other rows become a balanced transport plan. Each row
    matches the other rows by its row of that plan, in addition to its own views. In the paper, this plan is a softmax,
    and the own pair is left out.

    Parameters
    ----------
    epsilon : float, default=0.05
        Entropic regularisation of the plan between the first views, in units of the cosine cost. The smaller it is, the
        fewer rows match.
    weight : float, default=1.0
        Affinity of a row to all other rows together, where its own views have 1.

    References
    ----------
    .. [1] M. Zheng et al., "ReSSL: Relational self-supervised learning with weak augmentation", NeurIPS 2021.

    Examples
    --------
    Rows 0 and 1 are close, and so are rows 2 and 3:

    >>> import torch
    >>> from skgca.losses import RelationalTarget
    >>> z = torch.tensor([[1.0, 0.0], [0.9, 0.1], [0.0, 1.0], [0.1, 0.9]])
    >>> RelationalTarget(weight=0.5)(None, torch.stack([z, z])).round(decimals=2)
    tensor([[1.0000, 0.5000, 0.0000, 0.0000],
            [0.5000, 1.0000, 0.0000, 0.0000],
            [0.0000, 0.0000, 1.0000, 0.5000],
            [0.0000, 0.0000, 0.5000, 1.0000]])
    """

    epsilon: float = 0.05
    weight: float = 1.0

    reads: ClassVar[str | None] = None
    reads_embeddings: ClassVar[bool] = True

    def __post_init__(self) -> None:
        _check(self)

    def get_config(self) -> dict[str, Any]:
        """Return the arguments of the constructor."""
        return {"epsilon": self.epsilon, "weight": self.weight}

    def __call__(self, values: None, embeddings: Tensor) -> Tensor:  # type: ignore[override]
        """Affinity (n, n) of embeddings (2, n, d)."""
        first = F.normalize(embeddings[0], dim=1)
        own = torch.eye(len(first), dtype=torch.bool, device=first.device)
        if len(first) < 2:
            return own.to(first)
        plan = _plan(first, own, epsilon=self.epsilon, rho=torch.inf)
        return _with_own_pairs(self.weight * plan)


@dataclass(frozen=True)
class TransportTarget(Target):
    r"""Rows match their likely counterparts of other domains: the identity, plus a transport plan between domains.

    Use it if the same things were measured at several sites, and a model of one site should serve another. The domains
    should already lie near each other in the embedding, since the plan is only as good as that. It may also harm: see
    the page of evidence on neighbours in the literature. :class:`DomainsTarget`, in contrast, matches all rows of
    another domain alike.

    The plan is that of unbalanced optimal transport between the embeddings of a batch, with no entry between rows of
    the same domain. The cost is the cosine cost of the mean directions of both views, after the mean over the domain is
    subtracted: what differs between domains as a whole says nothing on which rows are counterparts. With a small
    epsilon the plan is sharp. With a small rho, rows without a counterpart stay unmatched.

    Parameters
    ----------
    epsilon : float, default=0.02
        Entropic regularisation of the plan between domains, in units of the cosine cost. The smaller it is, the fewer
        rows match.
    rho : float, default=0.05
        How strongly the marginals of that plan are enforced, in units of the cosine cost: a finite number above 0. The
        smaller it is, the more mass stays unmatched.
    weight : float, default=2.0
        Affinity of a row to all rows of other domains together, where its own views have 1, if all mass is matched and
        domains are of equal size.

    Notes
    -----
    The affinity of rows i and j of different domains is ``weight * P_ij``, where each row has the prescribed mass 1 in
    the plan P. Between two domains, also of different sizes, P is the plan between distributions of mass 1, up to a
    factor. With more domains, the mass of a row goes to the rows of all other domains together, so mostly to
    the nearest. Rows of domain -1, and all rows of a batch of one domain, match only themselves.

    References
    ----------
    .. [1] N. Courty, R. Flamary, D. Tuia, A. Rakotomamonjy, "Optimal transport for domain adaptation", IEEE TPAMI 39,
       2017.
    .. [2] L. Chizat, G. Peyre, B. Schmitzer, F.-X. Vialard, "Scaling algorithms for unbalanced optimal transport
       problems", Mathematics of Computation 87, 2018.

    Examples
    --------
    Row 0 finds row 2, and row 1 finds row 3:

    >>> import torch
    >>> from skgca.losses import TransportTarget
    >>> z = torch.tensor([[1.0, 0.0], [0.0, 1.0], [0.9, 0.1], [0.1, 0.9]])
    >>> domains = torch.tensor([0, 0, 1, 1])
    >>> TransportTarget(weight=0.5)(domains, torch.stack([z, z])).round(decimals=1)
    tensor([[1.0000, 0.0000, 0.5000, 0.0000],
            [0.0000, 1.0000, 0.0000, 0.5000],
            [0.5000, 0.0000, 1.0000, 0.0000],
            [0.0000, 0.5000, 0.0000, 1.0000]])
    """

    epsilon: float = 0.02
    rho: float = 0.05
    weight: float = 2.0

    reads: ClassVar[str | None] = "sample_domain"
    encoding: ClassVar[str] = "classes"
    reads_embeddings: ClassVar[bool] = True

    def __post_init__(self) -> None:
        _check(self)
        if not 0 < self.rho < torch.inf:
            raise ValueError(f"rho={self.rho!r} must be a finite number above 0, such as 0.05.")

    def get_config(self) -> dict[str, Any]:
        """Return the arguments of the constructor."""
        return {"epsilon": self.epsilon, "rho": self.rho, "weight": self.weight}

    def __call__(self, domains: Tensor, embeddings: Tensor) -> Tensor:  # type: ignore[override]
        """Affinity (n, n) of domains (n,) and embeddings (2, n, d)."""
        _check_vector("domains", domains)
        return _with_own_pairs(self._between(domains, embeddings))

    def _between(self, domains: Tensor, embeddings: Tensor) -> Tensor:
        """Affinity (n, n) of rows of different domains, and 0 within a domain."""
        rows = F.normalize(embeddings, dim=2).sum(0)  # (n, d)
        affinity = rows.new_zeros(len(rows), len(rows))
        known = (domains != -1).nonzero()[:, 0]
        same = domains[known, None] == domains[known]
        if bool(same.all()):
            return affinity
        mean = same.to(rows) @ rows[known] / same.sum(1, keepdim=True)  # of the domain of each row
        plan = _plan(F.normalize(rows[known] - mean, dim=1), same, epsilon=self.epsilon, rho=self.rho)
        affinity[known[:, None], known] = self.weight * plan
        return affinity


@dataclass(frozen=True)
class LabelledTransportTarget(TransportTarget):
    """Labelled rows match their class, and unlabelled rows their likely counterparts among the labelled ones.

    Use it if the rows that have a label are a biased sample of all rows, and each batch has some labelled rows of each
    class. Results are on the page of evidence on neighbours in the literature. If the sample is not biased, use
    :class:`LabelsTarget`.

    It is a :class:`LabelsTarget` plus the plan of a :class:`TransportTarget` whose two domains are the labelled and the
    unlabelled rows. So the distributions of both are aligned in the embedding.

    Parameters
    ----------
    epsilon, rho, weight
        As in :class:`TransportTarget`.

    Examples
    --------
    Rows 0 and 1 are of two classes. Rows 2 and 3 have no label, and find them:

    >>> import torch
    >>> from skgca.losses import LabelledTransportTarget
    >>> z = torch.tensor([[1.0, 0.0], [0.0, 1.0], [0.9, 0.1], [0.1, 0.9]])
    >>> target = LabelledTransportTarget(weight=0.5)
    >>> target(torch.tensor([0, 1, -1, -1]), torch.stack([z, z])).round(decimals=1)
    tensor([[1.0000, 0.0000, 0.5000, 0.0000],
            [0.0000, 1.0000, 0.0000, 0.5000],
            [0.5000, 0.0000, 1.0000, 0.0000],
            [0.0000, 0.5000, 0.0000, 1.0000]])
    """

    reads: ClassVar[str | None] = "y"

    def __call__(self, labels: Tensor, embeddings: Tensor) -> Tensor:  # type: ignore[override]
        """Affinity (n, n) of labels (n,), -1 where unknown, and embeddings (2, n, d)."""
        same = LabelsTarget()(labels)
        return same.to(embeddings) + self._between((labels != -1).long(), embeddings)


def _plan(rows: Tensor, excluded: Tensor, *, epsilon: float, rho: float) -> Tensor:
    """Plan (n, n) between unit vectors (n, d), of prescribed masses 1, with no mass at the excluded entries (n, n)."""
    scores = ((rows @ rows.T - 1) / epsilon).masked_fill(excluded, -torch.inf)
    mass = rows.new_ones(len(rows))  # not 1 / n, which would make the mass of relaxed marginals depend on n
    # not sinkhorn(), which refuses NaN: training must see that the loss is NaN, in order to go back a step
    plan = solve(
        DenseLogKernel(scores),
        marginals=Marginals(rho, rho),
        epsilon=epsilon,
        n_iter=_N_ITER,
        tol=None,
        a=mass,
        b=mass,
    ).plan
    # The solution is symmetric. The iterations leave a difference, with which scaling the affinity would take longer.
    return ((plan + plan.T) / 2).nan_to_num(nan=0.0)


def _check(target: RelationalTarget | TransportTarget) -> None:
    check_settings(target.epsilon, _N_ITER)
    if not 0 <= target.weight < torch.inf:
        raise ValueError(f"weight={target.weight!r} must be a finite number of at least 0, such as 1.0.")
