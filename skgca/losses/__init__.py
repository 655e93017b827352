"""Optimal-transport contrastive losses for torch; usable without the estimator."""

from ._alignment import AlignmentLoss
from ._divergences import (
    Divergence,
    EntropyPenalty,
    KLDivergence,
    MarginalPenalty,
    RINCEDivergence,
    TransportCost,
    UniformityPenalty,
    WeightedSum,
)
from ._embedding_targets import LabelledTransportTarget, RelationalTarget, TransportTarget
from ._epsilon import LearnableEpsilon
from ._factory import default_options, make_loss
from ._multiview import VIEW_PAIRS, multiview_loss
from ._presets import PRESETS
from ._presets.byol import byol
from ._presets.gca import gca_ince, gca_rince, gca_uot
from ._presets.infonce import ince, rince, supcon
from ._presets.iot import iot, iot_uni
from ._target_plan import TargetPlan
from ._targets import (
    AffinityTarget,
    ContinuousTarget,
    DomainsTarget,
    LabelsTarget,
    PairsTarget,
    Target,
)

__all__ = [
    "PRESETS",
    "VIEW_PAIRS",
    "AffinityTarget",
    "AlignmentLoss",
    "ContinuousTarget",
    "Divergence",
    "DomainsTarget",
    "EntropyPenalty",
    "KLDivergence",
    "LabelledTransportTarget",
    "LabelsTarget",
    "LearnableEpsilon",
    "MarginalPenalty",
    "PairsTarget",
    "RINCEDivergence",
    "RelationalTarget",
    "Target",
    "TargetPlan",
    "TransportCost",
    "TransportTarget",
    "UniformityPenalty",
    "WeightedSum",
    "byol",
    "default_options",
    "gca_ince",
    "gca_rince",
    "gca_uot",
    "ince",
    "iot",
    "iot_uni",
    "make_loss",
    "multiview_loss",
    "rince",
    "supcon",
]
