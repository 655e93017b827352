"""Entropic optimal transport, balanced and unbalanced, that a torch loss can differentiate."""

from ._costs import cosine_cost, squared_euclidean_cost, student_t_cost
from ._marginals import Marginals
from ._plan import TransportPlan
from ._sinkhorn import sinkhorn, sinkhorn_embeddings

__all__ = [
    "Marginals",
    "TransportPlan",
    "cosine_cost",
    "sinkhorn",
    "sinkhorn_embeddings",
    "squared_euclidean_cost",
    "student_t_cost",
]
