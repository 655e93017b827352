"""What the peers do where a user slips, and what GCAEmbedder does there: a table of observed behaviour.

    python -m benchmarks.peer_traps

A minute of one core. Packages as for peers.py; rows of packages that are missing say so. docs/evidence/peers.md holds
the table.
"""

import contextlib
import io
import os
import time
import warnings
from importlib import import_module
from textwrap import shorten

# Before numba and torch are imported.
os.environ.update(OMP_NUM_THREADS="1", NUMBA_NUM_THREADS="1")

import numpy as np
import pandas as pd
import torch
from sklearn.base import clone
from sklearn.datasets import load_iris
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline

from skgca import GCAEmbedder
from skgca.losses import make_loss

from ._measuring import MIB, anonymous_in_use, peak_of
from ._printing import about, table

X, Y = load_iris(return_X_y=True)
ORDER = np.random.RandomState(0).permutation(len(X))
X, Y = X[ORDER].astype(np.float32), Y[ORDER]
FRAME = pd.DataFrame(X, columns=list("abcd"))
PAIRS, WIDTH = 256, 128


def ours(**options):
    return GCAEmbedder(max_epochs=20, random_state=0, **options)


def peer(module, name, **options):
    return getattr(import_module(module), name)(**options)


def umap():
    return peer("umap", "UMAP", random_state=0)


def cebra():
    return peer("cebra", "CEBRA", max_iterations=20, batch_size=32)


def classifier(embedder):
    return make_pipeline(embedder, LogisticRegression(max_iter=1000))


def fewer_columns(model):
    return f"accepted, shape {model.fit(X).transform(X[:10, :3]).shape}"


def reordered(model):
    model.fit(FRAME)
    first, second = (np.asarray(model.transform(FRAME[list(names)])) for names in ("abcd", "dcba"))
    return f"accepted, embedding differs by up to {np.abs(first - second).max():.1f}"


def pipeline_without_labels(model):
    return f"works, shape {make_pipeline(model, clone(model)).fit_transform(X, None).shape}"


def pipeline_default(make):
    return f"works, accuracy on these rows {classifier(make()).fit(X, Y).score(X, Y):.2f}"


def cebra_full_batch():
    return peer("cebra", "CEBRA", max_iterations=20)


def pipeline_text_labels(model):
    labels = np.array(["setosa", "versicolor", "virginica"])[Y]
    return f"works, accuracy on these rows {classifier(model).fit(X, labels).score(X, labels):.2f}"


def leak(model):
    """How far other labels move the embedding, beside how far the same fit again does: torch seeded alike each time."""

    def embedding(y):
        torch.manual_seed(0)
        return clone(model).fit(X, y).transform(X)

    first, again, other = embedding(Y), embedding(Y), embedding(Y[::-1].copy())
    moved, noise = np.abs(other - first).max(), np.abs(again - first).max()
    return f"other labels move the embedding by up to {moved:.2f}, the same again by {noise:.2f}"


def own_search(model, name, values):
    search = GridSearchCV(model, {name: values}, cv=2, error_score="raise").fit(X)
    return f"works, best {search.best_params_}"


def same_twice(model):
    first, second = (clone(model).fit(X).transform(X) for _ in range(2))
    return "same bits" if np.array_equal(first, second) else f"differs by up to {np.abs(first - second).max():.2f}"


def frame_output(model):
    return f"works, {type(model.set_output(transform='pandas').fit(X).transform(X)).__name__}"


def tabnet_few_rows():
    model = peer("pytorch_tabnet.pretraining", "TabNetPretrainer", verbose=0, seed=0)
    model.fit(X[:100], max_epochs=3, batch_size=1024)
    return f"losses {model.history['loss']}"


def ours_few_rows():
    model = ours(batch_size=1024).fit(X[:100])
    return f"losses {model.history_[0]['loss']:.2f} to {model.history_[-1]['loss']:.2f}"


def metric_learn_fit():
    return f"works, {peer('metric_learn', 'LMNN').fit(X, Y).transform(X).shape}"


