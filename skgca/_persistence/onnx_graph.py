"""Preprocessing and encoder as an ONNX graph, by torch's exporter."""

from __future__ import annotations

import copy
import json
import logging
import os
import warnings
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import singledispatch
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
from .._version import __version__
from ..exceptions import SavedFileError
from .fitted import FittedEmbedder
from .sample_rows import example_rows
from .state import Network, on_cpu

__all__ = ["export_graph", "export_onnx"]

# Name of the output, its module (n, n_features_out) -> (n, k), and what the graph is compared with.
Head = tuple[str, nn.Module, Callable[[np.ndarray], np.ndarray]]

_TOLERANCE = 1e-5  # of the largest entry


def export_onnx(estimator: FittedEmbedder, path: str | os.PathLike[str]) -> None:
    """Write a graph, after a check that it embeds as ``transform`` does; see :meth:`GCAEmbedder.export_onnx`."""
    export_graph(estimator, path)


def export_graph(
    estimator: FittedEmbedder,
    path: str | os.PathLike[str],
    *,
    head: Head | None = None,
    metadata: Mapping[str, str] | None = None,
) -> None:
    """Write the graph of an embedder, and of a head behind it, with further metadata.

    Raises
    ------
    SavedFileError
        If it cannot be exported, or computes something else.
    """
    _need_packages()
    reader = estimator.reader_
    rows = example_rows(reader)
    preprocessing = _preprocessing(reader)
    X = preprocessing.graph_input(rows)
    graph = _Graph(preprocessing, _plain_copy(estimator.encoder_), None if head is None else head[1])
    names = ["embedded", *([] if head is None else [head[0]])]  # not "embedding", which nodes of the graph may be named
    model = _exported(graph, torch.from_numpy(X), names)
    for key, value in {**_metadata(estimator, preprocessing), **(metadata or {})}.items():
        model.metadata_props.add(key=key, value=value)
    data = model.SerializeToString()
    source = Rows(preprocessing.rounded(rows))
    expected = embed(on_cpu(estimator.encoder_), reader, source, estimator._n_features_out, "cpu")
    _check(data, X, [expected, *([] if head is None else [head[2](expected)])])
    replace_file(path, data)


# The graph


class _Preprocessing(nn.Module, ABC):
    """Does in the graph what a reader does, on float32: (n, ...) as ``transform`` takes it -> the inputs.

    The defaults are those of data that are numbers of one type.
    """

    @abstractmethod
    def forward(self, X: Tensor) -> Tensor:
        """Read rows."""

    def graph_input(self, rows: np.ndarray) -> np.ndarray:
        """Return rows as the graph takes them."""
        return rows.astype(np.float32)

    def rounded(self, rows: np.ndarray) -> np.ndarray:
        """Return rows with numbers rounded to float32, so that ``transform`` sees the numbers that the graph sees."""
        return rows

    def metadata(self) -> dict[str, str]:
        """Return what the file says of the rows, besides their kind and shape."""
        return {}


class _Graph(nn.Module):
    """Preprocessing, the encoder, and a head if there is one: (n, ...) -> (n, n_features_out), (n, k)."""

    def __init__(self, preprocessing: _Preprocessing, encoder: nn.Module, head: nn.Module | None) -> None:
        super().__init__()
        self.preprocessing = preprocessing
        self.encoder = encoder
        self.head = head

    def forward(self, X: Tensor) -> Tensor | tuple[Tensor, Tensor]:
        embedding: Tensor = self.encoder(self.preprocessing(X))
        return embedding if self.head is None else (embedding, self.head(embedding))


