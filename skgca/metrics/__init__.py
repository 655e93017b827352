"""Measures of an embedding, and scorers made from them. For all of them, higher is better."""

from ._consistency import consistency_score
from ._geometry import alignment_score, effective_rank, uniformity_score
from ._information import view_information_score
from ._neighbors import neighborhood_preservation, view_retrieval_score
from ._probes import knn_probe_score, linear_probe_score
from ._scorers import SCORERS, corrupt_cells, make_embedding_scorer, make_view_scorer

__all__ = [
    "SCORERS",
    "alignment_score",
    "consistency_score",
    "corrupt_cells",
    "effective_rank",
    "knn_probe_score",
    "linear_probe_score",
    "make_embedding_scorer",
    "make_view_scorer",
    "neighborhood_preservation",
    "uniformity_score",
    "view_information_score",
    "view_retrieval_score",
]
