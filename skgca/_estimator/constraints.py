"""What each parameter of the estimator may be, by itself; what does not go together is found where it is used."""

import os
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

__all__ = ["PARAMETER_CONSTRAINTS"]

PARAMETER_CONSTRAINTS: dict[str, list[Any]] = {
    "n_components": [StrOptions({"auto"}), Interval(Integral, 1, None, closed="left")],
    "loss": [StrOptions(set(PRESETS))],
    "epsilon": [Interval(Real, 0, None, closed="neither"), LearnableEpsilon],
    "cost": [StrOptions(set(LOG_KERNELS))],
    "marginals": [None, StrOptions({"row", "balanced"}), Interval(Real, 0, np.inf, closed="both"), tuple, list],
    "n_iter": [None, Interval(Integral, 1, None, closed="left")],
    **{option: [None, Real] for option in ("q", "lam", "sigma", "alpha", "beta")},  # in the ranges of the loss
    "kl": [None, str],
    **{f"{term}_weight": [None, Real] for term in ("kl", "rince", "marginal", "entropy", "uniformity")},
    "sinkhorn_tol": [None, Interval(Real, 0, None, closed="neither")],
    "sinkhorn_gradient": [StrOptions(set(GRADIENTS))],
    "memory_limit": [None, Interval(Real, 0, None, closed="left")],
    "layout": [StrOptions(set(LAYOUTS))],
    "target": [None, StrOptions(set(TARGETS) - {"affinity"}), callable, "array-like", "sparse matrix"],
    "related": [None, callable],
    "encoder": [StrOptions({"auto", *ENCODERS}), nn.Module, callable],
    "hidden_layer_sizes": [None, "array-like"],
    "dropout": [Interval(Real, 0, 1, closed="left")],
    "normalization": [None, StrOptions({"batch", "layer"})],
    "numeric_embedding": [None, StrOptions(set(NUMERIC_EMBEDDINGS))],
    "layers": [StrOptions({"auto", "all", "last"})],
    "passthrough": [StrOptions({"auto"}), "boolean"],
    "projection_sizes": ["array-like"],
    "ema_decay": [None, Interval(Real, 0, 1, closed="both")],
    "views": [StrOptions({"auto", *VIEWS}), callable, list, tuple],
    "n_views": [None, Interval(Integral, 2, None, closed="left")],
    "view_pairs": [StrOptions(set(VIEW_PAIRS))],
    "corruption_rate": [Interval(Real, 0, 1, closed="both")],
    "standardize": ["boolean"],
    "categorical_features": [None, StrOptions({"from_dtype"}), "array-like"],
    "image_shape": [None, tuple, list],
    "max_epochs": [StrOptions({"auto"}), Interval(Integral, 0, None, closed="left")],
    "batch_size": [Interval(Integral, 2, None, closed="left")],
    "lr": [Interval(Real, 0, None, closed="neither")],
    "weight_decay": [Interval(Real, 0, None, closed="left")],
    "warmup_fraction": [Interval(Real, 0, 1, closed="both")],
    "early_stopping": ["boolean"],
    "validation_fraction": [Interval(Real, 0, 1, closed="neither")],
    "n_iter_no_change": [Interval(Integral, 1, None, closed="left")],
    "tol": [Interval(Real, 0, None, closed="left")],
    "restore_best": ["boolean"],
    "max_grad_norm": [None, Interval(Real, 0, None, closed="neither")],
    "micro_batch_size": [None, Interval(Integral, 1, None, closed="left")],
    "precision": [StrOptions({"auto", "float32", "bfloat16"})],
    "compile": ["boolean"],
    "callbacks": [None, list, tuple],
    "checkpoint_dir": [None, str, os.PathLike],
    "checkpoint_epochs": [Interval(Integral, 1, None, closed="left")],
    "checkpoint_minutes": [Interval(Real, 0, None, closed="left")],
    "resume": ["boolean"],
    "n_reference_rows": [Interval(Integral, 0, None, closed="left")],
    "device": [str, torch.device],
    "n_threads": [StrOptions({"auto"}), Interval(Integral, 1, None, closed="left")],
    "random_state": ["random_state"],
    "verbose": ["verbose"],
    "warm_start": ["boolean"],
}
