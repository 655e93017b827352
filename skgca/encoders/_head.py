"""The encoder as it is used, and the encoder as it is trained.

``transform`` runs :class:`Encoder`: stem, body, readout. Training runs :class:`EncoderWithHead`: stem, body, projection
head. Both share stem and body. The head is dropped after training because it discards what the loss does not need, and
the readout is fitted after training because it needs the final activations.
"""

from typing import Any

import torch
from torch import Tensor, nn

from .._utils.config import Configured
from .._utils.random import seeded_global_generator
from ._readout import RotatedComponents, Standardization

__all__ = ["Encoder", "EncoderWithHead"]


class Encoder(Configured, nn.Module):
    """Stem, body and readout, in the order in which ``transform`` runs them.

    Use it to assemble the network of a torch loop of your own from the parts of this module. :class:`skgca.GCAEmbedder`
    assembles one by itself and has it as ``encoder_`` after ``fit``.

    Parameters
    ----------
    stem : Module
        Turns what the reader gives into what the body takes. Its method ``plain`` returns the inputs as features.
    body : Module
        Turns the output of the stem into (n, n_outputs). For the readout :class:`RotatedComponents`, it needs a method
        ``activations(batch)``, which returns the activations of each layer in a list, the outputs last.
    readout : Standardization or RotatedComponents
        Turns the outputs of the body (:class:`Standardization`) or the activations of all its layers
        (:class:`RotatedComponents`) into the columns of the embedding.
    passthrough : bool, default=False
        Whether the inputs are appended to the embedding.

    Attributes
    ----------
    n_operations : float or None
        Multiplications by weights that embed a row, once :meth:`count_operations` has run. Those of a scripted module
        (torch.jit) are not counted.

    Examples
    --------
    >>> import torch
    >>> from skgca.encoders import MLP, Encoder, Standardization, TableStem
    >>> stem = TableStem([0, 0], has_missing=[False, False])
    >>> encoder = Encoder(
    ...     stem, MLP(2, (8,), 3), Standardization(3), passthrough=True
    ... ).eval()
    >>> encoder(torch.zeros(5, 2)).shape, encoder.features(torch.zeros(5, 2)).shape
    (torch.Size([5, 5]), torch.Size([5, 3]))
    """

    # torch types the attributes of any Module as tensors or modules, and so rejects calls of `plain` and `activations`.
    stem: Any
    body: Any

    def __init__(
        self,
        stem: nn.Module,
        body: nn.Module,
        readout: Standardization | RotatedComponents,
        *,
        passthrough: bool = False,
    ) -> None:
        super().__init__()
        self.stem = stem
        self.body = body
        self.readout = readout
        self.passthrough = passthrough
        self.n_operations: float | None = None

    def get_config(self) -> dict[str, Any]:
        """Return the parts, each with a configuration of its own, and whether the inputs are passed through."""
        return {"stem": self.stem, "body": self.body, "readout": self.readout, "passthrough": self.passthrough}

    def forward(self, batch: Tensor) -> Tensor:
        """Embed a batch; the inputs follow the columns of the readout if they are passed through."""
        embedding: Tensor = self.readout(self.activations(batch))  # (n, n_columns)
        return torch.cat([embedding, self.stem.plain(batch)], dim=1) if self.passthrough else embedding

    def features(self, batch: Tensor) -> Tensor:
        """Return the outputs of the body, which the projection head takes: (n, ...) -> (n, n_outputs)."""
        outputs: Tensor = self.body(self._body_inputs(batch))
        return outputs

    def activations(self, batch: Tensor) -> Tensor:
        """Return what the readout takes: (n, ...) -> (n, n_activations)."""
        if isinstance(self.readout, RotatedComponents):
            layers = torch.cat(self.body.activations(self._body_inputs(batch)), dim=1)
        else:
            layers = self.features(batch)
        return _in_precision(self.readout.mean, layers)

    def count_operations(self, batch: Tensor) -> None:
        """Count the multiplications for a row, by embedding some rows (n, ...)."""
        counts: list[float] = []

        def count(module: nn.Module, inputs: Any, output: Any) -> None:
            weight = getattr(module, "weight", None)
            if isinstance(weight, Tensor) and weight.ndim > 1 and isinstance(output, Tensor):
                # (n_outputs, ...): each output multiplies as many inputs as a row of the weights has entries
                counts.append(output.numel() * weight[0].numel() / len(batch))

        modes = [
            (module, module.training) for module in self.modules() if not isinstance(module, torch.jit.ScriptModule)
        ]
        hooks = [module.register_forward_hook(count) for module, _ in modes]
        try:
            with torch.no_grad(), seeded_global_generator(0):  # a user's module may draw random numbers
                self.eval().features(batch.to(next(self.parameters(), batch).device))
        finally:
            for hook, (module, mode) in zip(hooks, modes, strict=True):
                hook.remove()
                module.training = mode
        self.n_operations = sum(counts)

    def _body_inputs(self, batch: Tensor) -> Tensor:
        """Return the outputs of the stem in the precision of the weights of the body, which may be a user's module."""
        inputs: Tensor = self.stem(batch)
        weight = next(self.body.parameters(), None)
        return inputs if weight is None or not weight.is_floating_point() else inputs.to(weight.dtype)


