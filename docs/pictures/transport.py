"""Sand that five digits send to other views: a softmax fills one hole too far, transport fills each to the brim."""

import matplotlib.pyplot as plt
import numpy as np
import torch
from matplotlib.patches import PathPatch, Polygon, Rectangle
from matplotlib.path import Path
from scipy.ndimage import rotate
from sklearn.datasets import load_digits
from style import CORAL, GREY, INK, PALE, SAND, bare

from skgca.ot import cosine_cost, sinkhorn

EPSILON, STEP, UNIT = (
    0.07,
    1.2,
    0.62,
)  # distance of two piles, and width of one unit of sand
SHELF, GROUND, DEPTH = 2.35, 0.95, 0.62
GRAIN = "#8a6420"

digits = load_digits().images[[861, 791, 180, 505, 1378]]
angles = (-12, -14, -17, 14, -15)
turned = [
    rotate(digit, angle, reshape=False, order=1)
    for digit, angle in zip(digits, angles, strict=True)
]
vectors = [torch.as_tensor(np.reshape(views, (5, -1))) for views in (digits, turned)]
scores = -cosine_cost(*vectors) / EPSILON
rng = np.random.default_rng(0)


def sand(ax, corners, n_grains):
    """Fill a polygon with sand, and strew darker grains into it."""
    shape = Polygon(corners, closed=True, facecolor=SAND, edgecolor="none", zorder=3)
    ax.add_patch(shape)
    points = rng.uniform(
        np.min(corners, axis=0), np.max(corners, axis=0), (4 * n_grains, 2)
    )
    points = points[Path(corners).contains_points(points)][:n_grains]
    ax.scatter(
        *points.T,
        s=1.2,
        color=GRAIN,
        alpha=0.6,
        linewidths=0,
        zorder=4,
        rasterized=True,
    )


def mound(x, y, width, height):
    """Corners of a heap that stands on (x, y)."""
    along = np.linspace(-1, 1, 41)
    return np.column_stack(
        [x + along * width / 2, y + height * np.cos(along * np.pi / 2) ** 1.5]
    )


def stream(ax, top, bottom, width, *, right):
    """Draw a stream of sand that falls from the shelf to the ground."""
    middle = (SHELF + GROUND) / 2
    left = [(top, SHELF), (top, middle), (bottom, middle), (bottom, GROUND)]
    back = [(x + width, y) for x, y in left[::-1]]
    codes = [Path.MOVETO] + [Path.CURVE4] * 3 + [Path.LINETO] + [Path.CURVE4] * 3
    ax.add_patch(
        PathPatch(
            Path(left + back, codes),
            facecolor=SAND,
            alpha=0.95 if right else 0.4,
            edgecolor="none",
            zorder=2,
        )
    )


def view(ax, digit, x, y):
    """Draw a digit as an image that is centred at (x, y)."""
    ax.imshow(
        digit, extent=(x - 0.32, x + 0.32, y - 0.32, y + 0.32), cmap="gray_r", zorder=3
    )


def draw(ax, plan):
    """Draw piles, streams and holes of a plan whose rows sum to 1."""
    place, received = np.arange(5) * STEP, plan.sum(axis=0)
    ax.add_patch(Rectangle((-0.7, SHELF), 4 * STEP + 1.4, 0.05, color=GREY, zorder=3))
    ax.add_patch(
        Rectangle(
            (-0.7, GROUND - DEPTH - 0.12),
            4 * STEP + 1.4,
            DEPTH + 0.12,
            color=PALE,
            zorder=0,
        )
    )
    for i in range(5):
        view(ax, digits[i], place[i], 3.4)
        sand(ax, mound(place[i], SHELF + 0.05, 0.95, 0.6), 60)
        bottom, size = GROUND - DEPTH, min(received[i], 1) * DEPTH
        hole = Rectangle(
            (place[i] - UNIT / 2, bottom),
            UNIT,
            DEPTH,
            facecolor="white",
            edgecolor=GREY,
            zorder=1,
        )
        ax.add_patch(hole)
        x0, x1 = place[i] - UNIT / 2, place[i] + UNIT / 2
        sand(
            ax,
            [(x0, bottom), (x1, bottom), (x1, bottom + size), (x0, bottom + size)],
            int(60 * min(received[i], 1)),
        )
        view(ax, turned[i], place[i], -0.22)
        over = received[i] > 1.05
        if over:
            sand(ax, mound(place[i], GROUND, 1.5, 0.55), 90)
        ax.text(
            place[i],
            -0.82,
            f"{received[i]:.1f}",
            ha="center",
            va="center",
            color=CORAL if over else INK,
            weight="bold" if over else "normal",
        )
    leaves = place - UNIT / 2
    for j in range(5):
        arrives = place[j] - received[j] * UNIT / 2
        for i in range(5):
            stream(ax, leaves[i], arrives, plan[i, j] * UNIT, right=i == j)
            leaves[i] += plan[i, j] * UNIT
            arrives += plan[i, j] * UNIT
    bare(ax)
    limits = {"xlim": (-0.75, 4 * STEP + 0.75), "ylim": (-1.0, 3.8)}
    ax.set(aspect="equal", xlabel="units of sand that each view receives", **limits)


softmax = sinkhorn(scores, marginals="row", epsilon=EPSILON).plan
balanced = sinkhorn(scores, marginals="balanced", epsilon=EPSILON, n_iter=200).plan

fig, axes = plt.subplots(1, 2, figsize=(8.4, 3.75))
draw(axes[0], 5 * softmax.numpy())
axes[0].set_title("Softmax: one view receives too much")
draw(axes[1], 5 * balanced.numpy())
axes[1].set_title("Optimal transport: one unit for each view")
