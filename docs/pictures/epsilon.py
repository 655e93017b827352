"""What epsilon does to a plan: a few points on a line, and how their mass is spread at three values."""

import matplotlib.pyplot as plt
import numpy as np
import torch
from style import bare

from skgca.ot import sinkhorn

rng = np.random.default_rng(0)
sent = np.sort(rng.uniform(0, 2, 12))
received = np.sort(rng.uniform(0, 2, 12))
cost = torch.as_tensor((sent[:, None] - received) ** 2)

fig, axes = plt.subplots(1, 3, figsize=(7.5, 2.7))
for ax, epsilon in zip(axes, (0.01, 0.1, 1.0), strict=True):
    plan = sinkhorn(-cost / epsilon, marginals="balanced", epsilon=epsilon, n_iter=2000).plan
    ax.imshow(plan, cmap="Blues", vmin=0)
    ax.set_title(f"epsilon = {epsilon:g}")
    bare(ax)
