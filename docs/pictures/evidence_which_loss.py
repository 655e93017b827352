"""Accuracy of five losses against the share of wrong pairs, fixed or redrawn."""

import matplotlib.pyplot as plt
from style import BLUE, CORAL, GREY, INK, SAND, TEAL
from tables import numbers, table

LOSSES = {
    "`rince`": (BLUE, "o-"),
    "`gca_uot with rince`": (TEAL, "s-"),
    "`gca_uot`": (SAND, "^-"),
    "`ince`": (GREY, "D-"),
    "`byol`": (CORAL, "v-"),
}
names, columns = table(
    "which_loss", "which-loss", "Accuracy in %, wrong pairs, 10 labels a class"
)
raw = numbers([columns["as they are"][names.index("`raw columns`")]])[0]

fig, axes = plt.subplots(1, 2, figsize=(7.5, 3.2), sharey=True)
for ax, kind in zip(axes, ("fixed", "redrawn"), strict=True):
    situations = ["as they are", *(f"{share}% wrong, {kind}" for share in (10, 40, 60))]
    for loss, (color, form) in LOSSES.items():
        row = names.index(loss)
        values = [numbers([columns[situation][row]])[0] for situation in situations]
        ax.plot(
            [0, 10, 40, 60],
            values,
            form,
            color=color,
            ms=5,
            lw=1.5,
            label=loss.strip("`"),
        )
    ax.axhline(raw, color=INK, lw=1, ls=":", label="raw columns")
    ax.set(
        title=f"Wrong pairs, {kind}", xlabel="wrong pairs in %", xticks=[0, 10, 40, 60]
    )
axes[0].set_ylabel("accuracy in %")
fig.legend(
    *axes[0].get_legend_handles_labels(), loc="outside right center", frameon=False
)
