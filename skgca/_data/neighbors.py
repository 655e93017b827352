"""Random neighbours of rows, as second measurements of them."""

from __future__ import annotations

import numpy as np
import torch
from scipy.sparse import csr_array
from sklearn.neighbors import NearestNeighbors
from threadpoolctl import threadpool_limits
from torch import Generator, Tensor

from .batches import Fetch

__all__ = ["RandomNeighbors", "neighbor_graph"]


def neighbor_graph(features: np.ndarray, n_neighbors: int) -> csr_array:
    """Return the symmetric graph of nearest neighbours: rows are linked if one is among the nearest of the other.

    Parameters
    ----------
    features : ndarray of shape (n, d)
        Euclidean distances of their rows count. n is at least 2.
    n_neighbors : int
        Number of nearest rows; at most n - 1 are used.

    Returns
    -------
    csr_array of shape (n, n)
        1 for each link. Each row has at least one, and none to itself.
    """
    finder = NearestNeighbors(n_neighbors=min(n_neighbors, len(features) - 1))
    with threadpool_limits(1):  # the order of rows at equal distance depends on the number of threads
        links = csr_array(finder.fit(features).kneighbors_graph())  # of the rows fitted, without themselves
    graph = (links + links.T).tocsr()
    graph.data[:] = 1.0
    graph.sort_indices()
    return graph


class RandomNeighbors:
    """Fetches the inputs of a random neighbour of each row.

    Parameters
    ----------
    fetch : callable ``(numbers (k,)) -> Tensor (k, ...)``
        Fetches the inputs of rows.
    graph : csr_array of shape (n, n)
        From :func:`neighbor_graph`. All links of a row are equally likely.
    generator : torch.Generator
        Draws the neighbours, anew in each call.
    """

    def __init__(self, fetch: Fetch, graph: csr_array, generator: Generator) -> None:
        self.fetch = fetch
        self.starts = torch.from_numpy(graph.indptr[:-1].astype(np.int64))
        self.counts = torch.from_numpy(np.diff(graph.indptr).astype(np.int64))
        self.neighbors = torch.from_numpy(graph.indices.astype(np.int64))
        self.generator = generator

    def __call__(self, rows: Tensor) -> Tensor:
        """Return the inputs (k, ...) of a neighbour of each row (k,)."""
        counts = self.counts[rows]
        drawn = (torch.rand(len(rows), generator=self.generator, dtype=torch.float64) * counts).long()  # below counts
        return self.fetch(self.neighbors[self.starts[rows] + drawn])
