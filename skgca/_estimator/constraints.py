"""The parameters of the estimator: their groups, and the values that each may have.

Combinations of parameters are checked where they are used.
"""

import os
from inspect import signature
from numbers import Integral, Real
from typing import Any

import numpy as np
import torch
from torch import nn

from .._builders.network import ENCODERS, NUMERIC_EMBEDDINGS
from .._builders.views import VIEWS
from .._utils.compat import Interval, StrOptions
from ..losses import PRESETS, VIEW_PAIRS, LearnableEpsilon
from ..losses._alignment import LAYOUTS
from ..losses._targets import TARGETS
from ..ot._autograd import GRADIENTS
from ..ot._log_kernel import LOG_KERNELS

__all__ = ["PARAMETER_CONSTRAINTS", "PARAMETER_GROUPS", "defaults_of"]

# Docstring, signature and HTML of GCAEmbedder have these groups and this order.
PARAMETER_GROUPS: dict[str, dict[str, list[Any]]] = {
    "essentials": {
        "n_components": [StrOptions({"auto"}), Interval(Integral, 1, None, closed="left")],
        "loss": [StrOptions(PRESETS.keys())],  # keys() is live: a loss registered later is valid too
        "epsilon": [Interval(Real, 0, None, closed="neither"), LearnableEpsilon],
        "marginals": [None, StrOptions({"row", "balanced"}), Interval(Real, 0, np.inf, closed="both"), tuple, list],
        "encoder": [StrOptions({"auto", *ENCODERS}), nn.Module, callable],
        "views": [StrOptions({"auto", *VIEWS}), callable, list, tuple],
        "max_epochs": [StrOptions({"auto"}), Interval(Integral, 0, None, closed="left")],
        "batch_size": [Interval(Integral, 2, None, closed="left")],
        "lr": [Interval(Real, 0, None, closed="neither")],
        "random_state": ["random_state"],
    },
    "loss": {
        "cost": [StrOptions(set(LOG_KERNELS))],
        "layout": [StrOptions(set(LAYOUTS))],
        "q": [None, Real],  # make_loss checks the ranges of its options
        "lam": [None, Real],
        "kl": [None, str],
        "kl_weight": [None, Real],
        "rince_weight": [None, Real],
        "marginal_weight": [None, Real],
        "entropy_weight": [None, Real],
        "uniformity_weight": [None, Real],
        "ema_decay": [None, Interval(Real, 0, 1, closed="both")],
        "sinkhorn_n_iter": [None, Interval(Integral, 1, None, closed="left")],
        "sinkhorn_tol": [None, Interval(Real, 0, None, closed="neither")],
        "sinkhorn_gradient": [StrOptions(set(GRADIENTS))],
        "sinkhorn_memory_limit": [None, Interval(Real, 0, None, closed="left")],
    },
    "target": {
        "target": [None, StrOptions(set(TARGETS) - {"affinity"}), callable, "array-like", "sparse matrix"],
        "sigma": [None, Real],
        "alpha": [None, Real],
        "beta": [None, Real],
        "related": [None, callable],
    },
    "network": {
        "hidden_layer_sizes": [None, "array-like"],
        "dropout": [Interval(Real, 0, 1, closed="left")],
        "normalization": [None, StrOptions({"batch", "layer"})],
        "numeric_embedding": [None, StrOptions(set(NUMERIC_EMBEDDINGS))],
        "layers": [StrOptions({"auto", "all", "last"})],
        "passthrough": [StrOptions({"auto"}), "boolean"],
        "projection_sizes": ["array-like"],
    },
    "views and input": {
        "n_views": [None, Interval(Integral, 2, None, closed="left")],
        "view_pairs": [StrOptions(set(VIEW_PAIRS))],
        "corruption_rate": [Interval(Real, 0, 1, closed="both")],
        "standardize": ["boolean"],
        "categorical_features": [None, StrOptions({"from_dtype"}), "array-like"],
        "image_shape": [None, tuple, list],
    },
    "optimisation and stopping": {
        "weight_decay": [Interval(Real, 0, None, closed="left")],
        "warmup_fraction": [Interval(Real, 0, 1, closed="both")],
        "early_stopping": ["boolean"],
        "validation_fraction": [Interval(Real, 0, 1, closed="neither")],
        "n_iter_no_change": [Interval(Integral, 1, None, closed="left")],
        "tol": [Interval(Real, 0, None, closed="left")],
        "callbacks": [None, list, tuple],
        "warm_start": ["boolean"],
    },
    "checkpoints": {
        "checkpoint_dir": [None, str, os.PathLike],
        "checkpoint_epochs": [Interval(Integral, 1, None, closed="left")],
        "checkpoint_minutes": [Interval(Real, 0, None, closed="left")],
        "resume": ["boolean"],
    },
    "runtime": {
        "micro_batch_size": [None, Interval(Integral, 1, None, closed="left")],
        "precision": [StrOptions({"auto", "float32", "bfloat16"})],
        "compile": ["boolean"],
        "device": [str, torch.device],
        "n_threads": [StrOptions({"auto"}), Interval(Integral, 1, None, closed="left")],
        "distributed": [None, "boolean"],
        "n_reference_rows": [Interval(Integral, 0, None, closed="left")],
        "verbose": ["verbose"],
    },
}
PARAMETER_CONSTRAINTS = {name: valid for group in PARAMETER_GROUPS.values() for name, valid in group.items()}


def defaults_of(estimator: Any) -> dict[str, Any]:
    """Return the default values of the parameters, from the signature of the class."""
    return {name: parameter.default for name, parameter in signature(type(estimator)).parameters.items()}
