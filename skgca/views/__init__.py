"""Random views of a batch: callables ``(batch, generator) -> batch``."""

from ._callables import CallableView, as_view
from ._images import IMAGE_PRESETS, ImageAugmentation
from ._multi import MultiView
from ._tabular import ColumnCorruption

__all__ = ["IMAGE_PRESETS", "CallableView", "ColumnCorruption", "ImageAugmentation", "MultiView", "as_view"]
