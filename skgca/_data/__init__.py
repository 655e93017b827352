"""From X to float32 tensors, and batches of them.

``containers.py`` and ``by_parts.py`` know the types of X, ``conversion.py`` converts or refuses others, and ``rows.py``
fetches rows by number. ``kinds.py`` decides which kind of data X is. Each kind is a :class:`Reader`: ``tables.py``,
``images.py``, ``series.py``. ``batches.py`` passes tensors to the training.
"""

from .batches import (
    EvenBatches,
    RowDataset,
    bytes_ahead,
    evenly_spaced,
    fixed_batches,
    n_even_batches,
    read_ahead,
    shuffled_batches,
)
from .containers import Chunk
from .images import ImageReader
from .kinds import READERS, make_reader
from .neighbors import RandomNeighbors, neighbor_graph
from .reader import Reader, Stem
from .rows import N_MEASURED, Rows, check_rows, spaced
from .series import SeriesReader
from .tables import TableReader

__all__ = [
    "N_MEASURED",
    "READERS",
    "Chunk",
    "EvenBatches",
    "ImageReader",
    "RandomNeighbors",
    "Reader",
    "RowDataset",
    "Rows",
    "SeriesReader",
    "Stem",
    "TableReader",
    "bytes_ahead",
    "check_rows",
    "evenly_spaced",
    "fixed_batches",
    "make_reader",
    "n_even_batches",
    "neighbor_graph",
    "read_ahead",
    "shuffled_batches",
    "spaced",
]
