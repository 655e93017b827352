"""From a trained encoder to embeddings: fit its readout, and pass rows through it chunk by chunk."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TypeAlias

import numpy as np
import torch
from torch import Tensor, nn

from .._data import Reader, Rows
from ..encoders import Encoder
from .balance import DependenceEstimate, embedding_scale

__all__ = ["embed", "embed_inputs", "fit_readout"]

Device: TypeAlias = "torch.device | str"

_CHUNK = 1024  # rows that are encoded at a time
_CHUNK_STEP = 32  # chunks are padded to a multiple of so many rows, see _encode


def fit_readout(
    encoder: Encoder, sample: Tensor, chunk_size: int, device: Device, estimate: DependenceEstimate | None = None
) -> None:
    """Fit the readout of an encoder to training rows without views, and scale it beside the inputs that pass through.

    Parameters
    ----------
    encoder : Encoder
        In evaluation mode.
    sample : Tensor of shape (k, ...)
        Some training rows as inputs.
    chunk_size : int
        Number of rows that memory has room for at a time.
    device : torch.device
        Device of the encoder.
    estimate : DependenceEstimate, default=None
        As for :func:`embedding_scale`.
    """
    with torch.inference_mode():
        parts = sample.split(min(_CHUNK, chunk_size))
        activations = [encoder.activations(part.to(device)).cpu() for part in parts]
    with torch.no_grad():  # not inference mode: its tensors could not be loaded into later
        # on the CPU, since not every accelerator has double precision
        encoder.readout.fit(torch.cat(activations))
        if encoder.passthrough:
            embedding = torch.cat([encoder.readout(part.to(device)).cpu() for part in activations])
            inputs = torch.cat([encoder.stem.plain(part.to(device)).cpu() for part in parts])
            sources = encoder.stem.plain_sources(inputs.shape[1])
            encoder.readout.multiply(embedding_scale(embedding, inputs, sources, estimate))


def embed(encoder: nn.Module, reader: Reader, rows: Rows, width: int, device: Device) -> np.ndarray:
    """Embed all rows: (n, width). Memory is bounded, apart from the result.

    ``encoder`` is an :class:`Encoder`, or a module with a head, which then projects the rows.

    Raises
    ------
    ValueError
        If an embedding is not finite; the message names the row.
    """
    embedding: np.ndarray = np.empty((len(rows), width), dtype=reader.output_dtype(rows.dtype))
    read = reader.at(rows)
    # the rows of one chunk of the encoder, or of up to eight of them, are read at a time
    chunk_size = min(_CHUNK, rows.chunk_size())
    step = max(1, min(8, rows.chunk_size() // _CHUNK)) * chunk_size
    place = 0
    for inputs in _regrouped((read(chunk) for chunk in rows.chunks(step)), chunk_size):
        for part in inputs.split(_CHUNK):
            encoded = _encode(encoder, part, device)
            if not encoded.sum().isfinite():  # faster than a look at each value
                _check_finite(encoded, part, place)
            embedding[place : place + len(encoded)] = encoded.numpy()
            place += len(encoded)
    return embedding


def _regrouped(chunks: Iterator[Tensor], size: int) -> Iterator[Tensor]:
    """Return rows in groups of a multiple of ``size``, except the last, though chunks end where parts of a file do."""
    waiting: Tensor | None = None
    for chunk in chunks:
        inputs = chunk if waiting is None else torch.cat([waiting, chunk])
        n_ready = len(inputs) - len(inputs) % size
        if n_ready:
            yield inputs[:n_ready]
        waiting = inputs[n_ready:] if n_ready < len(inputs) else None
    if waiting is not None:
        yield waiting


def embed_inputs(encoder: Encoder, inputs: Tensor, device: Device) -> np.ndarray:
    """Embed rows that were read already, with the same bits as :func:`embed`: (n, ...) -> float32 (n, d)."""
    embedding: np.ndarray = torch.cat([_encode(encoder, part, device) for part in inputs.split(_CHUNK)]).numpy()
    return embedding


def _check_finite(encoded: Tensor, inputs: Tensor, place: int) -> None:
    """Raise ValueError if the embedding of a row is not finite; ``place`` is the number of the first row."""
    bad = ~encoded.isfinite().all(dim=1)
    if bad.any():
        row = int(bad.int().argmax())
        raise ValueError(
            f"The embedding of row {place + row} is not finite: its values, up to {inputs[row].abs().max():.3g} in "
            "size, are too large for the encoder. Use standardize=True, or scale the features before."
        )


def _encode(encoder: nn.Module, inputs: Tensor, device: Device) -> Tensor:
    """Embed one chunk of rows.

    Torch multiplies matrices of few rows by other kernels, which round differently. After padding to a multiple of
    _CHUNK_STEP rows, the embedding of a row does not depend on the rows beside it: to the bit on most processors, and
    up to rounding on all.
    """
    n_rows = len(inputs)
    if n_rows % _CHUNK_STEP:
        inputs = torch.cat([inputs, inputs.new_zeros((-n_rows % _CHUNK_STEP, *inputs.shape[1:]))])
    with torch.inference_mode():
        encoded: Tensor = encoder(inputs.to(device))
        return encoded[:n_rows].cpu()
