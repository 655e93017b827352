"""What X may be, and what becomes of it: a diagram with a row for tables, images and series."""

import matplotlib.pyplot as plt
from style import BLUE, CORAL, GREY, TEAL, arrow, bare, box

HEADS = ["X", "Preparation", "Views\n(training only)", "Encoder", "Embedding"]
CENTRES, WIDTHS = [1.2, 3.95, 6.45, 8.5, 10.85], [2.1, 2.3, 1.6, 1.4, 2.1]
ROWS = {  # colour, shape, preparation, views, encoder
    "Table": [
        BLUE,
        "(n, columns)",
        "numbers scaled,\ncategories encoded",
        "corruption",
        "mlp",
    ],
    "Images": [
        TEAL,
        "(n, h, w), (n, c, h, w)",
        "scaled to [0, 1],\nreduced if large",
        'geometric"\nor "crop',
        "conv",
    ],
    "Series": [
        CORAL,
        "(n, channels, length)",
        "padded,\ngaps interpolated",
        "time",
        "rocket",
    ],
}
COLUMNS = [
    "learned columns\nand the inputs",
    "128 learned\ncolumns",
    "256 learned\ncolumns",
]

fig, ax = plt.subplots(figsize=(7.5, 3))
plt.rcParams["font.size"] = 9
for x, head in zip(CENTRES, HEADS, strict=True):
    ax.text(x, 3.75, head, ha="center", va="center", color=GREY)
for y, name, columns in zip((2.85, 1.65, 0.45), ROWS, COLUMNS, strict=True):
    color, shape, preparation, views, encoder = ROWS[name]
    for x, width, text in zip(
        CENTRES,
        WIDTHS,
        ("", preparation, f'"{views}"', f'"{encoder}"', columns),
        strict=True,
    ):
        box(ax, x, y, width, 0.8, text, color=color)
    ax.text(CENTRES[0], y + 0.17, name, ha="center", va="center", weight="bold")
    ax.text(CENTRES[0], y - 0.17, shape, ha="center", va="center", fontsize=8)
    for i in range(4):
        arrow(
            ax, (CENTRES[i] + WIDTHS[i] / 2, y), (CENTRES[i + 1] - WIDTHS[i + 1] / 2, y)
        )
ax.set(xlim=(0.05, 12), ylim=(-0.05, 4.05))
bare(ax)