class _Table(_Preprocessing):
    """Does what :class:`TableReader` does."""

    numbers: Tensor
    order: Tensor
    robust_mean: Tensor
    robust_scale: Tensor
    without_values: Tensor
    final_mean: Tensor
    final_scale: Tensor

    def __init__(self, reader: TableReader) -> None:
        super().__init__()
        self.reader = reader
        numbers = np.flatnonzero(~reader.is_category)
        self.register_buffer("numbers", torch.from_numpy(numbers))
        self.scales = reader.scaler.standardize and len(numbers) > 0
        if self.scales:
            # the robust step in double precision and the final one in single, as the reader computes them
            robust, final = reader.scaler.robust, reader.scaler.final
            self.register_buffer("robust_mean", torch.from_numpy(robust.mean_.astype(np.float64)))
            # the scale of a column without values in fit is NaN, so that all its values are missing
            self.register_buffer(
                "robust_scale", torch.from_numpy(np.nan_to_num(robust.scale_.astype(np.float64), nan=1))
            )
            self.register_buffer("without_values", torch.from_numpy(np.isnan(robust.scale_)))
            self.register_buffer("final_mean", torch.from_numpy(final.mean_.astype(np.float32)))
            self.register_buffer("final_scale", torch.from_numpy(final.scale_.astype(np.float32)))
        self.categories = nn.ModuleList([_Category(j, reader, known) for j, known in reader.categories().items()])
        # Columns leave forward with all numbers first; this brings them back to their places.
        order = np.argsort(np.concatenate([numbers, np.flatnonzero(reader.is_category)])).astype(np.int64)
        self.register_buffer("order", torch.from_numpy(order))

    def forward(self, X: Tensor) -> Tensor:
        numbers = X[:, self.numbers]
        missing = numbers.isnan()
        if self.scales:
            missing = missing | self.without_values
            # 0 stands for NaN meanwhile, since runtimes differ in what clipping makes of NaN
            scaled = (numbers.double().masked_fill(missing, 0.0) - self.robust_mean) / self.robust_scale
            numbers = ((squash(scaled, torch) - self.final_mean) / self.final_scale).masked_fill(missing, torch.nan)
        if len(self.categories) == 0:
            return numbers
        return torch.cat([numbers, *(category(X) for category in self.categories)], dim=1)[:, self.order]

    def graph_input(self, rows: np.ndarray) -> np.ndarray:
        if not self.reader.is_category.any():
            return super().graph_input(rows)
        X = np.empty(rows.shape, dtype=np.float32)
        categories = self.reader.categories()
        for j, values in enumerate(rows.T):
            missing = np.array([is_missing(value) for value in values])
            X[missing, j] = np.nan
            if self.reader.held[j] == "text":
                codes = {category: code for code, category in enumerate(categories[j].tolist(), start=1)}
                X[~missing, j] = [codes.get(value, 0) for value in values[~missing]]
            else:
                X[~missing, j] = values[~missing].astype(np.float64)
        return X

    def rounded(self, rows: np.ndarray) -> np.ndarray:
        rows = rows.copy()
        is_number = ~self.reader.is_category
        rows[:, is_number] = rows[:, is_number].astype(np.float32).astype(np.float64)
        return rows

    def metadata(self) -> dict[str, str]:
        names, held = self.reader.names, self.reader.held
        texts = {
            str(names[j]): [None if is_missing(value) else value for value in known]
            for j, known in self.reader.categories().items()
            if held[j] == "text"
        }
        return {"feature_names": json.dumps([str(name) for name in names]), "categories": json.dumps(texts)}


class _Category(nn.Module):
    """Codes of the categories in a column, (n, d) -> (n, 1).

    Columns of text come as codes: their categories here are the codes themselves. Those of others are looked up.
    """

    values: Tensor
    codes: Tensor

    def __init__(self, column: int, reader: TableReader, categories: np.ndarray) -> None:
        super().__init__()
        self.column = column
        present = [value for value in categories if not is_missing(value)]
        codes = torch.arange(1.0, len(present) + 1)
        values = codes if reader.held[column] == "text" else torch.tensor([float(value) for value in present])
        if len(values.unique()) < len(values):
            raise SavedFileError(
                f"Column {reader.names[column]!r} has categories that are one number in float32; number them from 0."
            )
        if not present:  # a column without a value: no number equals NaN
            values, codes = torch.tensor([torch.nan]), torch.zeros(1)
        self.register_buffer("values", values)
        self.register_buffer("codes", codes)
        self.steps = [2**k for k in reversed(range(len(values).bit_length()))]
        self.missing_code = float(len(categories)) if len(present) < len(categories) else 0.0

    def forward(self, X: Tensor) -> Tensor:
        column = X[:, self.column]
        # A binary search: place is that of the largest value that is not above the one searched. Comparing with all
        # values at once would take memory for n x k entries.
        place = torch.zeros_like(column, dtype=torch.int64)
        for step in self.steps:
            ahead = (place + step).clamp(max=len(self.values) - 1)
            place = torch.where(self.values[ahead] <= column, ahead, place)
        is_known = torch.eq(self.values[place], column)
        codes = torch.where(is_known, self.codes[place], 0.0)
        return codes.masked_fill(column.isnan(), self.missing_code)[:, None]


