"""Files and graphs of an embedder with a head: those of :class:`GCAClassifier` and :class:`GCARegressor`.

A file has the format of :mod:`.saving`. One of its tensors holds the file of the embedder, byte by byte.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from contextlib import suppress
from typing import Any, Protocol, TypeVar

import numpy as np
import sklearn
import torch
from sklearn.linear_model import (
    ElasticNet,
    Lasso,
    LinearRegression,
    LogisticRegression,
    LogisticRegressionCV,
    Ridge,
    RidgeCV,
)
from torch import Tensor, nn

from .._utils.files import replace_file
from .._version import __version__
from ..exceptions import SavedFileError
from .codec import UnknownClassError, decode, encode, qualified_name
from .fitted import FittedEmbedder
from .onnx_graph import export_graph
from .saving import checked, opened, packed, read, to_bytes

__all__ = ["FittedModel", "export_model", "load_model", "save_model"]

Model = TypeVar("Model")  # a class of GCAClassifier or GCARegressor

# Heads whose fitted attributes are numbers, and whose predictions follow from coefficients and intercept.
_HEADS = {
    cls.__name__: cls
    for cls in (ElasticNet, Lasso, LinearRegression, LogisticRegression, LogisticRegressionCV, Ridge, RidgeCV)
}
_FITTED = ("classes_", "mean_", "scale_", "n_steps_", "ways_")  # attributes of the model, besides embedder_ and head_


class FittedModel(Protocol):
    """A fitted ``GCAClassifier`` or ``GCARegressor``."""

    embedder: Any
    head: Any
    embedder_: Any
    head_: Any

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        """Return the parameters."""


def save_model(model: FittedModel, path: str | os.PathLike[str]) -> None:
    """Write a fitted model to a file.

    Raises
    ------
    SavedFileError
        If its head is of a class that a file cannot hold, or the embedder cannot be saved.
    """
    tensors: dict[str, Tensor] = {"embedder": torch.frombuffer(bytearray(to_bytes(model.embedder_)), dtype=torch.uint8)}
    params = {name: value for name, value in model.get_params(deep=False).items() if name not in ("embedder", "head")}
    content = {
        "class": type(model).__name__,
        "versions": {"skgca": __version__, "scikit-learn": sklearn.__version__},
        "parameters": {name: _encoded(value, tensors, name) for name, value in params.items()},
        "attributes": _attributes(model, _FITTED, tensors, "model"),
        "head": _encoded_head(model.head_, tensors),
    }
    replace_file(path, packed(content, tensors))


def load_model(cls: type[Model], embedder_class: type[Any], path: str | os.PathLike[str], **options: Any) -> Model:
    """Return the model in a file that :func:`save_model` wrote; ``options`` are those of ``GCAEmbedder.load``.

    Raises
    ------
    SavedFileError
        If the file is damaged, or holds something else.
    OSError
        If the file cannot be read.
    """
    data = read(path)
    try:
        content, tensors = checked(data)
        if content.get("class") != cls.__name__ or "head" not in content:
            raise SavedFileError(f"it holds a {content.get('class')}; open it by {content.get('class')}.load.")
        embedder = opened(embedder_class, tensors["embedder"].numpy().tobytes(), **options)
        head = _decoded_head(content["head"], tensors)
        parameters = {name: decode(value, tensors) for name, value in content["parameters"].items()}
        # A clone trains an embedder of the same parameters, and a head of the same.
        make: Any = cls
        model = make(embedder.__sklearn_clone__(), head=head.__class__(**head.get_params()), **parameters)
        for name, value in content["attributes"].items():
            if name not in _FITTED:  # a file must not replace methods
                raise SavedFileError(f"{name!r} is no fitted attribute.")
            setattr(model, name, decode(value, tensors))
    except SavedFileError as error:
        raise SavedFileError(f"{os.fspath(path)!r} cannot be opened: {error}") from error
    model.embedder_, model.head_ = embedder, head
    for name in ("n_features_in_", "feature_names_in_"):
        if hasattr(embedder, name):
            setattr(model, name, getattr(embedder, name))
    loaded: Model = model
    return loaded


def _encoded(value: Any, tensors: dict[str, Tensor], name: str) -> Any:
    try:
        return encode(value, tensors, name)
    except UnknownClassError as error:
        raise SavedFileError(f"{name}={value!r} is of class {error}, which a file cannot hold; use pickle.") from error


def _attributes(owner: Any, names: Any, tensors: dict[str, Tensor], place: str) -> dict[str, Any]:
    found = {}
    for name in names:
        if hasattr(owner, name):
            with suppress(UnknownClassError):
                found[name] = encode(getattr(owner, name), tensors, f"{place}.{name}")
    return found


def _encoded_head(head: Any, tensors: dict[str, Tensor]) -> dict[str, Any]:
    if _HEADS.get(type(head).__name__) is not type(head):
        raise SavedFileError(
            f"a file cannot hold a head of class {qualified_name(head)}, only {sorted(_HEADS)}; save the embedder by "
            "model.embedder_.save, and the head by joblib, or pickle the whole."
        )
    fitted = [name for name in vars(head) if name.endswith("_") and not name.startswith("_")]
    return {
        "class": type(head).__name__,
        "parameters": {name: _encoded(value, tensors, f"head__{name}") for name, value in head.get_params().items()},
        "attributes": _attributes(head, fitted, tensors, "head"),
    }


def _decoded_head(encoded: dict[str, Any], tensors: dict[str, Tensor]) -> Any:
    name = encoded["class"]
    if name not in _HEADS:
        raise SavedFileError(f"a head of class {name!r} is not known; this version knows {sorted(_HEADS)}.")
    head = _HEADS[name](**{key: decode(value, tensors) for key, value in encoded["parameters"].items()})
    for key, value in encoded["attributes"].items():
        if key.startswith("_") or not key.endswith("_"):
            raise SavedFileError(f"{key!r} is no fitted attribute.")
        setattr(head, key, decode(value, tensors))
    return head


# ONNX


class _LinearHead(nn.Module):
    """Outputs of a linear model: (n, n_features_out) -> (n, k)."""

    def __init__(self, head: Any, finish: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        coef, intercept = np.atleast_2d(head.coef_), np.atleast_1d(head.intercept_)
        self.register_buffer("coef", torch.from_numpy(np.asarray(coef, dtype=np.float32)))
        self.register_buffer("intercept", torch.from_numpy(np.broadcast_to(intercept, len(coef)).astype(np.float32)))
        self.finish = finish

    def forward(self, embedded: Tensor) -> Tensor:
        return self.finish(embedded @ self.coef.T + self.intercept)  # type: ignore[operator]


def _probabilities(values: Tensor) -> Tensor:
    if values.shape[1] == 1:  # two classes
        second = torch.sigmoid(values)
        return torch.cat([1.0 - second, second], dim=1)
    return torch.softmax(values, dim=1)


def export_model(model: Any, path: str | os.PathLike[str]) -> None:
    """Write preprocessing, encoder and head as an ONNX graph, with a second output.

    This is ``probabilities`` (n, n_classes) of a classifier, whose classes are in the metadata, or ``predicted`` (n, k)
    of a regressor.

    Raises
    ------
    SavedFileError
        If the head is not one that a file can hold, or the graph predicts something else.
    """
    head = model.head_
    if _HEADS.get(type(head).__name__) is not type(head):
        raise SavedFileError(f"a graph cannot hold a head of class {qualified_name(head)}, only {sorted(_HEADS)}.")
    embedder: FittedEmbedder = model.embedder_
    if hasattr(model, "classes_"):
        export_graph(
            embedder,
            path,
            head=("probabilities", _LinearHead(head, _probabilities), head.predict_proba),
            metadata={"classes": json.dumps([str(name) for name in model.classes_])},
        )
        return
    mean, scale = (torch.from_numpy(np.atleast_1d(each).astype(np.float32)) for each in (model.mean_, model.scale_))
    export_graph(
        embedder,
        path,
        head=(
            "predicted",
            _LinearHead(head, lambda values: values * scale + mean),
            lambda Z: (head.predict(Z) * model.scale_ + model.mean_).reshape(len(Z), -1),
        ),
    )
