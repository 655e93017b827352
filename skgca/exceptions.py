"""Warnings and errors that skgca raises beside scikit-learn's own."""

from sklearn.exceptions import ConvergenceWarning

__all__ = [
    "CheckpointError",
    "CollapseWarning",
    "SavedFileError",
    "SinkhornConvergenceWarning",
    "TrainingDivergedError",
]


class CheckpointError(ValueError):
    """A checkpoint that cannot be written, read, or gone on from; what is on the disk is left as it is."""


class CollapseWarning(ConvergenceWarning):
    """Training made all embeddings nearly equal."""


class SavedFileError(ValueError):
    """An embedder that cannot be written to a file, or a file that cannot be opened; the message says why."""


class SinkhornConvergenceWarning(ConvergenceWarning):
    """Sinkhorn stopped at its iteration limit above the tolerance that was asked for."""


class TrainingDivergedError(ValueError):
    """Training never got beyond a loss that is not finite; the estimator is left as it was before ``fit``."""
