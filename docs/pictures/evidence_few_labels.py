"""Mean accuracy over fifteen sets of GCAClassifier and others, with few labels."""

import matplotlib.pyplot as plt
import numpy as np
from style import BLUE, GREY, PALE, SAND
from tables import numbers, table

OURS = ("frozen", "frozen, best head", "fine-tuned", "auto")

labels, columns = table("few_labels", "few-labels", "Mean accuracy in %")
sets = columns.pop("sets")
rows = [row for row, of in enumerate(sets) if of == "all (15)"]
values = {method: np.array(numbers(cells))[rows] for method, cells in columns.items()}
order = sorted(values, key=lambda method: values[method][1])

fig, axes = plt.subplots(1, 3, figsize=(7.5, 3.4), sharey=True)
for place, (ax, row) in enumerate(zip(axes, rows, strict=True)):
    for y, method in enumerate(order):
        color = BLUE if method in OURS else SAND if "frozen" in method else GREY
        x = values[method][place]
        ax.hlines(y, 40, x, color=PALE, lw=2, zorder=0)
        fill = color if method == "auto" else "white"
        ax.plot(
            x,
            y,
            "s" if color == GREY else "o",
            color=color,
            mfc=fill if color == BLUE else color,
            ms=6,
        )
    best = values["auto"][place]
    ax.annotate(
        f"{best:.1f}",
        (best, order.index("auto")),
        (7, -3),
        textcoords="offset points",
        color=BLUE,
    )
    ax.set(
        title=f"{labels[row]} labels a class", xlim=(48, 100), xlabel="accuracy in %"
    )
    ax.tick_params(axis="y", length=0)
axes[0].set_yticks(
    range(len(order)), [f"{m} (default)" if m == "auto" else m for m in order]
)
