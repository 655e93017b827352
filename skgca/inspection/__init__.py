"""Displays of a training, an embedding and a transport plan, in scikit-learn's manner, and what a plan says as tables.

matplotlib is imported when something is drawn, pandas when a table is made.
"""

from ._embedding import EmbeddingDisplay
from ._plans import RowPlan, plan_of_rows
from ._report import PlanReport, plan_report
from ._training import TrainingDisplay
from ._transport import TransportPlanDisplay

__all__ = [
    "EmbeddingDisplay",
    "PlanReport",
    "RowPlan",
    "TrainingDisplay",
    "TransportPlanDisplay",
    "plan_of_rows",
    "plan_report",
]
