"""The path of a search through a grid of epsilon and marginals, as a diagram."""

import matplotlib.pyplot as plt
from matplotlib.patches import Rectangle
from style import BLUE, GREY, INK, PALE, TEAL, arrow, bare

EPSILONS, MARGINALS = ("1", "0.5", "0.2", "0.1"), ("1.0", '"row"', '"balanced"')
stops = [
    (x, -y if x % 2 == 0 else y - 2) for x in range(4) for y in range(3)
]  # down, up, down, up

fig, ax = plt.subplots(figsize=(7.5, 3))
for k, (x, y) in enumerate(stops):
    ax.add_patch(
        Rectangle(
            (x - 0.3, y - 0.2), 0.6, 0.4, facecolor=PALE, edgecolor=GREY, linewidth=0.8
        )
    )
    share = 1 if k == 0 else 0.25  # of the epochs
    ax.add_patch(
        Rectangle(
            (x - 0.3, y - 0.2),
            0.6 * share,
            0.4,
            facecolor=TEAL if k == 0 else BLUE,
            linewidth=0,
        )
    )
    if k:
        (left, top), down = stops[k - 1], y - stops[k - 1][1]
        start, end = (
            ((left + 0.3, top), (x - 0.3, y))
            if not down
            else ((x, top + 0.2 * down), (x, y - 0.2 * down))
        )
        arrow(ax, start, end, color=INK)
for x, epsilon in enumerate(EPSILONS):
    ax.text(x, 0.42, epsilon, ha="center", va="center")
for y, marginals in enumerate(MARGINALS):
    ax.text(-0.5, -y, marginals, ha="right", va="center")
ax.text(1.5, 0.72, "epsilon", ha="center", va="center", color=GREY)
ax.text(-0.5, 0.42, "marginals", ha="right", va="center", color=GREY)
for y, color, width, text in (
    (-0.2, TEAL, 0.6, "first setting:\nall epochs"),
    (-1.2, BLUE, 0.15, "others: a quarter,\nfrom the weights\nof the neighbour"),
):
    ax.add_patch(
        Rectangle(
            (3.75, y - 0.1), 0.6, 0.2, facecolor=PALE, edgecolor=GREY, linewidth=0.8
        )
    )
    ax.add_patch(Rectangle((3.75, y - 0.1), width, 0.2, facecolor=color, linewidth=0))
    ax.text(4.45, y, text, va="center", fontsize=9)
ax.set(xlim=(-1.3, 5.7), ylim=(-2.3, 0.85))
bare(ax)
