"""Measures of an embedding by naive loops over Python floats; imports nothing of ours."""

import math


def unit(row):
    norm = math.sqrt(math.fsum(value**2 for value in row))
    return [value / norm for value in row]


def squared_distance(x, y):
    return math.fsum((one - other) ** 2 for one, other in zip(x, y, strict=True))


def alignment(z_a, z_b, alpha, weight):
    """Wang and Isola, section 4.1, with weights."""
    pairs = zip(z_a.tolist(), z_b.tolist(), weight, strict=True)
    total = math.fsum(w * math.sqrt(squared_distance(unit(x), unit(y))) ** alpha for x, y, w in pairs)
    return total / math.fsum(weight)


def uniformity(z, t):
    """Wang and Isola, section 4.1, over pairs of distinct rows."""
    rows = [unit(row) for row in z.tolist()]
    kernel = [math.exp(-t * squared_distance(rows[i], rows[j])) for i in range(len(rows)) for j in range(i)]
    return math.log(math.fsum(kernel) / len(kernel))


def singular_values(z, sweeps=30):
    """One-sided Jacobi: rotate pairs of columns until all are orthogonal; their norms remain."""
    columns = z.T.tolist()
    for _ in range(sweeps):
        for i in range(len(columns)):
            for j in range(i):
                x, y = columns[i], columns[j]
                xx, yy = math.fsum(a * a for a in x), math.fsum(b * b for b in y)
                xy = math.fsum(a * b for a, b in zip(x, y, strict=True))
                angle = 0.5 * math.atan2(2 * xy, xx - yy)
                c, s = math.cos(angle), math.sin(angle)
                columns[i] = [c * a + s * b for a, b in zip(x, y, strict=True)]
                columns[j] = [c * b - s * a for a, b in zip(x, y, strict=True)]
    return [math.sqrt(math.fsum(a * a for a in column)) for column in columns]


def effective_rank(z, center):
    """Roy and Vetterli, definition 1."""
    if center:
        z = z - [math.fsum(column) / len(z) for column in z.T.tolist()]
    values = singular_values(z)
    shares = [value / math.fsum(values) for value in values]
    return math.exp(-math.fsum(p * math.log(p) for p in shares if p > 0))
