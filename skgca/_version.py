"""Version of the package, and of the packages that it uses."""

import platform
import sys
from importlib import metadata

__version__ = "0.2.0"

_PACKAGES = (
    "scikit-learn",
    "torch",
    "skorch",
    "numpy",
    "scipy",
    "safetensors",
    "joblib",
    "pandas",
    "polars",
    "matplotlib",
    "skops",
    "onnxruntime",
)


def show_versions() -> None:
    """Print the versions of Python, of skgca and of its dependencies.

    Use it to report a bug; the version of skgca alone is ``skgca.__version__``.

    Examples
    --------
    >>> import skgca
    >>> skgca.show_versions()  # doctest: +ELLIPSIS
    <BLANKLINE>
    System:
    ...
    """
    import torch

    lines = ["", "System:"]
    lines += [f"{name:>14}: {value}" for name, value in _system().items()]
    lines += ["", "Python packages:"]
    lines += [f"{'skgca':>14}: {__version__}"]
    lines += [f"{name:>14}: {_installed(name)}" for name in _PACKAGES]
    lines += ["", "torch:", f"{'CUDA':>14}: {torch.version.cuda if torch.cuda.is_available() else 'not available'}"]
    lines += [f"{'MPS':>14}: {'available' if torch.backends.mps.is_available() else 'not available'}"]
    lines += [f"{'threads':>14}: {torch.get_num_threads()}"]
    print("\n".join(lines))


def _system() -> dict[str, str]:
    return {
        "python": sys.version.replace("\n", " "),
        "executable": sys.executable,
        "machine": platform.platform(),
    }


def _installed(name: str) -> str:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return "not installed"
