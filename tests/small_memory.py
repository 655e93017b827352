"""Small limits of memory, with which a table that is quick to test is read as one larger than memory is."""

from skgca._data import batches, rows


def small_memory(patch, *, n_values, n_rows):
    """Let memory hold ``n_values`` values of parts, and samples ``n_rows`` rows."""
    patch.setattr(batches, "_PARTS_BYTES", 4 * n_values)
    for name in ("_TOGETHER", "_LEAST_TOGETHER"):
        patch.setattr(rows, name, n_rows)
