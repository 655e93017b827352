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


def singular_values(columns, sweeps=30):
    """One-sided Jacobi: rotate pairs of columns until all are orthogonal; their norms remain."""
    columns = list(columns)
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
    values = singular_values(z.T.tolist())
    shares = [value / math.fsum(values) for value in values]
    return math.exp(-math.fsum(p * math.log(p) for p in shares if p > 0))


def cosine_distance(x, y):
    """1 less the cosine; a row of zeros is as far as orthogonal ones are."""
    norm = math.sqrt(math.fsum(a * a for a in x) * math.fsum(b * b for b in y))
    return 1 - math.fsum(a * b for a, b in zip(x, y, strict=True)) / norm if norm else 1.0


DISTANCES = {"cosine": cosine_distance, "euclidean": squared_distance}


def level(one, other):
    """Tell distances that differ by rounding alone from those of random rows, which are farther apart."""
    return math.isclose(one, other, rel_tol=1e-11, abs_tol=1e-13)


def places_among(distances, k):
    """Probability of each to be among the k nearest, where those that are level come in random order."""
    last = sorted(distances)[k - 1]
    tied = [level(d, last) for d in distances]
    nearer = sum(d < last and not t for d, t in zip(distances, tied, strict=True))
    return [(k - nearer) / sum(tied) if t else float(d < last) for d, t in zip(distances, tied, strict=True)]


def retrieval(z_a, z_b, k, metric):
    """Share of rows that find their partner, mean of both directions."""
    found = []
    for here, there in ((z_a.tolist(), z_b.tolist()), (z_b.tolist(), z_a.tolist())):
        for i, row in enumerate(here):
            found.append(places_among([DISTANCES[metric](row, other) for other in there], k)[i])
    return math.fsum(found) / len(found)


def preservation(x, z, k, metric, embedding_metric):
    """Mean share of the k nearest in z that are no farther than the k-th nearest in x, and the same by chance."""
    x, z = x.tolist(), z.tolist()
    kept, chance = [], []
    for i in range(len(x)):
        others = [j for j in range(len(x)) if j != i]
        near = [place > 0 for place in places_among([DISTANCES[metric](x[i], x[j]) for j in others], k)]
        places = places_among([DISTANCES[embedding_metric](z[i], z[j]) for j in others], k)
        kept.append(math.fsum(place for place, is_near in zip(places, near, strict=True) if is_near) / k)
        chance.append(sum(near) / len(others))
    return math.fsum(kept) / len(kept), math.fsum(chance) / len(chance)


def centered_columns(z):
    return [[value - math.fsum(column) / len(column) for value in column] for column in z.T.tolist()]


def dot(x, y):
    return math.fsum(a * b for a, b in zip(x, y, strict=True))


def procrustes_r2(z_1, z_2):
    """Schönemann: the squared nuclear norm of the cross product, over the squared sizes."""
    z_1, z_2 = centered_columns(z_1), centered_columns(z_2)
    size = math.fsum(dot(x, x) for x in z_1) * math.fsum(dot(y, y) for y in z_2)
    return math.fsum(singular_values([[dot(x, y) for x in z_1] for y in z_2])) ** 2 / size


def linear_r2(z_1, z_2):
    """R^2 of least squares from z_1 to all columns of z_2, by Gram and Schmidt, done twice."""
    z_1, z_2 = centered_columns(z_1), centered_columns(z_2)
    basis = []
    for column in z_1:
        size = math.sqrt(dot(column, column))
        for _ in range(2):
            for done in basis:
                part = dot(done, column)
                column = [c - part * d for c, d in zip(column, done, strict=True)]
        left = math.sqrt(dot(column, column))
        if left > 1e-9 * size:
            basis.append([c / left for c in column])
    explained = math.fsum(dot(done, y) ** 2 for done in basis for y in z_2)
    return explained / math.fsum(dot(y, y) for y in z_2)


def log_det(matrix):
    """Log determinant of a positive definite matrix, by elimination."""
    rows, total = [list(row) for row in matrix], 0.0
    for i in range(len(rows)):
        total += math.log(rows[i][i])
        for r in range(i + 1, len(rows)):
            factor = rows[r][i] / rows[i][i]
            rows[r] = [a - factor * b for a, b in zip(rows[r], rows[i], strict=True)]
    return total


