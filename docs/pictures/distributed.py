"""Which process holds which rows of a batch, and which strips of the symmetric kernel."""

import matplotlib.pyplot as plt
from matplotlib.patches import Polygon
from style import BLUE, GREY, SAND, arrow, bare, box

fig, (left, right) = plt.subplots(1, 2, figsize=(7.5, 3.3), width_ratios=[1.25, 1])
colors, hatches = (BLUE, SAND), ("", "//")

for rank, height in enumerate((3.7, 1.3)):
    box(
        left,
        1.2,
        height,
        2.2,
        1.3,
        f"process {rank}\nreads half\nof the rows",
        color=colors[rank],
    )
    arrow(left, (2.35, height), (2.95, height))
    box(left, 4.1, height, 2.2, 1.3, "network,\nsame\nweights", color=colors[rank])
    arrow(left, (5.3, height), (6.0, 2.5 + 0.3 * (1 - 2 * rank)))
box(left, 7.15, 2.5, 2.2, 1.3, "all\nembeddings,\nin both", color=GREY)
left.set(xlim=(0, 8.4), ylim=(0.3, 4.7), title="A batch")
bare(left)

n = 8  # strips, dealt out there and back: 0, 1, 1, 0, ...
for strip in range(n):
    rank = (0, 1, 1, 0)[strip % 4]
    corners = [(strip, strip), (n, strip), (n, strip + 1), (strip + 1, strip + 1)]
    right.add_patch(
        Polygon(corners, facecolor=colors[rank], edgecolor="white", hatch=hatches[rank])
    )
    right.text(n + 0.35, strip + 0.5, str(rank), ha="center", va="center")
right.add_patch(
    Polygon([(0, 0), (n, n), (0, n)], fill=False, edgecolor=GREY, linestyle=":")
)
right.text(2.4, 5.9, "mirror image,\nnot stored", ha="center", va="center", color=GREY)
right.text(n + 0.35, -0.45, "process", ha="center", va="center", size=9)
right.set(
    xlim=(-0.3, n + 1.2),
    ylim=(n + 0.2, -0.9),
    aspect="equal",
    title="The kernel of the whole batch",
)
bare(right)
