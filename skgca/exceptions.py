"""Warnings and errors that skgca raises beside scikit-learn's own."""

from sklearn.exceptions import ConvergenceWarning

__all__ = ["SinkhornConvergenceWarning", "TrainingDivergedError"]


class SinkhornConvergenceWarning(ConvergenceWarning):
    """Sinkhorn stopped at its iteration limit above the tolerance that was asked for."""


class TrainingDivergedError(ValueError):
    """Training met a loss that is not finite; the estimator is left as it was before ``fit``."""
