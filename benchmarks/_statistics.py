"""Is a difference chance? Paired tests over splits and over data sets, and Holm's correction for their number."""

import numpy as np
from scipy.stats import t as student_t
from scipy.stats import wilcoxon

from ._printing import PLUS_MINUS

LEVEL = 0.05


def corrected_t(differences, ratio):
    """P value of a t test that a mean difference over random splits is 0; NaN where there is nothing to tell it by.

    That is for fewer than two differences, and for equal ones: accuracies move by a row at a time, so that a few equal
    differences are no sign of precision.

    Splits share rows, so the variance of their mean is taken as that of single differences times 1 / n + ``ratio``, the
    number of test rows over that of training rows (Nadeau and Bengio, Machine Learning, 2003).
    """
    differences = np.asarray(differences, dtype=float)
    n = len(differences)
    if n < 2 or np.ptp(differences) <= 1e-9 * np.abs(differences).max():
        return np.nan
    error = differences.std(ddof=1) * (1 / n + ratio) ** 0.5
    return 2 * student_t.sf(abs(differences.mean()) / error, n - 1)


def signed_rank(differences):
    """P value of Wilcoxon's test over sets; 1 where nothing differs."""
    return wilcoxon(differences).pvalue if np.any(differences) else 1.0


def holm(p_values):
    """Holm's adjusted p values, in the order given; NaN is no test."""
    p_values = np.asarray(p_values, dtype=float)
    adjusted = np.full(len(p_values), np.nan)
    order = np.argsort(p_values)[: np.isfinite(p_values).sum()]
    steps = p_values[order] * np.arange(len(order), 0, -1)
    adjusted[order] = np.minimum(np.maximum.accumulate(steps), 1)
    return adjusted


def p_text(p):
    if not np.isfinite(p):
        return ""
    return "<0.001" if p < 0.001 else f"{p:.3f}" if p < 0.0995 else f"{p:.2f}"


def points(ours, theirs):
    """Differences in points of two dicts over seeds, for each seed that both have."""
    return {seed: 100 * (value - theirs[seed]) for seed, value in ours.items() if seed in theirs}


def mean_of_sets(of_sets):
    """Mean over data sets, each a dict over seeds, of each seed that all of them have."""
    seeds = [seed for seed in next(iter(of_sets), ()) if all(seed in one for one in of_sets)]
    return {seed: float(np.mean([one[seed] for one in of_sets])) for seed in seeds}


def differences_as_text(rows, ratio, *, digits=1, spread=True):
    """Cells of a table of differences: mean, standard deviation and, in brackets, the p value of this one test.

    An asterisk marks those below ``LEVEL`` by Holm's correction for all cells of the table.

    rows : of cells, each the differences over splits in points, as an array, a list or the values of a dict.
    ratio : of test to training rows, a number or one for each row of the table.
    """
    ratios = np.broadcast_to(ratio, len(rows))
    rows = [[np.array([*cell], dtype=float) for cell in row] for row in rows]
    flat = [cell for row in rows for cell in row]
    p_values = [corrected_t(cell, share) for row, share in zip(rows, ratios, strict=True) for cell in row]
    tests = iter(zip(flat, p_values, holm(p_values) < LEVEL, strict=True))
    return [[_text(*next(tests), digits, spread) for _ in row] for row in rows]


def _text(values, p, holds, digits, spread):
    if not len(values):
        return ""
    deviation = f"{PLUS_MINUS}{values.std(ddof=1):.{digits}f}" if spread and len(values) > 1 else ""
    test = f" ({p_text(p)}{'*' if holds else ''})" if np.isfinite(p) else ""
    return f"{values.mean():+.{digits}f}{deviation}{test}"
