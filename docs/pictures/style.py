"""One look for the pictures of the pages: colours, sizes, boxes and arrows."""

import matplotlib as mpl
from matplotlib.patches import FancyBboxPatch

INK = "#1f2933"
GREY = "#7b8794"
PALE = "#e4e7eb"
SAND = "#d9a441"
BLUE = "#2b5c8a"
TEAL = "#3a9188"
CORAL = "#c8553d"

mpl.rcParams.update(
    {
        "axes.edgecolor": GREY,
        "axes.labelcolor": INK,
        "axes.prop_cycle": mpl.cycler(color=[BLUE, SAND, TEAL, CORAL, GREY]),
        "axes.spines.right": False,
        "axes.spines.top": False,
        "axes.titlesize": 11,
        "figure.constrained_layout.use": True,
        "figure.facecolor": "white",
        "font.size": 10,
        "svg.hashsalt": "skgca",  # the same names on each build
        "text.color": INK,
        "xtick.color": INK,
        "ytick.color": INK,
    }
)


def bare(ax):
    """Take the axes away, for a drawing or an image."""
    ax.set(xticks=[], yticks=[])
    ax.spines[:].set_visible(False)


def box(ax, x, y, width, height, text, *, color=BLUE, fill="white"):
    """Draw a rounded box centred at (x, y), in data units, with text in it."""
    corner = (x - width / 2, y - height / 2)
    ax.add_patch(
        FancyBboxPatch(
            corner,
            width,
            height,
            boxstyle="round,pad=0.02",
            edgecolor=color,
            facecolor=fill,
        )
    )
    ax.text(x, y, text, ha="center", va="center")


def arrow(ax, start, end, *, color=GREY):
    """Draw an arrow between two points, in data units."""
    ax.annotate(
        "",
        end,
        start,
        arrowprops={"arrowstyle": "-|>", "color": color, "shrinkA": 2, "shrinkB": 2},
    )
