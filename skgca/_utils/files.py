"""Atomic writes: a file is replaced as a whole or not at all."""

from __future__ import annotations

import os
import uuid
from pathlib import Path

__all__ = ["PARTIAL", "replace_file"]

PARTIAL = ".partial"  # suffix of a file that is still being written


def replace_file(path: str | os.PathLike[str], *parts: bytes | memoryview) -> None:
    """Write a file so that at any time either the complete old file or the complete new file is there.

    Parameters
    ----------
    path : str or path
        Name of the file.
    *parts : bytes-like
        Contents, one part after the other.

    Raises
    ------
    OSError
        If the file cannot be written. The old file stays.
    """
    path = Path(path)
    if path.is_dir():
        raise IsADirectoryError(f"{str(path)!r} is a folder; give the name of a file.")
    if not path.absolute().parent.is_dir():
        raise FileNotFoundError(f"{str(path)!r} is in a folder that does not exist; make it first.")
    # In the same folder, because a rename is atomic only within a file system. The name is unique, so that several
    # processes can write the same file; the last one wins.
    partial = path.with_name(f"{path.name}.{uuid.uuid4().hex}{PARTIAL}")
    try:
        with open(partial, "xb") as file:
            for part in parts:
                file.write(part)
            file.flush()
            os.fsync(file.fileno())  # the contents must reach the disk before the new name does
        os.replace(partial, path)
    finally:
        partial.unlink(missing_ok=True)  # it is still there only if something failed
