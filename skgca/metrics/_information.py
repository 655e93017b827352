"""How much of a row survives what views do to it."""

from __future__ import annotations

from numbers import Real

import numpy as np
from numpy.typing import ArrayLike
from scipy.linalg import eigvalsh
from sklearn.utils import check_array

from .._utils.compat import Interval, validate_params
from ._checks import check_views

__all__ = ["view_information_score"]


@validate_params({"ridge": [Interval(Real, 0, None, closed="neither")]}, prefer_skip_nested_validation=True)
def view_information_score(*views: ArrayLike, ridge: float = 0.01) -> float:
    """Score how much embeddings of views tell of the row that they are of: mutual information of Gaussians, in nats.

    ``(log det(T + delta I) - log det(S + delta I)) / 2``, where T is the covariance of all embeddings, S that of the
    views of a row about their mean, pooled over rows, and ``delta = ridge * trace(T) / n_components``. It is what a
    Gaussian channel carries whose noise is what views do [1]_. LiDAR compares the same two matrices, and counts
    dimensions instead [2]_. The score sees collapse of all rows or of some dimensions, and does not reward dimensions
    that views scramble.

    Parameters
    ----------
    *views : array-like of shape (n_samples, n_components)
        Embeddings of two or more views; row i of each is a view of row i. At least 2 rows. Ten views tell S better
        than two.
    ridge : float, default=0.01
        Variance that is noise anyway, as a share of the mean variance of a column, above 0. It bounds what a dimension
        may count for.

    Returns
    -------
    score : float
        0 where views of a row are as far from each other as any, or all rows are one point; the more, the better.
        At most ``n_components / 2 * log(1 + 1 / ridge)``. With few rows it may fall below 0 by chance.

    Raises
    ------
    ValueError
        If there are fewer than 2 views or rows, if their shapes differ, or if a value is out of range or not finite.

    Notes
    -----
    Neither shift nor scale of the embedding counts, nor rotations. Numbers of rows do where they are fewer than a few
    times the columns: compare on the same rows. Embeddings of different width compare: a column that tells nothing
    new adds nothing, up to what it changes of ``delta``.

    References
    ----------
    .. [1] T. M. Cover, J. A. Thomas, "Elements of information theory", 2nd edition, 2006, section 9.4.
    .. [2] V. Thilak et al., "LiDAR: sensing linear probing performance in joint embedding SSL architectures", ICLR
       2024.

    Examples
    --------
    >>> import numpy as np
    >>> from skgca.metrics import view_information_score
    >>> rng = np.random.RandomState(0)
    >>> row, noise = rng.standard_normal((500, 3)), rng.standard_normal((2, 500, 3))
    >>> quiet, loud = (view_information_score(*(row + size * noise)) for size in (0.1, 1.0))
    >>> quiet > loud > 0
    True
    """
    if len(views) < 2:
        raise ValueError(f"view_information_score takes two views or more, and got {len(views)}.")
    checked = [check_array(Z, dtype=np.float64, input_name="views", ensure_min_samples=2) for Z in views]
    for Z in checked[1:]:
        check_views(checked[0], Z)
    first = checked[0][0]
    size = max(np.abs(Z - first).max() for Z in checked)
    if size == 0:
        return 0.0
    stacked = np.stack([(Z - first) / size for Z in checked])  # (v, n, d), whose squares neither overflow nor vanish
    n_views, n, d = stacked.shape
    mean = stacked.mean(axis=0)
    within = _gram(stacked - mean, n * (n_views - 1))
    total = _gram(stacked - mean.mean(axis=0), n * n_views - 1)
    delta = ridge * np.trace(total) / d
    return float(np.log((eigvalsh(total) + delta) / (eigvalsh(within) + delta)).sum() / 2)


def _gram(stacked: np.ndarray, degrees: int) -> np.ndarray:
    """Return the covariance (d, d) of centred rows (v, n, d)."""
    rows = stacked.reshape(-1, stacked.shape[-1])
    covariance: np.ndarray = rows.T @ rows / degrees
    return covariance
