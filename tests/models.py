"""A small embedder, which trains in a fraction of a second and has every part of a default one."""

from skgca import GCAEmbedder

SMALL = {"n_components": 6, "hidden_layer_sizes": (16,), "projection_sizes": (8,), "max_epochs": 3, "random_state": 0}


def quick(**params):
    """Return an unfitted embedder of small sizes, with parameters of its own."""
    return GCAEmbedder(**{**SMALL, **params})
