"""From a trained encoder to embeddings: what is read out of it, and rows through it chunk by chunk."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor

from .._data import Reader, Rows
from ..encoders import Encoder

__all__ = ["embed", "embed_inputs", "fit_readout", "plain_names"]

_CHUNK = 1024  # rows that are encoded at a time
_CHUNK_STEP = 32  # a chunk is padded to a multiple of this many rows, see _encode


def fit_readout(encoder: Encoder, sample: Tensor, chunk_size: int, device: Any) -> None:
    """Set what reads the embedding out of an encoder, by training rows without views.

    Parameters
    ----------
    encoder : Encoder
        In evaluation mode.
    sample : Tensor of shape (k, ...)
        Some training rows.
    chunk_size : int
        As many of them as memory has room for at a time.
    device : torch.device
        Where the encoder is.
    """
    with torch.inference_mode():
        parts = sample.split(min(_CHUNK, chunk_size))
        activations = [encoder.activations(part.to(device)).cpu() for part in parts]
    with torch.no_grad():  # what it sets is to be loaded into again, which inference mode would forbid
        encoder.readout.fit(torch.cat(activations))  # on the CPU, since not every accelerator has double precision


def embed(encoder: Encoder, reader: Reader, rows: Rows, width: int, device: Any) -> np.ndarray:
    """Embed all rows, in bounded memory beside the result.

    Raises
    ------
    ValueError
        If an embedding is not finite; the message names the row.
    """
    embedding = np.empty((len(rows), width), dtype=_output_dtype(rows, reader))
    # as many rows are read at a time as will be encoded, or several times as many
    step = max(1, min(8, rows.chunk_size() // _CHUNK)) * min(_CHUNK, rows.chunk_size())
    for start in range(0, len(rows), step):
        chunk = rows.take(slice(start, min(start + step, len(rows))))
        inputs = reader.read(chunk)
        for first, part in enumerate(inputs.split(_CHUNK)):
            encoded = _encode(encoder, part, device)
            place = start + first * _CHUNK
            if not encoded.sum().isfinite():  # quicker than to look at each
                _check_finite(encoded, part, place)
            embedding[place : place + len(encoded)] = encoded.numpy()
    return embedding


def embed_inputs(encoder: Encoder, inputs: Tensor, device: Any) -> np.ndarray:
    """Embed rows that are read already: (n, ...) -> float32 (n, d), the same bits as :func:`embed` gives them."""
    return torch.cat([_encode(encoder, part, device) for part in inputs.split(_CHUNK)]).numpy()


def plain_names(encoder: Encoder, reader: Reader, input_names: np.ndarray) -> list[str]:
    """Return names of what an encoder passes through, as scikit-learn's own transformers name them."""
    if reader.kind != "table":
        return [f"x{k}" for k in range(int(np.prod(reader.image_shape if reader.kind == "images" else reader.shape)))]
    stem = encoder.stem
    names = [str(input_names[k]) for k in stem.numbers.tolist()]
    names += [f"missingindicator_{input_names[k]}" for k in stem.indicated.tolist()]
    known = dict(zip(np.flatnonzero(reader.is_category), reader.known_categories, strict=True))
    return names + [f"{input_names[k]}_{category}" for k in stem.few.tolist() for category in known[k]]


def _check_finite(encoded: Tensor, inputs: Tensor, place: int) -> None:
    """Raise ValueError if the embedding of one of the rows from ``place`` on is not finite."""
    bad = ~encoded.isfinite().all(dim=1)
    if bad.any():
        row = int(bad.int().argmax())
        raise ValueError(
            f"The embedding of row {place + row} is not finite: its values, up to {inputs[row].abs().max():.3g} in "
            "size, are too large for the encoder. Use standardize=True, or scale the features before."
        )


def _output_dtype(rows: Rows, reader: Reader) -> type:
    single = rows.dtype == np.float32 or (reader.kind == "images" and rows.dtype == np.uint8)
    return np.float32 if single else np.float64


def _encode(encoder: Encoder, inputs: Tensor, device: Any) -> Tensor:
    """Embed one chunk of rows.

    Torch multiplies matrices of few rows by other kernels, which round otherwise. After padding to a multiple of
    _CHUNK_STEP rows, the embedding of a row does not depend on the rows it came with: to the bit on most processors,
    and up to rounding on all.
    """
    n_rows = len(inputs)
    if n_rows % _CHUNK_STEP:
        inputs = torch.cat([inputs, inputs.new_zeros((-n_rows % _CHUNK_STEP, *inputs.shape[1:]))])
    with torch.inference_mode():
        return encoder(inputs.to(device))[:n_rows].cpu()
