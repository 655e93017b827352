"""A small embedder, which trains in a fraction of a second and has every part of a default one."""

from skgca import GCAEmbedder

SMALL = {"n_components": 6, "hidden_layer_sizes": (16,), "projection_sizes": (8,), "max_epochs": 3, "random_state": 0}


def quick(**params):
    """Return an unfitted embedder of small sizes, with parameters of its own."""
    return GCAEmbedder(**{**SMALL, **params})


def quick_to_save(**params):
    """Return one that is quick to write and to open too, whatever its encoder."""
    sizes = (8, 8) if isinstance(params.get("encoder", ""), str) else None  # a module of one's own has its sizes
    return quick(**{"n_components": 5, "hidden_layer_sizes": sizes, "max_epochs": 2, "batch_size": 16, **params})
