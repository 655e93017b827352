"""Random views of a batch: callables ``(batch, generator) -> batch``."""

from ._pair import ViewPair
from ._tabular import ColumnCorruption

__all__ = ["ColumnCorruption", "ViewPair"]
