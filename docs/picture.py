"""Draw the picture of the README, _static/few_labels.png, by running its example; 2 minutes on one core."""

import runpy
from pathlib import Path

import matplotlib

matplotlib.use("Agg")

import matplotlib.pyplot as plt
from PIL import Image

DOCS = Path(__file__).parent
TARGET = DOCS / "_static/few_labels.png"

plt.show = lambda: None  # which warns, where there is no screen
runpy.run_path(str(DOCS.parent / "examples/start/plot_few_labels.py"))
plt.savefig(TARGET, dpi=100)
Image.open(TARGET).convert("RGB").quantize(96, dither=0).save(
    TARGET, optimize=True
)  # a third of the size
