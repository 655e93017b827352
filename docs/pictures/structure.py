"""The layers of the package, and the way of the data through fit and transform."""

import matplotlib.pyplot as plt
from style import BLUE, GREY, INK, SAND, TEAL, arrow, bare, box

fig, (left, right) = plt.subplots(1, 2, figsize=(7.5, 4.4), width_ratios=[3.7, 3.8])

public, private = "#dbe7f2", "white"
layers = [
    [("model_selection", public)],
    [("inspection", public)],
    [("_estimator", private)],
    [("_persistence", private)],
    [("_inference", private)],
    [("_builders", private)],
    [("_training", private)],
    [("_data", private)],
    [("metrics", public), ("views", public), ("losses", public), ("encoders", public)],
    [("ot", public)],
    [("_utils", private)],
]
for level, names in enumerate(layers):
    width = 4.0 / len(names)
    for k, (name, fill) in enumerate(names):
        middle = (k - (len(names) - 1) / 2) * width
        box(
            left,
            middle,
            -level,
            width - 0.14,
            0.6,
            name,
            color=BLUE if fill == public else GREY,
            fill=fill,
        )
        left.texts[-1].set_fontsize(9)
left.set(xlim=(-2.25, 2.15), ylim=(-10.6, 0.6), title="Layers (shaded: public)")
arrow(left, (-2.16, -0.3), (-2.16, -9.7))
left.text(-2.25, -5, "imports", rotation=90, ha="right", va="center", size=9, color=INK)

steps = [
    ("X", "", GREY),
    ("read rows", "_data", TEAL),
    ("make two views", "views", BLUE),
    ("encoder", "encoders", BLUE),
    ("projection head", "encoders", BLUE),
    ("transport plan", "ot", BLUE),
    ("loss", "losses", BLUE),
]
for k, (name, wing, color) in enumerate(steps):
    box(right, 0, -k, 1.7, 0.5, name, color=color)
    right.text(
        -1.0, -k, wing, ha="right", va="center", size=9, family="monospace", color=INK
    )
    if k:
        arrow(right, (0, 0.72 - k), (0, 0.28 - k))
box(right, 2.35, -3, 1.6, 0.5, "readout", color=SAND)
box(right, 2.35, -4, 1.6, 0.5, "embedding", color=GREY)
right.text(
    2.35, -2.58, "_inference", ha="center", size=9, family="monospace", color=INK
)
arrow(right, (0.87, -2.95), (1.55, -2.95))
arrow(right, (2.35, -3.28), (2.35, -3.72))
right.plot([0.9, 1.2, 1.2], [-6, -6, -3.15], "--", color=GREY, linewidth=1)
arrow(right, (1.22, -3.15), (0.86, -3.15))
right.text(1.35, -5.5, "gradient", ha="left", va="center")
right.text(
    1.35,
    -5.95,
    "_training",
    ha="left",
    va="center",
    size=9,
    family="monospace",
    color=INK,
)
right.set(xlim=(-1.95, 3.3), ylim=(-6.6, 0.6), title="One step of fit, and transform")
for ax in (left, right):
    bare(ax)
