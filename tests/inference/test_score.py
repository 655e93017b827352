"""GCAEmbedder.score: label-free, the same for the same embedding, and seen through views that no parameter changes."""

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.datasets import load_digits, load_iris
from sklearn.decomposition import PCA
from sklearn.exceptions import NotFittedError
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from torch import nn

from skgca import GCAEmbedder
from skgca._data import check_rows
from skgca.metrics import view_information_score
from skgca.views import ColumnCorruption

from ..numerics import SINGLE, assert_close

X = load_digits().data[:400]
HELD_OUT = load_digits().data[400:600]


@pytest.fixture(scope="module")
def embedder():
    return GCAEmbedder(max_epochs=5, random_state=0).fit(X)


def test_it_is_the_information_of_ten_views(embedder):
    """What transform gives of corrupted rows, without the columns that it passes through."""
    inputs = embedder.reader_.read(HELD_OUT)
    generator = torch.Generator().manual_seed(0)
    n_learned = sum(name.startswith("gcaembedder") for name in embedder.get_feature_names_out())
    with torch.no_grad():
        views = [embedder.encoder_(ColumnCorruption(0.2)(inputs, generator))[:, :n_learned] for _ in range(10)]
    assert_close(embedder.score(HELD_OUT), view_information_score(*views), SINGLE)


def test_it_is_the_same_each_time_and_needs_no_labels(embedder):
    numpy_before, torch_before = np.random.get_state()[1].copy(), torch.get_rng_state()  # noqa: NPY002
    score = embedder.score(HELD_OUT)
    assert isinstance(score, float)
    assert embedder.score(HELD_OUT, np.arange(len(HELD_OUT))) == score
    assert embedder.set_output(transform="pandas").score(HELD_OUT) == score
    embedder.set_output(transform="default")
    assert np.array_equal(np.random.get_state()[1], numpy_before)  # noqa: NPY002
    assert torch.equal(torch.get_rng_state(), torch_before)


def test_what_training_looked_through_does_not_matter():
    """Of the same weights, nor does what is passed through."""
    same = {"max_epochs": 0, "random_state": 0, "n_components": 32}
    scores = {
        GCAEmbedder(**same, **other).fit(X).score(HELD_OUT)
        for other in ({}, {"views": "noise"}, {"corruption_rate": 0.9}, {"passthrough": False}, {"epsilon": 0.01})
    }
    assert len(scores) == 1


class Constant(nn.Module):
    """All rows at one place."""

    def __init__(self, n_inputs, n_components):
        super().__init__()
        self.place = nn.Parameter(torch.ones(n_components))

    def forward(self, batch):
        return self.place.expand(len(batch), -1)


class Noise(Constant):
    """Rows anywhere: what tells nothing of its input."""

    def forward(self, batch):
        generator = torch.Generator().manual_seed(int(batch.sum() * 1e3) % 2**31)
        return torch.randn(len(batch), len(self.place), generator=generator) + 0 * self.place


@pytest.mark.parametrize("encoder", [Constant, Noise])
def test_an_embedding_that_tells_nothing_scores_nothing(encoder, embedder):
    told = GCAEmbedder(encoder=encoder, n_components=16, max_epochs=0, random_state=0).fit(X).score(HELD_OUT)
    assert abs(told) < 0.1 * embedder.score(HELD_OUT)


def test_more_columns_of_the_same_add_little_and_fewer_lose():
    """A width of 4 keeps less than one of 64, and that of 64 about all."""
    scores = [GCAEmbedder(n, max_epochs=5, random_state=0).fit(X).score(HELD_OUT) for n in (4, 64)]
    assert scores[0] < 0.6 * scores[1]


def test_other_data():
    images = load_digits().images[:60]
    series = np.random.default_rng(0).normal(size=(40, 2, 16))
    frame = pd.DataFrame({"size": np.arange(40.0), "colour": pd.Categorical(["red", "blue"] * 20)})
    frame.loc[3, "size"] = np.nan
    for rows in (images, series, frame):
        assert np.isfinite(GCAEmbedder(max_epochs=1, random_state=0).fit(rows).score(rows))


def test_of_many_rows_some_count(embedder):
    rows = np.tile(X, (4, 1))
    some = rows[np.linspace(0, len(rows) - 1, 1000).astype(int)]
    assert embedder.score(rows) == embedder.score(some)


def test_searches_and_pipelines_use_it():
    rows = load_iris().data
    model = GCAEmbedder(max_epochs=2, random_state=0)
    search = GridSearchCV(model, {"epsilon": [0.1, 1.0]}, cv=3).fit(rows)
    assert search.best_score_ == search.cv_results_["mean_test_score"].max()
    fold = np.arange(50, 150)  # KFold's first
    alone = GCAEmbedder(epsilon=0.1, max_epochs=2, random_state=0).fit(rows[fold]).score(rows[:50])
    assert search.cv_results_["split0_test_score"][0] == alone
    in_pipeline = make_pipeline(StandardScaler(), model)
    assert np.isfinite(cross_val_score(in_pipeline, rows, cv=2)).all()
    pca = PCA(2)
    by_hand = model.fit(pca.fit_transform(rows)).score(pca.transform(rows))
    assert make_pipeline(PCA(2), model).fit(rows).score(rows) == by_hand


def test_what_is_refused(embedder):
    with pytest.raises(NotFittedError):
        GCAEmbedder().score(X)
    with pytest.raises(ValueError, match="minimum of 2"):
        embedder.score(X[:1])
    with pytest.raises(ValueError, match="3 features, but GCAEmbedder is expecting 64"):
        embedder.score(X[:, :3])
    assert len(check_rows(embedder, X, reset=False)) == len(X)  # which the refusals left as it was
