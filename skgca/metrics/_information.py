"""How much information about a row remains in the embeddings of its views."""

from __future__ import annotations

from numbers import Real

import numpy as np
from numpy.typing import ArrayLike
from scipy.linalg import eigvalsh

from .._utils.compat import Interval, validate_params
from ._checks import check_views, checked_rows

__all__ = ["view_information_score"]


@validate_params({"ridge": [Interval(Real, 0, None, closed="neither")]}, prefer_skip_nested_validation=True)
def view_information_score(*views: ArrayLike, ridge: float = 0.01) -> float:
    """Score how much information the embedding of a view has about its row: Gaussian mutual information, in nats.

    Use it to detect bad settings without labels, as :meth:`skgca.GCAEmbedder.score` does. If there are labels,
    :func:`linear_probe_score` measures what matters.

    Let T be the covariance of all embeddings, S the covariance of the views of a row around their mean, pooled over
    rows, and ``delta = ridge * trace(T) / n_components``. The score is
    ``(log det(T + delta I) - log det(S + delta I)) / 2``: the information that passes a Gaussian channel whose noise is
    the variation between views [1]_. LiDAR compares the same two matrices, but counts dimensions [2]_. The score
    detects collapse of all rows or of some dimensions. Dimensions that views scramble do not raise it.

    Parameters
    ----------
    *views : array-like of shape (n_samples, n_components)
        Embeddings of two or more views, of at least 2 rows; row i of each is a view of sample i. More views estimate S
        more precisely.
    ridge : float, default=0.01
        Variance that counts as noise in every dimension, as a share of the mean variance of a column, above 0. It
        bounds what a single dimension can add.

    Returns
    -------
    score : float
        Higher is better. It is 0 if views of the same row differ as much as views of different rows, or if all rows are
        one point, and at most ``n_components / 2 * log(1 + 1 / ridge)``. With few rows it may fall below 0 by chance.

    Raises
    ------
    ValueError
        If there are fewer than 2 views or rows, if their shapes differ, or if a value is out of range or not finite.

    Notes
    -----
    The score ignores shift, scale and rotation of the embedding. With few rows per column it depends on the number of
    rows, so compare embeddings on the same rows. Embeddings of different widths can be compared: a column without new
    information adds nothing, except that it changes ``delta``.

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
    checked = [checked_rows(Z, "views", ensure_min_samples=2) for Z in views]
    for Z in checked[1:]:
        check_views(checked[0], Z)
    # The first row is subtracted before anything is averaged, so that equal rows give exactly zero.
    first = checked[0][0]
    size = max(np.abs(Z - first).max() for Z in checked)
    if size == 0:
        return 0.0
    stacked = np.stack([(Z - first) / size for Z in checked])  # (v, n, d); squares cannot overflow
    n_views, n, d = stacked.shape
    mean = stacked.mean(axis=0)  # (n, d): mean over the views of each row
    within = _gram(stacked - mean, n * (n_views - 1))
    total = _gram(stacked - mean.mean(axis=0), n * n_views - 1)
    delta = ridge * np.trace(total) / d
    # log det is the sum of log eigenvalues; both are sorted, and the ratio of two sums of logs is one sum
    return float(np.log((eigvalsh(total) + delta) / (eigvalsh(within) + delta)).sum() / 2)


def _gram(stacked: np.ndarray, degrees: int) -> np.ndarray:
    """Return the covariance (d, d) of centred rows (v, n, d) with ``degrees`` degrees of freedom."""
    rows = stacked.reshape(-1, stacked.shape[-1])  # (v n, d)
    covariance: np.ndarray = rows.T @ rows / degrees
    return covariance
