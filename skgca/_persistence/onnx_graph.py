"""Preprocessing and encoder as an ONNX graph, by torch's exporter."""

from __future__ import annotations

import copy
import json
import logging
import os
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from .._data import ImageReader, Reader, Rows, SeriesReader, TableReader
from .._data.scaling import squash
from .._inference.embedding import embed
from .._utils.files import replace_file
from .._utils.missing import is_missing
from .._utils.optional import import_optional
from .._utils.threads import fixed_threads
from .._version import __version__
from ..exceptions import SavedFileError
from .sample_rows import example_rows
from .state import on_cpu

__all__ = ["export_onnx", "onnx_input"]

_TOLERANCE = 1e-5  # of the largest entry


def export_onnx(estimator: Any, path: str | os.PathLike) -> None:
    """Write a graph, once it was tried; see :meth:`GCAEmbedder.export_onnx`."""
    _need_packages()
    reader = estimator.reader_
    rows = example_rows(reader)
    X = onnx_input(reader, rows)
    model = _exported(_Graph(reader, _plain_copy(estimator.encoder_)), torch.from_numpy(X))
    for key, value in _metadata(estimator).items():
        model.metadata_props.add(key=key, value=value)
    data = model.SerializeToString()
    with fixed_threads(estimator.n_threads):
        source = Rows(_rounded(reader, rows))
        expected = embed(on_cpu(estimator.encoder_), reader, source, estimator._n_features_out, "cpu")
    _check(data, X, expected)
    replace_file(path, data)


def onnx_input(reader: Reader, rows: np.ndarray) -> np.ndarray:
    """Return rows as the graph takes them: float32, with the numbers of categories in place of text."""
    if reader.kind != "table" or not reader.is_category.any():
        return rows.astype(np.float32)
    X = np.empty(rows.shape, dtype=np.float32)
    categories = dict(zip(np.flatnonzero(reader.is_category), reader.known_categories, strict=True))
    for j, values in enumerate(rows.T):
        missing = np.array([is_missing(value) for value in values])
        X[missing, j] = np.nan
        if reader.held[j] == "text":
            codes = {category: code for code, category in enumerate(categories[j].tolist(), start=1)}
            X[~missing, j] = [codes.get(value, 0) for value in values[~missing]]
        else:
            X[~missing, j] = values[~missing].astype(np.float64)
    return X


# The graph


class _Graph(nn.Module):
    """Preprocessing, then the encoder: (n, ...) as ``transform`` takes it -> (n, n_features_out)."""

    def __init__(self, reader: Reader, encoder: nn.Module) -> None:
        super().__init__()
        self.preprocessing = _PREPROCESSING[reader.kind](reader)
        self.encoder = encoder

    def forward(self, X: Tensor) -> Tensor:
        return self.encoder(self.preprocessing(X))


class _Table(nn.Module):
    """Does as :class:`TableReader`, of float32."""

    def __init__(self, reader: TableReader) -> None:
        super().__init__()
        self.register_buffer("numbers", torch.from_numpy(np.flatnonzero(~reader.is_category)))
        self.scales = reader.scaler.standardize and len(self.numbers) > 0
        if self.scales:
            for name, part, dtype in (
                ("robust", reader.scaler.robust, float),
                ("final", reader.scaler.final, np.float32),
            ):
                self.register_buffer(f"{name}_mean", torch.from_numpy(part.mean_.astype(dtype)))
                self.register_buffer(f"{name}_scale", torch.from_numpy(part.scale_.astype(dtype)))
        columns = np.flatnonzero(reader.is_category).tolist()
        known = zip(columns, reader.known_categories, strict=True)
        self.categories = nn.ModuleList([_Category(j, reader, categories) for j, categories in known])
        order = np.argsort(np.concatenate([np.flatnonzero(~reader.is_category), columns])).astype(np.int64)
        self.register_buffer("order", torch.from_numpy(order))

    def forward(self, X: Tensor) -> Tensor:
        numbers = X[:, self.numbers]
        missing = numbers.isnan()
        if self.scales:
            # NaN is put aside, since runtimes differ in what clipping makes of it
            scaled = (numbers.double().masked_fill(missing, 0.0) - self.robust_mean) / self.robust_scale
            numbers = ((squash(scaled, torch) - self.final_mean) / self.final_scale).masked_fill(missing, torch.nan)
        if len(self.categories) == 0:
            return numbers
        return torch.cat([numbers, *(category(X) for category in self.categories)], dim=1)[:, self.order]


