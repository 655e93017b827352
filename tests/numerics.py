"""How tests compare numbers, and how near they come to their tolerances.

Three kinds of comparison, by what separates the two numbers:

``assert_close``
    They are equal in exact arithmetic. What is left is rounding, which another processor, another library of linear
    algebra or another number of threads does in another order. The tolerance is relative to the size of the terms that
    were added, not to a sum in which they cancel, and at least ten times the largest error seen on any of the settings
    that ``make test-processors`` tries.
``assert_gradient``
    The gradient is that of finite differences, which are themselves an approximation.
``assert_within``
    They are equal in the mean or in the limit: a share of random draws, a score of a short training. The seed is fixed,
    so the distance is the same each time on one machine; how much it varies among machines is at most a tenth of what
    is left of the tolerance.

Each tolerance is one of the constants below, which say why they have their size, or has a comment of its own.

With ``SKGCA_MARGINS`` naming a file, the largest share of its tolerance that each line of each test used is appended to
it, one JSON line each; ``tests/processors.py`` reads them.
"""

import json
import math
import os
import sys
from pathlib import Path

import numpy as np
import torch

ROOT = Path(__file__).parents[1]
COMPARISONS = ("assert_close", "assert_gradient", "assert_within")
MARGINS = os.environ.get("SKGCA_MARGINS")

# Relative to the largest value or gradient. A sum of n terms in single or double precision has an error of some
# sqrt(n) to n roundings, of 6e-8 or 1.1e-16; a solver of ten iterations, with its logarithms and exponentials of
# scores / epsilon, multiplies that by the largest |score| / epsilon.
DOUBLE = 1e-12  # a few sums of up to some thousand terms in float64
SINGLE = 1e-5  # the same in float32
NETWORK = 1e-4  # outputs of a network in float32: sums in every layer, divided in the end by small deviations
TRAINED = 1e-3  # after a few steps of an optimizer that divides small gradients by their own size

shares = {}  # of its tolerance, the largest that a comparison used: by its kind, line and test


def as_double(values):
    """Any array, tensor or number as a float64 array."""
    if isinstance(values, torch.Tensor):
        values = values.detach().cpu().double().numpy()
    return np.asarray(values, dtype=np.float64)


def error(found, expected):
    """Largest difference between two arrays of one shape; none where both are NaN or the same infinity."""
    found, expected = as_double(found), as_double(expected)
    assert found.shape == expected.shape, f"shapes {found.shape} and {expected.shape}"
    if not found.size:
        return 0.0
    same = (found == expected) | (np.isnan(found) & np.isnan(expected))
    with np.errstate(invalid="ignore"):
        distance = np.where(same, 0.0, np.abs(found - expected))
    return math.inf if np.isnan(distance).any() else float(distance.max())


def size(values):
    """Largest finite magnitude."""
    values = np.abs(as_double(values))
    return float(values[np.isfinite(values)].max(initial=0.0))


def assert_close(found, expected, tolerance, *, scale=None):
    """Assert that two arrays differ by rounding alone, by at most ``tolerance * scale`` in any entry.

    Parameters
    ----------
    found, expected : array-like of the same shape
        Numbers, arrays or tensors. NaN and infinities must stand in the same places.

    tolerance : float
        See the top of this file.

    scale : float or array-like, default=None
        The size of the terms that were added up, or an array whose largest entry is that size. None means the largest
        magnitude of ``expected``.
    """
    scale = size(expected if scale is None else scale)
    distance, allowed = error(found, expected), tolerance * scale
    keep("close", distance / allowed if allowed else float(distance > 0))
    assert distance <= allowed, (
        f"they differ by {distance:.3g}, {distance / scale if scale else math.inf:.3g} of the scale {scale:.3g}; "
        f"{tolerance:g} is allowed.\nFound {found}\nexpected {expected}"
    )


def assert_within(found, expected, distance):
    """Assert that two arrays differ by at most ``distance`` in any entry, where an approximation separates them."""
    apart = error(found, np.broadcast_to(as_double(expected), np.shape(as_double(found))))
    keep("within", apart / distance)
    assert apart <= distance, (
        f"they differ by {apart:.3g}; {distance:g} is allowed.\nFound {found}\nexpected {expected}"
    )


def assert_gradient(function, inputs, *, rtol=1e-3, atol=1e-5, second=False, **settings):
    """Assert that a gradient is that of central differences, with torch's tolerances.

    Differences with a step of 1e-6 in float64 have an error of about 1e-16 / 1e-6 from rounding and of 1e-12 times the
    third derivative: 1e-10 of the size of the values. A wrong gradient is wrong by far more than ``rtol``.
    """
    check = torch.autograd.gradgradcheck if second else torch.autograd.gradcheck
    assert check(function, inputs, rtol=rtol, atol=atol, **settings)
    if MARGINS:  # torch does not tell the error, but whether it is below a tenth of the tolerance
        fine = check(function, inputs, rtol=rtol / 10, atol=atol / 10, raise_exception=False, **settings)
        keep("gradient", 0.1 if fine else 1.0)


def keep(kind, share):
    """Remember the share of its tolerance that a comparison used, for the line of a test that led to it."""
    if not MARGINS:
        return
    frame = sys._getframe(2)
    while not Path(frame.f_code.co_filename).name.startswith("test_"):
        frame = frame.f_back
    line = f"{Path(frame.f_code.co_filename).relative_to(ROOT).as_posix()}:{frame.f_lineno}"
    test = os.environ.get("PYTEST_CURRENT_TEST", "").rpartition(" ")[0]
    shares[kind, line, test] = max(share, shares.get((kind, line, test), 0.0))


def write_margins():
    """Append what was kept to the file that ``SKGCA_MARGINS`` names."""
    if MARGINS and shares:
        lines = [json.dumps([*key, share]) + "\n" for key, share in shares.items()]
        with open(MARGINS, "a", encoding="utf-8") as file:
            file.writelines(lines)
