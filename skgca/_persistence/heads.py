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

from .._inference.heads import ForestArrays, SoftVote
from .._utils.files import replace_file
from .._version import __version__
from ..exceptions import SavedFileError
from .codec import UnknownClassError, decode, encode, qualified_name
from .fitted import FittedEmbedder
from .nested import embedder_as_tensor, embedder_in, opening
from .onnx_graph import export_graph
from .saving import packed

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
    tensors: dict[str, Tensor] = {"embedder": embedder_as_tensor(model.embedder_)}
    params = {name: value for name, value in model.get_params(deep=False).items() if name not in ("embedder", "head")}
    content = {
        "class": type(model).__name__,
        "versions": {"skgca": __version__, "scikit-learn": sklearn.__version__},
        "parameters": {name: _encoded(value, tensors, name) for name, value in params.items()},
        "attributes": _attributes(model, _FITTED, tensors, "model"),
        "head": _encoded_head(model.head_, tensors),
        "usual_head": model.head is None,
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
    with opening(cls, path) as (content, tensors):
        if "head" not in content:
            raise SavedFileError(f"it holds a {content.get('class')}; open it by {content.get('class')}.load.")
        embedder = embedder_in(embedder_class, tensors["embedder"], **options)
        head = _decoded_head(content["head"], tensors)
        parameters = {name: decode(value, tensors) for name, value in content["parameters"].items()}
        # A clone trains an embedder of the same parameters, and a head of the same.
        make: Any = cls
        given = None if content["usual_head"] else head.__class__(**head.get_params())
        model = make(embedder.__sklearn_clone__(), head=given, **parameters)
        for name, value in content["attributes"].items():
            if name not in _FITTED:  # a file must not replace methods
                raise SavedFileError(f"{name!r} is no fitted attribute.")
            setattr(model, name, decode(value, tensors))
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


def _check_head(head: Any, holder: str, remedy: str = "") -> None:
    if isinstance(head, SoftVote | ForestArrays) or _HEADS.get(type(head).__name__) is type(head):
        return
    raise SavedFileError(
        f"{holder} cannot hold a head of class {qualified_name(head)}, only {sorted(_HEADS)} and those of head=None"
        f"{remedy}."
    )


def _encoded_head(head: Any, tensors: dict[str, Tensor], place: str = "head") -> dict[str, Any]:
    remedy = "; save the embedder by model.embedder_.save, and the head by joblib, or pickle the whole"
    _check_head(head, "a file", remedy)
    if isinstance(head, SoftVote):
        members = [_encoded_head(member, tensors, f"{place}.{k}") for k, member in enumerate(head.members)]
        return {"class": "SoftVote", "members": members}
    if isinstance(head, ForestArrays):
        return {"class": "ForestArrays", "arrays": _attributes(head, vars(head), tensors, place)}
    fitted = [name for name in vars(head) if name.endswith("_") and not name.startswith("_")]
    return {
        "class": type(head).__name__,
        "parameters": {name: _encoded(value, tensors, f"head__{name}") for name, value in head.get_params().items()},
        "attributes": _attributes(head, fitted, tensors, place),
    }


def _decoded_head(encoded: dict[str, Any], tensors: dict[str, Tensor]) -> Any:
    name = encoded["class"]
    if name == "SoftVote":
        return SoftVote([_decoded_head(member, tensors) for member in encoded["members"]])
    if name == "ForestArrays":
        arrays = {key: decode(value, tensors) for key, value in encoded["arrays"].items()}
        return ForestArrays(arrays.pop("classes_"), **arrays)
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


class _Forest(nn.Module):
    """Probabilities of a forest: (n, n_features_out) -> (n, n_classes)."""

    def __init__(self, forest: ForestArrays) -> None:
        super().__init__()
        for name in ("roots", "feature", "left", "right"):
            self.register_buffer(name, torch.from_numpy(np.asarray(getattr(forest, name), dtype=np.int64)))
        # the largest number in single precision that is not above the threshold compares in the same way
        threshold = forest.threshold.astype(np.float32)
        above = threshold > forest.threshold
        threshold[above] = np.nextafter(threshold[above], np.float32(-np.inf))
        self.register_buffer("threshold", torch.from_numpy(threshold))
        self.register_buffer("share", torch.from_numpy(forest.share.astype(np.float32)))
        self.depth = forest.depth

    def forward(self, embedded: Tensor) -> Tensor:
        place = self.roots.expand(embedded.shape[0], -1)  # type: ignore[operator]
        for _ in range(self.depth):
            goes_left = embedded.gather(1, self.feature[place]) <= self.threshold[place]  # type: ignore[index]
            place = torch.where(goes_left, self.left[place], self.right[place])  # type: ignore[index]
        return self.share[place].mean(dim=1)  # type: ignore[index]


class _Mean(nn.Module):
    """Mean of what several modules return."""

    def __init__(self, members: list[nn.Module]) -> None:
        super().__init__()
        self.members = nn.ModuleList(members)

    def forward(self, embedded: Tensor) -> Tensor:
        return torch.stack([member(embedded) for member in self.members]).mean(dim=0)


def _probabilities(values: Tensor) -> Tensor:
    if values.shape[1] == 1:  # two classes
        second = torch.sigmoid(values)
        return torch.cat([1.0 - second, second], dim=1)
    return torch.softmax(values, dim=1)


def _classifying(head: Any) -> nn.Module:
    """Return a module that makes the probabilities of a fitted classifier from embeddings."""
    if isinstance(head, SoftVote):
        return _Mean([_classifying(member) for member in head.members])
    return _Forest(head) if isinstance(head, ForestArrays) else _LinearHead(head, _probabilities)


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
    _check_head(head, "a graph")
    embedder: FittedEmbedder = model.embedder_
    if hasattr(model, "classes_"):
        export_graph(
            embedder,
            path,
            head=("probabilities", _classifying(head), head.predict_proba),
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
