"""Files that are whole at any time."""

from __future__ import annotations

import os
import uuid
from pathlib import Path

__all__ = ["PARTIAL", "replace_file"]

PARTIAL = ".partial"  # how the name of a file ends that is not yet whole


def replace_file(path: str | os.PathLike[str], *parts: bytes | memoryview) -> None:
    """Write a file so that at any time either the old one or the new one is there, whole.

    Parameters
    ----------
    path : str or path
        Of the file.
    *parts : bytes-like
        What it is to hold, one after the other.

    Raises
    ------
    OSError
        If it cannot be written; the old file stays.
    """
    path = Path(path)
    if path.is_dir():
        raise IsADirectoryError(f"{str(path)!r} is a folder; give the name of a file.")
    if not path.absolute().parent.is_dir():
        raise FileNotFoundError(f"{str(path)!r} is in a folder that does not exist; make it first.")
    beside = path.with_name(f"{path.name}.{uuid.uuid4().hex}{PARTIAL}")
    try:
        with open(beside, "xb") as file:
            for part in parts:
                file.write(part)
            file.flush()
            os.fsync(file.fileno())
        os.replace(beside, path)
    finally:
        beside.unlink(missing_ok=True)