class _Stack(_Preprocessing):
    """Does what :class:`ImageReader` or :class:`SeriesReader` does."""

    low: Tensor
    span: Tensor
    limits: Tensor | None

    def __init__(
        self, reader: ImageReader | SeriesReader, layout: tuple[int, ...], *, adds_channel: bool, last: bool
    ) -> None:
        super().__init__()
        shape = (-1, *[1] * reader.n_dimensions)  # (n_channels or 1, 1, ...), which broadcasts over a batch
        self.register_buffer("low", torch.as_tensor(reader.low, dtype=torch.float32).reshape(shape))
        self.register_buffer("span", torch.as_tensor(reader.span, dtype=torch.float32).reshape(shape))
        limits = None if reader.limits is None else torch.from_numpy(reader.limits).float().view(2, *shape)
        self.register_buffer("limits", None if limits is None or limits.isinf().all() else limits)
        self.maps = bool((self.low != 0).any() or (self.span != 1).any())
        self.layout = layout
        self.adds_channel = adds_channel
        self.last = last

    def forward(self, X: Tensor) -> Tensor:
        X = X.reshape(-1, *self.layout)
        if self.adds_channel:
            X = X[:, None]  # (n, h, w) -> (n, 1, h, w)
        elif self.last:
            X = X.permute(0, 3, 1, 2)  # (n, h, w, c) -> (n, c, h, w)
        if self.maps:
            X = (X - self.low) / self.span
        return X if self.limits is None else X.clamp(self.limits[0], self.limits[1])

    def rounded(self, rows: np.ndarray) -> np.ndarray:
        return rows if rows.dtype == np.uint8 else rows.astype(np.float32)


@singledispatch
def _preprocessing(reader: Reader) -> _Preprocessing:
    """Make what does in the graph what a reader does."""
    raise TypeError(f"There is no graph for a {type(reader).__name__}; register a function for it.")


@_preprocessing.register
def _(reader: TableReader) -> _Preprocessing:
    if reader.dates:
        dates = ", ".join(f"{reader.names[j]!r} ({column.held})" for j, column in reader.dates.items())
        raise SavedFileError(
            f"ONNX cannot read these columns: {dates}. A graph takes float32, which does not hold seconds of years. "
            "Fit with numbers in their place, such as days since a date and sines and cosines of the hour, or use save."
        )
    return _Table(reader)


@_preprocessing.register
def _(reader: ImageReader) -> _Preprocessing:
    return _Stack(reader, reader.layout, adds_channel=len(reader.layout) == 2, last=reader.last)


@_preprocessing.register
def _(reader: SeriesReader) -> _Preprocessing:
    if reader.is_ragged or reader.any_gaps:
        what = "of unequal lengths" if reader.is_ragged else "with gaps"
        raise SavedFileError(
            f"Series {what} cannot be exported to ONNX; use save, or fit on series of equal length without NaN."
        )
    return _Stack(reader, reader.shape, adds_channel=False, last=False)


# Export


def _need_packages() -> None:
    for name in ("onnx", "onnxscript", "onnxruntime"):
        import_optional(name, needed_for="export_onnx", extra="onnx")


def _plain_copy(encoder: Network) -> Network:
    """Copy an encoder to the CPU, without tensors of inference mode, which cannot be traced."""
    encoder = copy.deepcopy(encoder).cpu().eval()
    for part in encoder.modules():
        for name, buffer in part.named_buffers(recurse=False):
            setattr(part, name, buffer.detach().clone())
    return encoder.requires_grad_(False)


def _exported(graph: nn.Module, X: Tensor, names: list[str]) -> Any:
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
                output_names=names,
                dynamic_shapes=shapes,
            )
        assert program is not None  # it is with dynamo=True
        return program.model_proto
    except Exception as error:
        raise SavedFileError(
            f"torch cannot export the encoder to ONNX: {type(error).__name__}: {str(error)[:500]} An encoder of your "
            "own must be traceable by torch.export, for any number of rows."
        ) from error


@contextmanager
def _silence() -> Iterator[None]:
    """Suppress warnings and logs of the exporter, which are about its own parts."""
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(before)


def _metadata(estimator: FittedEmbedder, preprocessing: _Preprocessing) -> dict[str, str]:
    reader = estimator.reader_
    return {
        "skgca": __version__,
        "kind": reader.kind,
        "input_shape": json.dumps(list(reader.shape)),
        "output_names": json.dumps(estimator.get_feature_names_out().tolist()),
        **preprocessing.metadata(),
    }


def _check(data: bytes, X: np.ndarray, expected: list[np.ndarray]) -> None:
    """Raise SavedFileError if onnxruntime computes other outputs, for all rows together or the first alone."""
    import onnxruntime

    session = onnxruntime.InferenceSession(data, providers=["CPUExecutionProvider"])
    for n_rows in (len(X), 1):
        for found, wanted in zip(session.run(None, {"X": X[:n_rows]}), expected, strict=True):
            error = np.abs(found - wanted[:n_rows]).max() / max(1.0, np.abs(wanted[:n_rows]).max())
            if found.shape != wanted[:n_rows].shape or not error <= _TOLERANCE:
                raise SavedFileError(
                    f"onnxruntime {onnxruntime.__version__} embeds {n_rows} rows differently from transform, by "
                    f"{error:.1e} of the largest entry, where {_TOLERANCE:g} is allowed; nothing was written."
                )