class _Category(nn.Module):
    """The numbers of the categories in a column, (n, d) -> (n, 1): those of text as they come, others looked up."""

    def __init__(self, column: int, reader: TableReader, categories: np.ndarray) -> None:
        super().__init__()
        self.column = column
        there = [value for value in categories if not is_missing(value)]
        self.is_text = reader.held[column] == "text"
        values = torch.arange(1.0, len(there) + 1) if self.is_text else torch.tensor([float(v) for v in there])
        if len(values.unique()) < len(values):
            raise SavedFileError(
                f"Column {reader.names[column]!r} has categories that float32 cannot tell apart; number them from 0."
            )
        self.register_buffer("values", values)
        self.register_buffer("codes", torch.arange(1.0, len(there) + 1))
        self.missing_code = float(len(categories)) if len(there) < len(categories) else 0.0

    def forward(self, X: Tensor) -> Tensor:
        column = X[:, self.column : self.column + 1]
        codes = ((column == self.values).float() * self.codes).sum(1, keepdim=True)
        return codes.masked_fill(column.isnan(), self.missing_code)


class _Stack(nn.Module):
    """Does as :class:`ImageReader` or :class:`SeriesReader`, of float32."""

    def __init__(self, reader: ImageReader | SeriesReader) -> None:
        super().__init__()
        self.low, self.span = reader.low, reader.span
        self.layout = tuple(getattr(reader, "layout", reader.shape))
        self.adds_channel = reader.kind == "images" and len(self.layout) == 2
        self.last = getattr(reader, "last", False)

    def forward(self, X: Tensor) -> Tensor:
        X = X.reshape(-1, *self.layout)
        if self.adds_channel:
            X = X[:, None]
        elif self.last:
            X = X.permute(0, 3, 1, 2)
        if self.low != 0:
            X = X - self.low
        return X / self.span if self.span != 1 else X


_PREPROCESSING = {"table": _Table, "images": _Stack, "series": _Stack}


# Export


def _need_packages() -> None:
    for name in ("onnx", "onnxscript", "onnxruntime"):
        import_optional(name, needed_for="export_onnx", extra="onnx")


def _plain_copy(encoder: nn.Module) -> nn.Module:
    """Copy an encoder to the CPU, without tensors of inference mode, which cannot be traced."""
    encoder = copy.deepcopy(encoder).cpu().eval()
    for part in encoder.modules():
        for name, buffer in part.named_buffers(recurse=False):
            setattr(part, name, buffer.detach().clone())
    return encoder.requires_grad_(False)


def _exported(graph: nn.Module, X: Tensor) -> Any:
    """Return the onnx.ModelProto of a graph whose batch axis is free."""
    shapes = {"X": {0: torch.export.Dim("n_samples")}}
    try:
        with _silence():
            program = torch.onnx.export(
                graph.eval(),
                (X,),
                dynamo=True,
                verbose=False,
                input_names=["X"],
                output_names=["embedded"],  # the graph may have a node named embedding
                dynamic_shapes=shapes,
            )
            return program.model_proto
    except Exception as error:
        raise SavedFileError(
            f"torch cannot export the encoder to ONNX: {type(error).__name__}: {str(error)[:500]} An encoder of your "
            "own must be traceable by torch.export, for any number of rows."
        ) from error


@contextmanager
def _silence() -> Iterator[None]:
    """Keep back what the exporter warns of and logs, which is about its own parts."""
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(before)


def _metadata(estimator: Any) -> dict[str, str]:
    reader = estimator.reader_
    found = {"skgca": __version__, "kind": reader.kind, "input_shape": json.dumps(list(reader.shape))}
    found["output_names"] = json.dumps(estimator.get_feature_names_out().tolist())
    if reader.kind == "table":
        found["feature_names"] = json.dumps([str(name) for name in reader.names])
        known = zip(np.flatnonzero(reader.is_category), reader.known_categories, strict=True)
        texts = {
            str(reader.names[j]): [None if is_missing(value) else value for value in categories]
            for j, categories in known
            if reader.held[j] == "text"
        }
        found["categories"] = json.dumps(texts)
    return found


def _rounded(reader: Reader, rows: np.ndarray) -> np.ndarray:
    """Round numbers as float32 does, which the graph takes."""
    if reader.kind != "table":
        return rows
    rows = rows.copy()
    is_number = ~reader.is_category
    rows[:, is_number] = rows[:, is_number].astype(np.float32).astype(np.float64)
    return rows


def _check(data: bytes, X: np.ndarray, expected: np.ndarray) -> None:
    """Raise SavedFileError if onnxruntime embeds rows otherwise, together or one alone."""
    import onnxruntime

    session = onnxruntime.InferenceSession(data, providers=["CPUExecutionProvider"])
    for rows, wanted in ((X, expected), (X[:1], expected[:1])):
        (found,) = session.run(None, {"X": rows})
        error = np.abs(found - wanted).max() / max(1.0, np.abs(wanted).max())
        if found.shape != wanted.shape or not error <= _TOLERANCE:
            raise SavedFileError(
                f"onnxruntime {onnxruntime.__version__} embeds {len(rows)} rows otherwise than transform, by "
                f"{error:.1e} of the largest entry, where {_TOLERANCE:g} is allowed; nothing was written."
            )
