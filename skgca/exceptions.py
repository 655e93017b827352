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
    """A checkpoint cannot be written or read, or training cannot resume from it.

    Raised when ``fit`` writes or reads ``checkpoint_dir``: if the folder cannot be written to, or if its checkpoint is
    damaged or was made with other parameters or data. Files on the disk stay as they are.
    """


class CollapseWarning(ConvergenceWarning):
    """Training made all embeddings nearly equal.

    Issued when ``fit`` ends with such embeddings. The estimator is fitted, but its embedding hardly tells rows
    apart.
    """


class RankFailedError(RuntimeError):
    """Another process of a distributed training failed or left.

    Raised when a process of a training with ``distributed=True`` waits for one that has stopped. The message names the
    cause, as far as it is known.
    """


class SavedFileError(ValueError):
    """An embedder cannot be written to a file, or a file cannot be opened.

    Raised when ``save``, ``load`` or ``export_onnx`` fails, such as for a file of another program, or for a module that
    has no configuration. The message gives the reason.
    """


class SinkhornConvergenceWarning(ConvergenceWarning):
    """Sinkhorn reached its iteration limit before the tolerance.

    Issued when a training with ``sinkhorn_tol`` ends and some of its plans would have needed more than
    ``sinkhorn_n_iter`` iterations. The marginals of these plans are less exact than the tolerance.
    """


class TrainingDivergedError(ValueError):
    """The loss stayed NaN or infinite.

    Raised when training produces such values from the start, at each learning rate that was tried. The estimator stays
    as it was before ``fit``.
    """
