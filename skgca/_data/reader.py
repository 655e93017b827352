"""What every kind of data answers: how its rows become tensors, and which encoder, views and names suit it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, TypeAlias

import numpy as np
from torch import Tensor, nn

from ..encoders import ChannelStem, TableStem
from .containers import Chunk
from .rows import Rows

if TYPE_CHECKING:
    from typing_extensions import Self

__all__ = ["Reader", "Stem"]

Stem: TypeAlias = "TableStem | ChannelStem"


class Reader(ABC):
    """Reads one kind of data: learns from the training rows how, and turns rows into float32 tensors.

    Others ask a reader what they need to know of its kind, and do not compare names of kinds. So a new kind is a
    subclass here, with its name in the tables of encoders and views that suit it.

    Attributes
    ----------
    shape : tuple of int
        Shape of one row as ``fit`` got it.
    """

    kind: ClassVar[str]  # its name in files, in ONNX metadata and in messages that list kinds
    noun: ClassVar[str]  # what X holds, in messages
    auto_encoder: ClassVar[str]  # name of encoder="auto"
    auto_steps: ClassVar[int]  # of max_epochs="auto"; docs/develop/decisions.md says why images take fewer
    passes_through: bool = False  # of passthrough="auto"
    has_columns: ClassVar[bool] = False  # whether parameters that are about columns have an effect

    shape: tuple[int, ...]

    @abstractmethod
    def fit(self, rows: Rows) -> Self:
        """Learn how to read rows like these, chunk by chunk."""

    @abstractmethod
    def read(self, X: Chunk) -> Tensor:
        """Read rows as a float32 tensor: (n, ...), each of shape :attr:`input_shape`."""

    def at(self, rows: Rows) -> Callable[[Chunk], Tensor]:
        """Return what reads other rows than those of ``fit``: it may convert their units, or warn of them."""
        return self.read

    @property
    @abstractmethod
    def input_shape(self) -> tuple[int, ...]:
        """Shape of one row as :meth:`read` returns it."""

    @property
    @abstractmethod
    def auto_views(self) -> str:
        """Name of the views that ``views="auto"`` stands for."""

    @abstractmethod
    def make_stem(self, *, standardize: bool, numeric_encoding: nn.Module | None = None) -> Stem:
        """Make what takes rows as :meth:`read` returns them, and stands before the body of an encoder.

        Parameters
        ----------
        standardize : bool
            Whether a stem that can standardise does; tables are standardised when they are read.
        numeric_encoding : Module, default=None
            What columns of numbers go through, if this kind has columns.
        """

    @abstractmethod
    def get_state(self) -> dict[str, Any]:
        """Return what was learned, by name, in plain values and arrays: what a file keeps."""

    @classmethod
    @abstractmethod
    def from_state(cls, state: dict[str, Any]) -> Self:
        """Make the fitted reader whose :meth:`get_state` returned this."""

    @property
    def numeric_columns(self) -> list[bool] | None:
        """Which columns of the inputs are numbers; None if all values are."""
        return None

    @property
    def column_groups(self) -> list[int] | None:
        """Number of the original column that each column of the inputs is derived from; None if each has one.

        The original columns come first, and those that are derived from them after. Views swap or drop all columns of
        a group together.
        """
        return None

    @property
    def summary(self) -> str:
        """What a row is read as, in words; empty for a table, which nothing else is taken for."""
        return ""

    @property
    def view_units(self) -> tuple[Tensor, Tensor] | None:
        """Mean and deviation (channels, 1) of the inputs, if views that have a scale must see them standardised.

        None if :meth:`read` brings the inputs to a common scale already.
        """
        return None

    def output_dtype(self, dtype: np.dtype) -> type[np.floating]:
        """Return the type of the embedding of rows of this type: single precision for single precision."""
        return np.float32 if dtype == np.float32 else np.float64

    def plain_names(self, stem: Stem, input_names: Sequence[Any]) -> list[str]:
        """Return the names of what ``stem.plain`` returns, which the embedding has if the inputs pass through."""
        return [f"x{k}" for k in range(int(np.prod(self.input_shape)))]