def loss_cost(make):
    """Processor seconds and memory of a loss and its gradient, second call; PAIRS pairs of WIDTH columns."""
    loss, peaks = make(), {}
    for _ in range(2):
        z = torch.randn(2, PAIRS, WIDTH, generator=torch.Generator().manual_seed(0), requires_grad=True)
        before, start = anonymous_in_use(), time.process_time()
        with peak_of(peaks, "loss"):
            value = loss(z[0], z[1])
            value.backward()
        seconds = time.process_time() - start
    return f"{seconds:.3f} s, {(peaks['loss'] - before) / MIB:.0f} MiB, loss {value.item():.2f}"


def pml_loss():
    losses = import_module("pytorch_metric_learning.losses")
    return losses.SelfSupervisedLoss(losses.NTXentLoss(temperature=0.1))


def ts3l_loss(temperature=0.1):
    return import_module("ts3l.models.scarf").NTXentLoss(temperature)


def cold_ts3l():
    return ts3l_loss(0.01)


def cold_ours():
    return make_loss("ince", epsilon=0.01)


def cold(make):
    """A loss at temperature 0.01, where both views of a row are equal."""
    z = torch.randn(1, PAIRS, WIDTH, generator=torch.Generator().manual_seed(0)).repeat(2, 1, 1)
    z = torch.nn.functional.normalize(z, dim=2).requires_grad_()
    loss = make()(z[0], z[1])
    loss.backward()
    return f"loss {abs(loss.item()):.2f}, {int(z.grad.isnan().sum())} of {z.numel()} gradients are NaN"


TRAPS = [
    ("3 of 4 columns in transform", "UMAP", lambda: fewer_columns(umap()), lambda: fewer_columns(ours())),
    ("3 of 4 columns in transform", "CEBRA", lambda: fewer_columns(cebra()), None),
    ("columns of a frame in another order", "UMAP", lambda: reordered(umap()), lambda: reordered(ours())),
    ("columns of a frame in another order", "CEBRA", lambda: reordered(cebra()), None),
    (
        "two in a pipeline, y=None",
        "CEBRA",
        lambda: pipeline_without_labels(cebra()),
        lambda: pipeline_without_labels(ours()),
    ),
    (
        "pipeline, class labels, default batch size",
        "CEBRA",
        lambda: pipeline_default(cebra_full_batch),
        lambda: pipeline_default(ours),
    ),
    ("pipeline, labels as text", "CEBRA", lambda: pipeline_text_labels(cebra()), lambda: pipeline_text_labels(ours())),
    ("pipeline passes y on", "CEBRA", lambda: leak(cebra()), lambda: leak(ours())),
    (
        "GridSearchCV of the embedder alone",
        "CEBRA",
        lambda: own_search(cebra(), "temperature", [0.5, 1.0]),
        lambda: own_search(ours(), "epsilon", [0.5, 1.0]),
    ),
    ("the same fit twice", "CEBRA", lambda: same_twice(cebra()), lambda: same_twice(ours())),
    ('set_output(transform="pandas")', "CEBRA", lambda: frame_output(cebra()), lambda: frame_output(ours())),
    ("100 rows, batches of 1,024", "TabNetPretrainer", tabnet_few_rows, ours_few_rows),
    ("fit", "metric-learn LMNN", metric_learn_fit, None),
    (
        "loss and gradient, 256 pairs of 128",
        "pytorch-metric-learning NTXent",
        lambda: loss_cost(pml_loss),
        lambda: loss_cost(lambda: make_loss("ince", epsilon=0.1)),
    ),
    ("loss and gradient, 256 pairs of 128", "ts3l NTXent", lambda: loss_cost(ts3l_loss), None),
    (
        "equal views at temperature 0.01",
        "ts3l NTXent",
        lambda: cold(cold_ts3l),
        lambda: cold(cold_ours),
    ),
]


def observed(probe):
    """What a probe returns, or the error it meets, in one line."""
    if probe is None:
        return ""
    try:
        with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
            warnings.simplefilter("ignore")
            return probe()
    except ModuleNotFoundError as error:
        return f"not installed: {error.name}"
    except Exception as error:
        return shorten(f"{type(error).__name__}: {error}".replace("|", "/"), 150, placeholder=" ...")


def main():
    torch.set_num_threads(1)
    about("one thread")
    rows = [[what, who, observed(theirs), observed(own)] for what, who, theirs, own in TRAPS]
    table("Where a user slips", ["", "peer", "what it does", "GCAEmbedder or our loss"], rows)


if __name__ == "__main__":
    main()
