"""Target plans of six rows: pairs, labels, continuous values and domains, and what groups leave out."""

import matplotlib.pyplot as plt
import torch
from matplotlib.patches import Rectangle
from style import GREY, bare

from skgca.losses import (
    ContinuousTarget,
    DomainsTarget,
    LabelsTarget,
    PairsTarget,
    make_loss,
)

views = torch.eye(6)
classes, domains = torch.tensor([0, 0, 0, 1, 1, -1]), torch.tensor([0, 0, 0, 1, 1, 1])
ages, patients = (
    torch.tensor([8.0, 15, 20, 41, 60, 65]),
    torch.tensor([0, 0, 1, 1, 1, 2]),
)
PANELS = [  # title, target, what it reads, groups, what is known of each row
    ('"pairs"', PairsTarget(), None, None, list("123456")),
    ('"labels"', LabelsTarget(), classes, None, ["cat"] * 3 + ["dog"] * 2 + ["?"]),
    (
        '"continuous"',
        ContinuousTarget(sigma=15),
        ages,
        None,
        [f"{age:.0f}" for age in ages],
    ),
    ('"domains"', DomainsTarget(alpha=0.2), domains, None, list("AAABBB")),
    ('"pairs", groups', PairsTarget(), None, patients, list("ppqqqr")),
]

fig, axes = plt.subplots(1, 5, figsize=(7.5, 1.9))
for ax, (title, target, values, groups, known) in zip(axes, PANELS, strict=True):
    _, target_plan = make_loss("gca_ince", target=target, layout="cross").plans(
        views, views, target=values
    )
    ax.imshow(6 * target_plan.dense((6, 6)), cmap="Blues", vmin=0, vmax=1)
    bare(ax)
    ax.set_title(title, fontsize=10)
    ax.set_yticks(range(6), known, fontsize=9)
    ax.tick_params(length=0)
    ax.add_patch(
        Rectangle((-0.5, -0.5), 6, 6, fill=False, edgecolor=GREY, clip_on=False)
    )
    if groups is not None:
        for row, column in (
            ((groups[:, None] == groups) & ~torch.eye(6, dtype=bool)).nonzero().tolist()
        ):
            ax.add_patch(
                Rectangle(
                    (column - 0.5, row - 0.5),
                    1,
                    1,
                    fill=False,
                    edgecolor=GREY,
                    linewidth=0,
                    hatch="////",
                )
            )
