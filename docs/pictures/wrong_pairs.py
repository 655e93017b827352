"""How hard two losses pull a pair together, by its similarity, and the accuracy of both by the share of wrong pairs."""

import matplotlib.pyplot as plt
import numpy as np
import torch
from style import BLUE, CORAL, GREY
from tables import numbers, table

from skgca.losses import make_loss

LOSSES = {"ince": (BLUE, "o", "-"), "rince": (CORAL, "s", "--")}
n = 128  # pairs of a batch


def pulls(loss, similarities):
    """Differentiate a loss by the similarity of one pair, whose other similarities in the batch are 0."""
    others = torch.nn.functional.normalize(
        torch.randn(n - 1, 32, generator=torch.Generator().manual_seed(0))
    )
    found = []
    for start in similarities:
        similarity = torch.tensor(float(start), requires_grad=True)
        other = (1 - similarity**2).sqrt()
        pair = [
            torch.cat([vector, torch.zeros(32)])[None]
            for vector in (torch.tensor([1.0, 0.0]), torch.stack([similarity, other]))
        ]
        rest = torch.cat([torch.zeros(n - 1, 2), others], 1)
        (slope,) = torch.autograd.grad(
            loss(*(torch.cat([row, rest]) for row in pair)), similarity
        )
        found.append(-float(slope))
    return np.array(found) / max(found)


def measured(method):
    """Return the accuracy in % with 0, 10, 40 and 60% of fixed wrong pairs, from the page of evidence."""
    names, columns = table(
        "which_loss", "which-loss", "Accuracy in %, wrong pairs, 10 labels a class"
    )
    row = names.index(f"`{method}`")
    return [numbers(column)[row] for column in list(columns.values())[:4]]


figure, (left, right) = plt.subplots(1, 2, figsize=(7.5, 3))
similarities = np.linspace(-0.5, 0.95, 30)
for name, (color, marker, line) in LOSSES.items():
    pull = pulls(make_loss(name, epsilon=0.2), similarities)
    left.plot(similarities, pull, color=color, linestyle=line, label=name)
    right.plot(
        [0, 10, 40, 60],
        measured(name),
        color=color,
        linestyle=line,
        marker=marker,
        label=name,
    )
right.axhline(measured("raw columns")[0], color=GREY, linestyle=":")
right.text(0, measured("raw columns")[0] - 0.2, "raw columns", va="top", size=9)
left.set(
    title="How hard a pair is pulled",
    xlabel="similarity of the pair",
    yticks=[0, 1],
    yticklabels=["0", "most"],
)
left.set_xticks([-0.5, 0, 0.5, 1])
right.set(
    title="Accuracy in %, ten labels a class",
    xlabel="wrong pairs in %",
    xticks=[0, 10, 40, 60],
)
for ax in (left, right):
    ax.legend(frameon=False, loc="lower left" if ax is right else "center left")
