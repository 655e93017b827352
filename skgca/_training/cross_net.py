"""The skorch net that trains two encoders, one for each of two measurements of the same rows."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from ..encoders import EncoderWithHead
from ..losses import multiview_loss
from .net import ContrastiveNet, at_least_float32

__all__ = ["CrossNet", "TwoEncoders"]


class TwoEncoders(nn.Module):
    """Two encoders whose heads project into one space.

    Parameters
    ----------
    first, second : EncoderWithHead
        Take the rows of the two measurements, and project them to the same width.
    """

    def __init__(self, first: EncoderWithHead, second: EncoderWithHead) -> None:
        super().__init__()
        self.first = first
        self.second = second

    def forward(self, rows: tuple[Tensor, ...]) -> Tensor:
        """Project both measurements of some rows: (n, ...) and (n, ...) -> (2, n, d)."""
        first, second = rows
        return torch.stack([self.first(first), self.second(second)])


class CrossNet(ContrastiveNet):
    """A net whose views are two measurements of each row, each with an encoder of its own.

    The loss is the mean of that from the first to the second measurement and of that the other way, since a plan whose
    columns are free would bind the rows of the first one only.

    Parameters
    ----------
    module : TwoEncoders
    criterion : Module
        In the cross layout: projections of one measurement are not compared with each other.
    **kwargs
        As in :class:`ContrastiveNet`; ``views`` holds one view of each measurement.
    """

    def infer(self, x: tuple[Tensor, ...], **fit_params: Any) -> Tensor:
        """Project a view of both measurements: -> (2, n, d)."""
        views = self.make_views(x)
        with self._lent_generator(), self._autocast():
            return at_least_float32(self._run.forward(views))

    def embed_views(self, x: tuple[Tensor, ...]) -> Tensor:
        """Project a view of both measurements in evaluation mode, without a gradient: -> (2, n, d)."""
        self.module_.eval()
        with torch.no_grad():
            projections: Tensor = self.module_(self.make_views(x))
            return projections

    def compare(self, projections: Tensor, **kwargs: Any) -> Tensor:
        """Loss of the projections (2, n, d) of a batch, averaged over both directions."""
        return multiview_loss(self.criterion_, projections, projections, **kwargs)
