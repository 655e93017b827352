"""Three plans of the same views, with the mass of their rows and columns, and the target plan beside them."""

import matplotlib.pyplot as plt
import torch
import torch.nn.functional as F
from style import BLUE, CORAL, GREY, bare

from skgca.ot import cosine_cost, sinkhorn

N, EPSILON, CLOSE_TO_ALL, SPOILED = 8, 0.12, 2, 6

generator = torch.Generator().manual_seed(3)
first = F.normalize(torch.randn(N, 8, generator=generator), dim=1)
second = F.normalize(first + 0.2 * torch.randn(N, 8, generator=generator), dim=1)
second[CLOSE_TO_ALL] = F.normalize(first.sum(0) + 2 * first[CLOSE_TO_ALL], dim=0)
second[SPOILED] = -F.normalize(first.sum(0), dim=0)
scores = -cosine_cost(first, second) / EPSILON

plans = {
    "Softmax\nrow sums are fixed": sinkhorn(
        scores, marginals="row", epsilon=EPSILON
    ).plan,
    "Balanced\nboth sums are fixed": sinkhorn(
        scores, marginals="balanced", epsilon=EPSILON, n_iter=200
    ).plan,
    "Relaxed\nsums may deviate": sinkhorn(
        scores, marginals=0.2, epsilon=EPSILON, n_iter=200
    ).plan,
    "Target\nonly the right pairs": torch.eye(N) / N,
}

fig, axes = plt.subplots(1, 4, figsize=(8, 3.1))
for ax, (title, plan) in zip(axes, plans.items(), strict=True):
    plan = N * plan
    ax.imshow(plan, cmap="Blues", vmin=0, vmax=1)
    ax.set(
        xticks=[CLOSE_TO_ALL, SPOILED],
        xticklabels=["close\nto all", "spoiled"],
        yticks=[],
    )
    ax.spines[:].set(visible=True, color=GREY)
    above, beside = ax.inset_axes([0, 1.03, 1, 0.3]), ax.inset_axes([1.03, 0, 0.3, 1])
    colors = [
        CORAL if column in (CLOSE_TO_ALL, SPOILED) else BLUE for column in range(N)
    ]
    above.bar(range(N), plan.sum(0), color=colors)
    beside.barh(range(N), plan.sum(1), color=BLUE)
    above.axhline(1, color=GREY, linewidth=1, linestyle=":")
    beside.axvline(1, color=GREY, linewidth=1, linestyle=":")
    above.set(xlim=(-0.5, N - 0.5), ylim=(0, 2.2), title=title)
    beside.set(ylim=(N - 0.5, -0.5), xlim=(0, 2.2))
    bare(above)
    bare(beside)
    above.title.set_fontsize(9.5)
axes[0].set_ylabel("first views")
fig.supxlabel("second views", fontsize=10)
