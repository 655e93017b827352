"""The HTML of an embedder: a caption for its diagram, a table of its parts, and its parameters by group."""

from __future__ import annotations

import html
import math
import reprlib
from collections.abc import Callable, Iterable
from numbers import Real
from typing import TYPE_CHECKING, Any

from torch import nn

from .._builders.loss import LossOptions, make_criterion
from .._builders.network import ENCODERS
from .._data import READERS
from .._utils.compat import VisualBlock
from ..losses import PRESETS, LearnableEpsilon
from ..ot import Marginals
from .constraints import PARAMETER_GROUPS, defaults_of

if TYPE_CHECKING:
    from .embedder import GCAEmbedder

__all__ = ["caption", "description", "html_table", "visual_block"]

_MOST_LAYERS = 6  # networks with more layers are shown by their number of layers, not by widths
_LAYERS = (nn.Linear, nn.Conv1d, nn.Conv2d, nn.Conv3d)
_STYLE = (
    # Like scikit-learn's diagram, the table is hidden until its style is loaded. An untrusted notebook loads no style
    # and shows only the text.
    ".skgca-description {display: block !important; font-family: monospace; font-size: 0.85em; margin: 0.5em 0}"
    ".skgca-description th {text-align: left; font-weight: normal; opacity: 0.65; padding-right: 1em}"
    ".skgca-description td {text-align: left}"
    ".skgca-description th.group {padding-top: 0.5em; opacity: 1}"
    ".skgca-description tr.user-set th {opacity: 1; font-weight: bold}"
)


def description(estimator: GCAEmbedder) -> dict[str, str]:
    """Describe in words the loss and the network of an embedder, and whether it is fitted.

    Loss, epsilon and marginals are those of the parameters, which ``set_params`` may have changed since ``fit``.
    This never raises, even for invalid parameters or missing attributes.

    Parameters
    ----------
    estimator : GCAEmbedder

    Returns
    -------
    dict of str
        "loss", "epsilon", "marginals", "encoder" and "state".
    """
    parts = {"loss": _loss, "epsilon": _epsilon, "marginals": _marginals, "encoder": _encoder, "state": _state}
    return {name: _described(describe, estimator) for name, describe in parts.items()}


def caption(estimator: GCAEmbedder) -> str:
    """Return a short description for the box of a diagram."""
    about = description(estimator)
    return f"{about['loss']}, epsilon {about['epsilon']}, marginals {about['marginals']}"


def html_table(estimator: GCAEmbedder) -> str:
    """Return two tables: the description, and a collapsible one of the parameters by group."""
    rows = "".join(_row(name, text) for name, text in description(estimator).items())
    groups = "".join(_group_rows(estimator, name, group) for name, group in PARAMETER_GROUPS.items())
    return (
        f'<style>{_STYLE}</style><div class="skgca-description" hidden><table>{rows}</table>'
        f"<details><summary>Parameters by group</summary><table>{groups}</table></details></div>"
    )


def _row(name: str, text: str, kind: str = "") -> str:
    attribute = f' class="{kind}"' if kind else ""
    return f"<tr{attribute}><th>{name}</th><td>{html.escape(text)}</td></tr>"


def _group_rows(estimator: GCAEmbedder, heading: str, names: Iterable[str]) -> str:
    """Return rows of a table: a heading, then name and value of each parameter."""
    values = estimator.get_params(deep=False)
    defaults = defaults_of(estimator)
    rows = [f'<tr><th class="group" colspan="2">{heading}</th></tr>']
    for name in names:
        if name in values:  # a subclass may have fewer parameters
            text = reprlib.repr(values[name])
            # compared as text, since == of two arrays gives an array
            changed = text != reprlib.repr(defaults[name])
            rows.append(_row(name, text, "user-set" if changed else "default"))
    return "".join(rows)


def visual_block(estimator: GCAEmbedder) -> Any:
    """Return the box of scikit-learn's diagram, with a caption."""
    name = type(estimator).__name__
    return VisualBlock("single", estimator, names=name, name_details=str(estimator), name_caption=caption(estimator))


def _described(describe: Callable[[GCAEmbedder], str], estimator: GCAEmbedder) -> str:
    try:
        return describe(estimator)
    except Exception:  # showing an estimator must not raise; fit reports invalid parameters
        return "unknown"


