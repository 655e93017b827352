"""Displays, as those of scikit-learn, of trainings, embeddings, plans and searches; reports on plans and on stability.

matplotlib is imported when something is drawn, pandas when a table is made.
"""

from ._embedding_display import EmbeddingDisplay
from ._marginal_path_display import MarginalPathDisplay
from ._plan_display import TransportPlanDisplay
from ._plan_report import PlanReport, plan_report
from ._row_plan import RowPlan, plan_of_rows
from ._stability_report import StabilityReport, stability_report
from ._training_display import TrainingDisplay

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
