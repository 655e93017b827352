"""What epsilon and rho do to a plan of twelve points on a line, of which one has no match."""

import matplotlib.pyplot as plt
import numpy as np
import torch
from matplotlib.patches import Rectangle
from style import CORAL, GREY, bare

from skgca.ot import sinkhorn

rng = np.random.default_rng(0)
first = np.sort(rng.uniform(0, 2, 12))
second = first + rng.normal(0, 0.05, 12)
first[-1], second[-1] = (
    3.0,
    -1.0,
)  # the two views of the last row are far from each other and from all others
cost = torch.as_tensor((first[:, None] - second) ** 2)


def draw_plan(ax, title, cost, *, epsilon, marginals):
    """Draw a plan, and return the mass of its rows."""
    plan = sinkhorn(
        -cost / epsilon, marginals=marginals, epsilon=epsilon, n_iter=3000
    ).plan
    ax.imshow(plan, cmap="Blues", vmin=0)
    ax.add_patch(
        Rectangle((-0.5, -0.5), *cost.shape, fill=False, edgecolor=GREY, clip_on=False)
    )
    ax.set_title(title)
    bare(ax)
    return plan.sum(1)


fig = plt.figure(figsize=(7.5, 3.9))
above, below = fig.subfigures(2, 1)
above.suptitle('marginals="balanced"', fontsize=10, color=GREY)
for ax, epsilon in zip(above.subplots(1, 3), (0.02, 0.2, 2.0), strict=True):
    draw_plan(
        ax,
        f"epsilon={epsilon:g}",
        cost[:-1, :-1],
        epsilon=epsilon,
        marginals="balanced",
    )
bars_are = "bars: mass of a row over that of the median row"
below.suptitle(
    f"epsilon=0.2, the last row has no match; {bars_are}", fontsize=10, color=GREY
)
for ax, rho in zip(below.subplots(1, 3), (0.2, 1.0, 5.0), strict=True):
    mass = draw_plan(ax, f"marginals={rho:g}", cost, epsilon=0.2, marginals=rho)
    bars = ax.inset_axes([1.04, 0, 0.4, 1])
    share = mass / mass.median()
    bars.barh(range(12), share, color=[GREY] * 11 + [CORAL])
    bars.text(
        share[-1] + 0.1, 11, f"{share[-1]:.2f}", va="center", fontsize=8, color=CORAL
    )
    bars.set(ylim=(11.5, -0.5), xlim=(0, 1.6))
    bare(bars)