def _loss(estimator: GCAEmbedder) -> str:
    loss = estimator.loss
    return loss if isinstance(loss, str) and loss in PRESETS else f"{loss!r}, which is not known"


def _epsilon(estimator: GCAEmbedder) -> str:
    epsilon, last = estimator.epsilon, getattr(estimator, "epsilon_", None)
    if isinstance(epsilon, LearnableEpsilon):
        return f"learned from {epsilon.start:g} {'on' if last is None else f'to {last:.3g}'}"
    text = f"{epsilon:g}" if isinstance(epsilon, Real) else repr(epsilon)
    return text if last is None or last == epsilon else f"{text} ({last:.3g} when fitted)"


def _marginals(estimator: GCAEmbedder) -> str:
    try:
        criterion = make_criterion(LossOptions.of(vars(estimator)))
    except Exception:  # any parameter of the loss may be invalid
        return f"{estimator.marginals!r}, invalid together with the other parameters of the loss"
    if not criterion.repels:
        return "none"  # a loss without negatives has no plan with marginals
    return _strengths(criterion.marginals)


def _strengths(marginals: Marginals) -> str:
    rho_row, rho_col = marginals.rho_row, marginals.rho_col
    if math.isinf(rho_row) and rho_col in (0.0, math.inf):
        return "balanced" if rho_col else "row"
    if rho_row == rho_col:
        return f"relaxed ({rho_row:g})"
    return f"row {_strength(rho_row)}, column {_strength(rho_col)}"


def _strength(rho: float) -> str:
    return "hard" if math.isinf(rho) else f"{rho:g}" if rho else "free"


def _encoder(estimator: GCAEmbedder) -> str:
    net = getattr(estimator, "net_", None)
    if net is not None:
        encoder = net.module_.encoder
        return f"{_architecture(encoder.body)}, {_n_weights(encoder)}"
    given, widths = estimator.encoder, estimator.hidden_layer_sizes
    if isinstance(given, nn.Module):
        return f"{_architecture(given)}, {_n_weights(given)}"
    if not isinstance(given, str):
        return getattr(given, "__name__", type(given).__name__)
    if given != "auto" and given not in ENCODERS:
        return f"{given!r}, which is not known"
    name = f"auto ({', '.join(kind.auto_encoder for kind in READERS.values())})" if given == "auto" else given
    if widths is None and given != "auto":
        widths = ENCODERS[given].widths
    return name if widths is None else f"{name} {'-'.join(str(width) for width in widths)}"


def _architecture(module: nn.Module) -> str:
    """Return the class of a network, with the widths of its input and of each layer."""
    if type(module) is nn.Sequential and len(module) == 2 and isinstance(module[0], nn.Flatten):
        module = module[1]
    layers = [layer for layer in module.modules() if isinstance(layer, _LAYERS)]
    name = type(module).__name__
    if not layers:
        return name
    if len(layers) > _MOST_LAYERS:
        return f"{name} of {len(layers)} layers"
    widths = [_widths(layer) for layer in layers]
    return f"{name} {'-'.join(str(width) for width in (widths[0][0], *(out for _, out in widths)))}"


def _widths(layer: nn.Module) -> tuple[int, int]:
    if isinstance(layer, nn.Linear):
        return layer.in_features, layer.out_features
    convolution: Any = layer
    return convolution.in_channels, convolution.out_channels


def _n_weights(module: nn.Module) -> str:
    return f"{sum(weight.numel() for weight in module.parameters()):,} weights"


def _state(estimator: GCAEmbedder) -> str:
    net = getattr(estimator, "net_", None)
    if net is None:
        return "not fitted"
    n_epochs, best = estimator.n_epochs_, estimator.best_epoch_
    epochs = f"{n_epochs} epoch{'' if n_epochs == 1 else 's'}" + ("" if best == n_epochs else f", best {best}")
    seen = estimator.reader_.summary or getattr(estimator, "n_features_in_", None)
    columns = f"{estimator._n_features_out} columns"
    inputs = columns if seen is None else f"{seen} -> {columns}"
    return f"fitted ({epochs}, {estimator.stop_reason_}), {inputs}, on {net.device}"
