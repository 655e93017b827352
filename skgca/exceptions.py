"""Warnings and errors of skgca, in addition to those of scikit-learn."""

from sklearn.exceptions import ConvergenceWarning

__all__ = [
    "CheckpointError",
    "CollapseWarning",
    "RankFailedError",
    "SavedFileError",
    "SinkhornConvergenceWarning",
    "TrainingDivergedError",
]


class CheckpointError(ValueError):
    """A checkpoint cannot be written or read, or training cannot resume from it. Files on the disk stay as they are."""


class CollapseWarning(ConvergenceWarning):
    """Training made all embeddings nearly equal."""


class RankFailedError(RuntimeError):
    """Another process of a distributed training failed or left. The message names the cause, as far as it is known."""


class SavedFileError(ValueError):
    """An embedder cannot be written to a file, or a file cannot be opened. The message gives the reason."""


class SinkhornConvergenceWarning(ConvergenceWarning):
    """Sinkhorn reached its iteration limit before the tolerance."""


class TrainingDivergedError(ValueError):
    """The loss stayed NaN or infinite. The estimator stays as it was before ``fit``."""
