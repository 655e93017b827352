"""Who runs where: a search sends fits to the workers, and an embedder travels to the rows."""

import matplotlib.pyplot as plt
from style import GREY, TEAL, arrow, bare, box

fig, axes = plt.subplots(1, 2, figsize=(7.5, 3.3))
heights = (4.0, 2.3, 0.6)
for ax, title, mine, work in (
    (axes[0], "Search", "GridSearchCV,\nthen the refit", "one fit,\none score"),
    (axes[1], "Embed rows in place", "fit and save", "its own rows,\nembedded"),
):
    box(ax, 1.9, 2.3, 3.3, 1.2, mine)
    for height in heights:
        box(ax, 8.2, height, 2.9, 1.1, work, color=TEAL)
        arrow(ax, (3.6, 2.3 + 0.1 * (height - 2.3)), (6.7, height))
    ax.text(1.9, 5.1, "your process", ha="center", va="center", weight="bold")
    ax.text(8.2, 5.1, "workers", ha="center", va="center", weight="bold")
    ax.set(xlim=(0.1, 9.8), ylim=(-0.2, 5.4), title=title)
    bare(ax)
axes[0].text(
    3.4,
    4.1,
    "settings and rows;\nscores come back",
    ha="center",
    va="center",
    size=9,
    color=GREY,
)
axes[1].text(
    3.4, 4.1, "the embedder,\n2 to 3 MB", ha="center", va="center", size=9, color=GREY
)