def view_information(views, ridge):
    """Mutual information of a row and a view of it, for Gaussians, in nats."""
    n_views, n, d = len(views), len(views[0]), len(views[0][0])
    mean = [[math.fsum(view[i][k] for view in views) / n_views for k in range(d)] for i in range(n)]
    grand = [math.fsum(row[k] for row in mean) / n for k in range(d)]

    def covariance(center, degrees):
        return [
            [
                math.fsum((view[i][j] - center(i, j)) * (view[i][k] - center(i, k)) for view in views for i in range(n))
                / degrees
                for k in range(d)
            ]
            for j in range(d)
        ]

    total = covariance(lambda i, k: grand[k], n_views * n - 1)
    within = covariance(lambda i, k: mean[i][k], n * (n_views - 1))
    delta = ridge * math.fsum(total[k][k] for k in range(d)) / d
    for matrix in (total, within):
        for k in range(d):
            matrix[k][k] += delta
    return (log_det(total) - log_det(within)) / 2


def knn_predict(z, y, row, k, metric):
    """Most frequent class of the nearest rows, the smallest of those that are level."""
    distances = [DISTANCES[metric](row, other) for other in z]
    votes = [y[j] for j in sorted(range(len(z)), key=distances.__getitem__)[:k]]
    return min(set(votes), key=lambda label: (-votes.count(label), label))


def solve(matrix, right):
    """Solve a linear system by Gaussian elimination with pivots."""
    rows = [[*row, value] for row, value in zip(matrix, right, strict=True)]
    for i in range(len(rows)):
        pivot = max(range(i, len(rows)), key=lambda r: abs(rows[r][i]))
        rows[i], rows[pivot] = rows[pivot], rows[i]
        for r in range(len(rows)):
            if r != i:
                factor = rows[r][i] / rows[i][i]
                rows[r] = [a - factor * b for a, b in zip(rows[r], rows[i], strict=True)]
    return [row[-1] / row[i] for i, row in enumerate(rows)]


def standardised(z, z_test):
    """Columns of both less the mean of z, over its standard deviation; rows."""
    moments = []
    for column in z.T.tolist():
        mean = math.fsum(column) / len(column)
        moments.append((mean, math.sqrt(math.fsum((c - mean) ** 2 for c in column) / len(column))))
    return [
        [[(v - m) / s for v, (m, s) in zip(row, moments, strict=True)] for row in part.tolist()] for part in (z, z_test)
    ]


def ridge_r2(z, y, z_test, y_test):
    """R^2 of a ridge regression of penalty 1 on standardised columns."""
    rows, test = standardised(z, z_test)
    columns, mean = [list(column) for column in zip(*rows, strict=True)], math.fsum(y) / len(y)
    gram = [[dot(a, b) + (i == j) for j, b in enumerate(columns)] for i, a in enumerate(columns)]
    weights = solve(gram, [dot(column, [v - mean for v in y]) for column in columns])
    residual = math.fsum((v - mean - dot(weights, row)) ** 2 for v, row in zip(y_test, test, strict=True))
    mean = math.fsum(y_test) / len(y_test)
    return 1 - residual / math.fsum((v - mean) ** 2 for v in y_test)


def logistic_predict(z, y, z_test, n_newton=30):
    """Classes 0 and 1 by a logistic regression of penalty |w|^2 / 2 on standardised columns, fitted by Newton."""
    rows, test = ([[*row, 1.0] for row in part] for part in standardised(z, z_test))
    weights, width = [0.0] * len(rows[0]), len(rows[0])
    penalty = [1.0] * (width - 1) + [0.0]
    for _ in range(n_newton):
        chance = [1 / (1 + math.exp(-dot(weights, row))) for row in rows]
        slope = [
            math.fsum((p - v) * row[i] for p, v, row in zip(chance, y, rows, strict=True)) + penalty[i] * weights[i]
            for i in range(width)
        ]
        curve = [
            [
                math.fsum(p * (1 - p) * row[i] * row[j] for p, row in zip(chance, rows, strict=True))
                + (penalty[i] if i == j else 0)
                for j in range(width)
            ]
            for i in range(width)
        ]
        weights = [w - step for w, step in zip(weights, solve(curve, slope), strict=True)]
    return [int(dot(weights, row) > 0) for row in test]
