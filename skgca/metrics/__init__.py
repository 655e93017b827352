"""Measures of an embedding; of each, more is better."""

from ._consistency import consistency_score
from ._geometry import alignment_score, effective_rank, uniformity_score
from ._neighbors import neighborhood_preservation, view_retrieval_score

__all__ = [
    "alignment_score",
    "consistency_score",
    "effective_rank",
    "neighborhood_preservation",
    "uniformity_score",
    "view_retrieval_score",
]
