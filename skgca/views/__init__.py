"""Random views of a batch: callables ``(batch, generator) -> batch``."""

from ._multi import MultiView
from ._tabular import ColumnCorruption

__all__ = ["ColumnCorruption", "MultiView"]
