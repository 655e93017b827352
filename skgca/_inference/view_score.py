"""The score of an embedder by itself, without labels."""

from __future__ import annotations

import torch

from .._builders.network import pooling_of
from .._builders.views import standard_view
from .._data import Reader, Rows
from ..encoders import Encoder
from ..encoders._images import mean_of_blocks
from ..metrics import view_information_score
from .embedding import Device, embed_inputs

__all__ = ["information_of_views"]

_N_ROWS = 1000
_N_VIEWS = 10  # of each row, so that the variance within a row has nine degrees of freedom
_SEED = 0


def information_of_views(encoder: Encoder, reader: Reader, rows: Rows, device: Device) -> float:
    """Return how much information about a row its views share in the embedding; see :meth:`GCAEmbedder.score`.

    Inputs that pass through are left out, as they do not depend on what was learned.

    Parameters
    ----------
    encoder : Encoder
        In evaluation mode.
    reader : Reader
        Fitted.
    rows : Rows
        At least 2. If there are many, evenly spaced ones are used.
    device : torch.device
        Device of the encoder.
    """
    inputs = reader.at(rows)(rows.sample(_N_ROWS)).to(device)
    inputs = mean_of_blocks(inputs, pooling_of(encoder.body))  # large images are reduced first, as in training
    view, generator = standard_view(reader), torch.Generator(device).manual_seed(_SEED)
    learned = slice(encoder.readout.n_outputs)  # these columns come first
    views = [embed_inputs(encoder, view(inputs, generator), device)[:, learned] for _ in range(_N_VIEWS)]
    return view_information_score(*views)
