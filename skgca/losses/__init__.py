"""Optimal-transport contrastive losses for torch; usable without the estimator."""

from ._alignment import AlignmentLoss
from ._divergences import KLDivergence
from ._presets import PRESETS, gca_ince, gca_uot, ince, make_loss
from ._targets import TargetPlan

__all__ = ["PRESETS", "AlignmentLoss", "KLDivergence", "TargetPlan", "gca_ince", "gca_uot", "ince", "make_loss"]
