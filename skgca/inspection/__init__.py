"""Displays, as those of scikit-learn, of trainings, embeddings, plans and searches; reports on plans and on stability.

matplotlib is imported when something is drawn, pandas when a table is made.
"""

from ._embedding import EmbeddingDisplay
from ._marginal_path import MarginalPathDisplay
from ._plans import RowPlan, plan_of_rows
from ._report import PlanReport, plan_report
from ._stability import StabilityReport, stability_report
from ._training import TrainingDisplay
from ._transport import TransportPlanDisplay

__all__ = [
    "EmbeddingDisplay",
    "MarginalPathDisplay",
    "PlanReport",
    "RowPlan",
    "StabilityReport",
    "TrainingDisplay",
    "TransportPlanDisplay",
    "plan_of_rows",
    "plan_report",
    "stability_report",
]
