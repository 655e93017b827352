"""A row of a mixed table, its two views, and the numbers that the network reads of them."""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import torch
from matplotlib.patches import Rectangle
from style import BLUE, GREY, SAND, arrow, bare

from skgca import GCAEmbedder
from skgca.views import ColumnCorruption

rng = np.random.default_rng(0)
n = 200
patients = pd.DataFrame(
    {
        "age": rng.normal(50, 15, n).round(),
        "ward": rng.choice(["A", "B", "C"], n),
        "dose": np.where(rng.random(n) < 0.2, np.nan, rng.exponential(3, n).round(1)),
    }
)
shown = 4
marked = int(np.flatnonzero(patients["dose"].isna())[0])
patients = pd.concat(
    [patients.iloc[marked - 2 :], patients.iloc[: marked - 2]], ignore_index=True
)
marked = 2

codes = torch.tensor(
    patients.assign(ward=patients["ward"].map({"A": 1, "B": 2, "C": 3})).to_numpy(float)
)
drawn = torch.Generator().manual_seed(49)
views = [ColumnCorruption(0.3)(codes, drawn)[marked].tolist() for _ in range(2)]
views = pd.DataFrame(views, columns=patients.columns).assign(
    ward=lambda view: view["ward"].map({1: "A", 2: "B", 3: "C"})
)

embedder = GCAEmbedder(8, max_epochs=1, random_state=0).fit(patients)
numbers = embedder.transform(views)[:, 8:]  # behind the embedding
names = [
    name.replace("missingindicator_dose", "dose\nmissing").replace("_", "\n")
    for name in embedder.get_feature_names_out()[8:]
]


def written(value):
    """Return the text of a cell."""
    return value if isinstance(value, str) else "?" if np.isnan(value) else f"{value:g}"


def strip(ax, x, y, cells, width, changed=()):
    """Draw cells in a row from x on; changed ones are filled, and their text is bold."""
    for k, text in enumerate(cells):
        new = k in changed
        corner = (x + k * width, y - 0.4)
        ax.add_patch(
            Rectangle(
                corner,
                width,
                0.8,
                facecolor=SAND if new else "white",
                edgecolor=GREY,
                linewidth=0.8,
            )
        )
        ax.text(
            x + (k + 0.5) * width,
            y,
            text,
            ha="center",
            va="center",
            weight="bold" if new else "normal",
        )


figure, ax = plt.subplots(figsize=(7.5, 2.8))
ax.set(xlim=(0, 17.4), ylim=(-0.2, 5.6))
bare(ax)
for x, width, labels in (
    (0.1, 1.2, patients.columns),
    (5.4, 1.2, patients.columns),
    (10.4, 1.15, names),
):
    for k, label in enumerate(labels):
        ax.text(x + (k + 0.5) * width, 4.15, label, ha="center", va="bottom", size=9)
for x, title in (
    (0.1, "Your table"),
    (5.4, "Two views of a row"),
    (10.4, "What the network reads"),
):
    ax.text(x, 5.2, title, size=11)
for k in range(shown):
    strip(ax, 0.1, 3.6 - k, [written(value) for value in patients.iloc[k]], 1.2)
ax.add_patch(
    Rectangle(
        (0.1, 3.6 - marked - 0.4), 3.6, 0.8, fill=False, edgecolor=BLUE, linewidth=2.5
    )
)
for k, y in enumerate((2.9, 0.6)):
    view, row = views.iloc[k], patients.iloc[marked]
    changed = [
        j for j, name in enumerate(views) if written(view[name]) != written(row[name])
    ]
    strip(ax, 5.4, y, [written(value) for value in view], 1.2, changed)
    strip(
        ax,
        10.4,
        y,
        [
            f"{value:.1f}".replace("-0.0", "0.0").removesuffix(".0")
            for value in numbers[k]
        ],
        1.15,
    )
    arrow(ax, (3.8, 3.6 - marked), (5.3, y), color=BLUE)
    arrow(ax, (9.1, y), (10.3, y), color=BLUE)
