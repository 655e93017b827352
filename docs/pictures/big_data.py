"""How a file becomes batches: parts are read in turn, some of them wait in memory, batches are drawn from these."""

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.patches import Rectangle
from style import BLUE, GREY, INK, PALE, SAND, TEAL, arrow, bare, box

fig, ax = plt.subplots(figsize=(7.5, 3.1))
colors = (BLUE, SAND, TEAL)
for part in range(8):
    held = part in (1, 4, 6)
    fill = colors[(1, 4, 6).index(part)] if held else PALE
    ax.add_patch(
        Rectangle((0.1, 4.1 - 0.5 * part), 1.7, 0.42, facecolor=fill, edgecolor=GREY)
    )
    if held:
        arrow(ax, (1.9, 4.3 - 0.5 * part), (3.2, 3.2 - 0.65 * (1, 4, 6).index(part)))

rng = np.random.default_rng(0)
for i, color in enumerate(colors):
    ax.add_patch(
        Rectangle((3.4, 3.0 - 0.65 * i), 1.7, 0.42, facecolor=color, edgecolor=GREY)
    )
ax.add_patch(Rectangle((3.2, 1.4), 2.1, 2.3, fill=False, edgecolor=INK))
drawn = rng.permuted(np.repeat(colors, 7)).reshape(3, 7)
for i, batch in enumerate(drawn):
    arrow(ax, (5.4, 2.55), (6.55, 3.35 - 0.8 * i))
    for j, color in enumerate(batch):
        ax.add_patch(
            Rectangle(
                (6.65 + 0.2 * j, 3.1 - 0.8 * i),
                0.2,
                0.5,
                facecolor=color,
                edgecolor="white",
            )
        )
for i in range(3):
    arrow(ax, (8.15, 3.35 - 0.8 * i), (9.0, 2.7 - 0.15 * i))
box(ax, 9.85, 2.55, 1.5, 1.1, "one step\nof training", color=INK)

for x, title, note in (
    (0.95, "File on disk", "row groups\nor partitions"),
    (4.25, "Main memory", "random parts,\n64 MiB at a time"),
    (7.35, "Batches", "rows at random,\n128 in each"),
    (9.85, "CPU or GPU", "the network\nand one batch"),
):
    ax.text(x, 4.95, title, ha="center", va="center", weight="bold")
    ax.text(x, 0.05, note, ha="center", va="center", size=9)
ax.set(xlim=(0, 10.8), ylim=(-0.5, 5.3))
bare(ax)
