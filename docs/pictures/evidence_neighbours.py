"""What each target from related work gains on each of its data sets."""

import matplotlib.pyplot as plt
from style import BLUE, GREY, INK, PALE, SAND
from tables import numbers, table


def cell(title, column, row):
    """Mean, spread and whether it is significant, of a cell in the row of that number."""
    text = table("neighbours", "neighbours", title)[1][column][row]
    return *(numbers([text], place)[0] for place in (0, 1)), "*" in text


RELATIONAL, TAILS = (
    "Relational: points above pairs",
    "Long tails: points above equal weights",
)
LABELLED = 'Biased labels: points above target="labels"'
DOMAINS = "Across domains, digits: points of TransportTarget"
ROWS = (  # a row of 0 is the first one of a table, of TransportTarget that without an adapter
    ("RelationalTarget: digits", cell(RELATIONAL, "10 labels a class", 0)),
    ("RelationalTarget: letter", cell(RELATIONAL, "10 labels a class", 5)),
    ("Weights 1 / size: mnist", cell(TAILS, "mnist, all classes", 2)),
    ("Weights 1 / size: letter", cell(TAILS, "letter, all classes", 2)),
    ("LabelledTransportTarget: digits", cell(LABELLED, "digits", 1)),
    ("LabelledTransportTarget: letter", cell(LABELLED, "letter", 1)),
    ("TransportTarget: rotated digits", cell(DOMAINS, "rotated digits", 0)),
    ("TransportTarget: two digits", cell(DOMAINS, "two digits", 0)),
    ("TransportTarget: inverted digits", cell(DOMAINS, "inverted digits", 0)),
)

fig, ax = plt.subplots(figsize=(7.5, 3.2))
for y, (_, (mean, spread, significant)) in enumerate(reversed(ROWS)):
    color = BLUE if significant else GREY
    ax.errorbar(
        mean,
        y,
        xerr=spread,
        fmt="o",
        color=color,
        mfc=color if significant else "white",
        ms=6,
        lw=1.2,
    )
    ax.text(
        37,
        y,
        f"{mean:+.1f}{'*' if significant else ''}",
        ha="left",
        va="center",
        color=color,
    )
    ax.hlines(y, -11, 36, color=PALE, lw=1, zorder=0)
ax.axvline(0, color=SAND, lw=1.2, zorder=0)
ax.set(
    xlim=(-11, 43),
    ylim=(-0.6, len(ROWS) - 0.4),
    xlabel="points (filled, *: significant by Holm's correction)",
)
ax.set_yticks(range(len(ROWS)), [name for name, _ in reversed(ROWS)], color=INK)
ax.tick_params(axis="y", length=0)
