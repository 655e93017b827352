"""A series of two channels and two of its default views."""

import matplotlib.pyplot as plt
import numpy as np
import torch
from style import BLUE, GREY, SAND

from skgca.views import Compose, GaussianNoise, MagnitudeScaling, TimeWarp

time = np.arange(100)
beat = np.exp(-((time[:, None] - [18, 30, 68, 80]) ** 2) / 8) @ [1.0, -0.6, 1.0, -0.6]
breath = np.sin(time / 9)
series = torch.tensor(np.stack([beat, breath]))[None]
series = (series - series.mean(-1, keepdim=True)) / series.std(-1, keepdim=True)

generator = torch.Generator().manual_seed(32)
view = Compose(TimeWarp(), MagnitudeScaling(), GaussianNoise(0.05))  # views="time"
panels = {
    "A series": series,
    "One view": view(series, generator),
    "The other view": view(series, generator),
}

figure, axes = plt.subplots(2, 3, figsize=(7.5, 3), sharex=True, sharey="row")
for column, (title, shown) in zip(axes.T, panels.items(), strict=True):
    for ax, original, changed, color in zip(
        column, series[0], shown[0], (BLUE, SAND), strict=True
    ):
        if shown is not series:
            ax.plot(original, color=GREY, linewidth=1, linestyle=":")
        ax.plot(changed, color=color)
        ax.set(yticks=[], xticks=[0, 50, 100])
        ax.spines["left"].set_visible(False)
    column[0].set_title(title)
    column[1].set_xlabel("time step")
for ax, name in zip(axes[:, 0], ("channel 1", "channel 2"), strict=True):
    ax.set_ylabel(name)
