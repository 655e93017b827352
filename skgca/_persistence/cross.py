"""Files of two embedders that were trained together: those of :class:`GCACrossEmbedder`.

A file has the format of :mod:`.saving`. Two of its tensors hold the files of the embedders, byte by byte.
"""

from __future__ import annotations

import os
from typing import Any, TypeVar

import sklearn
from torch import Tensor

from .._utils.files import replace_file
from .._version import __version__
from ..exceptions import SavedFileError
from .codec import decode, encode_parameter
from .nested import embedder_as_tensor, embedder_in, opening
from .saving import packed
from .state import requests_of, set_requests

__all__ = ["load_cross", "save_cross"]

Cross = TypeVar("Cross")  # a class of GCACrossEmbedder


def save_cross(estimator: Any, path: str | os.PathLike[str]) -> None:
    """Write a fitted ``GCACrossEmbedder`` to a file.

    Raises
    ------
    SavedFileError
        If one of its embedders cannot be saved.
    """
    tensors: dict[str, Tensor] = {name: embedder_as_tensor(getattr(estimator, f"{name}_")) for name in estimator._parts}
    params = {name: value for name, value in estimator.get_params(deep=False).items() if name not in tensors}
    content = {
        "class": type(estimator).__name__,
        "versions": {"skgca": __version__, "scikit-learn": sklearn.__version__},
        "parameters": {name: encode_parameter(name, value, tensors) for name, value in params.items()},
        "requests": requests_of(getattr(estimator, "_metadata_request", None)),
    }
    replace_file(path, packed(content, tensors))


def load_cross(
    cls: type[Cross], embedder_class: type[Any], shared: tuple[str, ...], path: str | os.PathLike[str], **options: Any
) -> Cross:
    """Return the estimator in a file that :func:`save_cross` wrote.

    Parameters
    ----------
    cls, embedder_class : type
        ``GCACrossEmbedder`` and ``GCAEmbedder``.
    shared : tuple of str
        Parameters that its fitted embedders have from it. Those of its own parameters have the defaults.
    path : str or path
    **options : dict
        As ``GCAEmbedder.load`` has them, ``custom`` for each embedder by the name of its parameter.

    Raises
    ------
    SavedFileError
        If the file is damaged, or holds something else.
    OSError
        If the file cannot be read.
    """
    custom = options.pop("custom", None) or {}
    with opening(cls, path) as (content, tensors):
        make: Any = cls
        names = make._parts
        unknown = sorted(set(custom) - set(names))
        if unknown:
            raise SavedFileError(f"custom has {unknown}; it is for {list(names)}, such as {{{names[0]!r}: {{...}}}}.")
        sides = {name: embedder_in(embedder_class, tensors[name], custom=custom.get(name), **options) for name in names}
        defaults = embedder_class()
        given = {name: side.__sklearn_clone__() for name, side in sides.items()}
        for side in given.values():  # a clone of the estimator trains embedders of these parameters
            side.set_params(**{name: getattr(defaults, name) for name in shared})
        parameters = {name: decode(value, tensors) for name, value in content["parameters"].items()}
        if options.get("device") is not None:
            parameters["device"] = options["device"]
        estimator = make(**given, **parameters)
        set_requests(estimator, content["requests"])
        estimator._take(*sides.values())
    restored: Cross = estimator
    return restored