class EncoderWithHead(Configured, nn.Module):
    """An encoder with the heads that only training uses.

    Use it in a torch loop of your own, in which the loss compares projections and the encoder is kept afterwards. For
    inference, an :class:`Encoder` is enough.

    Parameters
    ----------
    encoder : Encoder
        The part that is kept after training.
    head : Module
        Projection head, (n, n_outputs) -> (n, d); the loss compares its outputs.
    predictor : Module, default=None
        (n, d) -> (n, d), predicts the projection of another view. It is for losses that need a target network.

    Examples
    --------
    >>> import torch
    >>> from skgca.encoders import MLP, Encoder, EncoderWithHead, Standardization, TableStem
    >>> stem = TableStem([0, 0], has_missing=[False, False])
    >>> encoder = Encoder(
    ...     stem, MLP(2, (8,), 3), Standardization(3), passthrough=True
    ... ).eval()
    >>> EncoderWithHead(encoder, MLP(3, (8,), 4))(torch.zeros(5, 2)).shape
    torch.Size([5, 4])
    """

    def __init__(self, encoder: Encoder, head: nn.Module, predictor: nn.Module | None = None) -> None:
        super().__init__()
        self.encoder = encoder
        self.head = head
        self.predictor = predictor

    def get_config(self) -> dict[str, Any]:
        """Return the parts, each with a configuration of its own."""
        return {"encoder": self.encoder, "head": self.head, "predictor": self.predictor}

    def forward(self, batch: Tensor) -> Tensor:
        """Project a batch: (n, ...) -> (n, d)."""
        features = self.encoder.features(batch)
        weight = next(self.head.parameters(), features)
        projected: Tensor = self.head(_in_precision(weight, features))
        return projected

    def train(self, mode: bool = True) -> "EncoderWithHead":
        """Set the mode. Parts of the body whose weights are all frozen stay in evaluation mode.

        Otherwise the running statistics of their batch normalisation would change, though nothing trains them.
        """
        super().train(mode)
        if mode and not all(weight.requires_grad for weight in self.encoder.body.parameters()):
            _freeze(self.encoder.body)
        return self


def _freeze(module: nn.Module) -> None:
    """Set the parts of a module that have weights, all of them frozen, to evaluation mode."""
    needs_grad = [weight.requires_grad for weight in module.parameters()]
    if needs_grad and not any(needs_grad):
        module.eval()
    elif needs_grad:
        for part in module.children():
            _freeze(part)


def _in_precision(like: Tensor, outputs: Tensor) -> Tensor:
    """Return outputs of a body in the type of what takes them, unless autocast casts them anyway."""
    casts = outputs.dtype != torch.float64 and torch.is_autocast_enabled(outputs.device.type)
    return outputs if casts else outputs.to(like.dtype)
