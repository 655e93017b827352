"""Displays and reports, which show what an embedder learned and how far to trust it.

- ``TrainingDisplay``: the course of a training.
- ``EmbeddingDisplay``: an embedding in two dimensions.
- ``TransportPlanDisplay``, ``plan_report``, ``plan_of_rows``: which rows the embedding confuses, as a picture, as
  tables and as arrays.
- ``stability_report``: how much an embedding changes with the seed and with the training rows.
- ``MarginalPathDisplay``: the scores of a search over epsilon and marginals.

Displays are used as those of scikit-learn. They need matplotlib, and reports need pandas; both are imported on first
use.
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
