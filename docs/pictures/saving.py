"""What a saved file holds, and who opens it."""

import matplotlib.pyplot as plt
from style import BLUE, CORAL, GREY, INK, SAND, TEAL, arrow, bare, box

fig, ax = plt.subplots(figsize=(7.5, 3.4))
box(ax, 1.1, 2.5, 1.9, 1.2, "fitted\nembedder", color=INK)
rows = (
    (
        4.25,
        "save",
        "weights, scales,\nparameters; no code",
        "any later skgca,\nany device",
        BLUE,
    ),
    (
        3.05,
        "skops.io",
        "a whole pipeline;\nnames of classes",
        "the versions\nthat wrote it",
        TEAL,
    ),
    (
        1.85,
        "pickle, joblib",
        "objects, code that\nruns on opening",
        "the versions that wrote\nit; open only your own",
        CORAL,
    ),
    (
        0.65,
        "export_onnx",
        "one graph for\ntransform alone",
        "ONNX runtimes,\nother languages",
        SAND,
    ),
)
for height, name, content, reader, color in rows:
    arrow(ax, (2.15, 2.5 + 0.12 * (height - 2.5)), (3.0, height))
    ax.text(4.0, height, name, ha="center", va="center", family="monospace", size=10)
    box(ax, 6.55, height, 2.9, 0.9, content, color=color)
    arrow(ax, (8.15, height), (8.85, height))
    ax.text(8.95, height, reader, ha="left", va="center")
for x, title in ((4.0, "written by"), (6.55, "holds"), (10.2, "opens in")):
    ax.text(x, 5.15, title, ha="center", va="center", weight="bold", color=GREY)
ax.set(xlim=(0, 11.9), ylim=(0.1, 5.5))
bare(ax)
