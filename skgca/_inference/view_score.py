"""The score of an embedder by itself, without labels."""

from __future__ import annotations

from typing import Any

import torch

from .._builders.views import standard_view
from .._data import Reader, Rows
from ..encoders import Encoder
from ..metrics import view_information_score
from .embedding import embed_inputs

__all__ = ["information_of_views"]

_N_ROWS = 1000
_N_VIEWS = 10  # of which what views do to a row is told by nine degrees of freedom
_SEED = 0


def information_of_views(encoder: Encoder, reader: Reader, rows: Rows, device: Any) -> float:
    """Tell how much of rows survives views in what an encoder has learned; see :meth:`GCAEmbedder.score`.

    What is passed through is left out, as it is the same whatever was learned.

    Parameters
    ----------
    encoder : Encoder
        In evaluation mode.
    reader : Reader
        Fitted.
    rows : Rows
        At least 2; of many, evenly spaced ones are looked at.
    device : torch.device
        Where the encoder is.
    """
    inputs = reader.read(rows.sample(_N_ROWS)).to(device)
    view, generator = standard_view(reader), torch.Generator(device).manual_seed(_SEED)
    learned = slice(encoder.readout.n_outputs)  # the columns that come first
    views = [embed_inputs(encoder, view(inputs, generator), device)[:, learned] for _ in range(_N_VIEWS)]
    return view_information_score(*views)
