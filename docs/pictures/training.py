"""The loss of a training on digits between chance and the best possible value, and the learning rate."""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from sklearn.datasets import load_digits
from style import BLUE, CORAL, GREY, TEAL

from skgca import GCAEmbedder

EPSILON = 0.5
X = load_digits().data[:1024]  # eight batches of 128
embedder = GCAEmbedder(loss="ince", epsilon=EPSILON, max_epochs=40, random_state=0).fit(
    X
)
history = pd.DataFrame(embedder.history_)
n = 128
chance = np.log(2 * n - 1)  # all other views attract alike
# views of a row are equal, and rows are the corners of a regular simplex
best = np.log(1 + (2 * n - 2) * np.exp(-(1 + 1 / (n - 1)) / EPSILON))

fig, (left, right) = plt.subplots(1, 2, figsize=(7.5, 2.8), width_ratios=[1.6, 1])
left.plot(history["epoch"], history["loss"], color=BLUE, linewidth=2)
for level, text, color, align in (
    (chance, "chance: all rows alike", CORAL, "bottom"),
    (best, "best possible value", TEAL, "top"),
):
    left.axhline(level, color=color, linestyle="--", linewidth=1)
    left.text(
        40,
        level + (0.05 if align == "bottom" else -0.05),
        text,
        color=color,
        ha="right",
        va=align,
        fontsize=9,
    )
left.set(title="Loss", xlabel="epoch", ylim=(best - 0.5, chance + 0.45))
right.plot(history["epoch"], 1000 * history["lr"], color=BLUE, linewidth=2)
right.axvspan(0, 4, color=GREY, alpha=0.15, linewidth=0)
right.text(
    5.5, 0.15, "warm-up: a tenth\nof the steps", fontsize=9, color=GREY, va="bottom"
)
right.set(
    title="Learning rate, in thousandths", xlabel="epoch", xlim=(0, 41), ylim=(0, 2.2)
)
