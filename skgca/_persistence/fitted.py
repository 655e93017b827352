"""The attributes of an embedder that saving and loading use; its class is in a higher layer of the package."""

from __future__ import annotations

from typing import Any, Protocol

import numpy as np

from .._data import Reader
from .._training.net import ContrastiveNet
from ..encoders import Encoder

__all__ = ["FittedEmbedder"]


class FittedEmbedder(Protocol):
    """A fitted ``GCAEmbedder``."""

    n_threads: int | str
    reader_: Reader
    net_: ContrastiveNet
    _n_features_out: int

    @property
    def encoder_(self) -> Encoder:
        """Trained encoder."""

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        """Return the parameters."""

    def get_feature_names_out(self) -> np.ndarray:
        """Return the names of the columns of the embedding."""
