"""Measures of an embedding; of each, more is better."""

from ._geometry import alignment_score, effective_rank, uniformity_score

__all__ = ["alignment_score", "effective_rank", "uniformity_score"]
