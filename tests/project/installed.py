"""What test_dist.py runs where skgca is installed, in a process that cannot see this checkout."""

import json
import sys
import warnings
from importlib import metadata
from pathlib import Path

import numpy as np


def data():
    """Return X of each kind, and the parameters that suit it."""
    import pandas as pd

    rng = np.random.default_rng(0)
    numbers = rng.normal(size=(60, 4))
    mixed = pd.DataFrame(
        {"age": numbers[:, 0], "city": rng.choice(["Oslo", "Bergen"], 60), "member": numbers[:, 1] > 0}
    )
    mixed.loc[3, ["age", "city"]] = None
    return {
        "table": (numbers, {}),
        "mixed table": (mixed, {}),
        "images": (rng.integers(0, 256, (60, 12, 12), dtype=np.uint8), {}),
        "series": (rng.normal(size=(60, 2, 24)), {}),
        "features": (rng.normal(size=(60, 32)), {"views": "noise", "passthrough": False}),
    }


def main():
    """Check where skgca lies, fit each kind of data, and run the snippets that come from standard input as JSON."""
    import skgca

    assert Path(skgca.__file__).is_relative_to(sys.prefix), skgca.__file__
    assert skgca.__version__ == metadata.version("skgca")
    for kind, (X, params) in data().items():
        embedder = skgca.GCAEmbedder(max_epochs=2, random_state=0, **params)
        Z = embedder.fit_transform(X)
        assert Z.shape == (60, len(embedder.get_feature_names_out())), kind
        assert np.isfinite(Z).all(), kind
        assert Z.std(axis=0).max() > 0, kind
        print(kind, Z.shape)  # noqa: T201
    names = {"__name__": "snippets"}
    snippets = json.load(sys.stdin)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for snippet in snippets:
            exec(snippet, names)
        images, labels = names["digits"].images[100:], names["digits"].target[100:]
        assert names["model"].score(images, labels) > 0.88
    X, y = data()["table"][0], np.arange(60) % 2
    assert names["model"].set_params(embedder__max_epochs=2).fit(X, y).predict(X).shape == (60,)
    print(len(snippets), "snippets")  # noqa: T201


if __name__ == "__main__":
    main()
