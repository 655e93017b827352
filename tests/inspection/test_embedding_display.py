import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from matplotlib.colors import to_rgba
from sklearn.decomposition import PCA, TruncatedSVD
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skgca import GCAMap
from skgca.inspection import EmbeddingDisplay
from skgca.inspection._drawing import COLORS, MARKERS, MOST_STYLES, styles

from ..numerics import SINGLE, assert_close
from .models import NAMES, X, Y, fitted


@pytest.fixture(autouse=True)
def _close():
    yield
    plt.close("all")


def drawn(display):
    return {group.get_label(): np.asarray(group.get_offsets()) for group in display.ax_.collections}


def test_classes_have_colours_and_a_legend():
    display = EmbeddingDisplay.from_estimator(fitted(), X, Y)
    points = PCA(2, random_state=0).fit_transform(fitted().transform(X))
    assert list(drawn(display)) == ["0", "1", "2"]
    for label, group in drawn(display).items():
        assert_close(np.abs(group), np.abs(points[int(label) == Y]), SINGLE)  # signs are chance
    assert [text.get_text() for text in display.ax_.get_legend().get_texts()] == ["0", "1", "2"]
    assert (display.ax_.get_xlabel(), display.ax_.get_ylabel()) == ("PCA 1", "PCA 2")


@pytest.mark.parametrize("nothing", [-1, None, np.nan, pd.NA])
def test_unknown_rows_are_grey(nothing):
    y = Y.astype(object if nothing is None or nothing is pd.NA else float if nothing is np.nan else int)
    y[::5] = nothing
    groups = drawn(EmbeddingDisplay.from_estimator(fitted(), X, y))
    assert len(groups["unknown"]) == 30
    assert len(groups) == 4
    assert sum(map(len, groups.values())) == 150


def test_text_and_numbers():
    assert list(drawn(EmbeddingDisplay.from_estimator(fitted(), X, NAMES))) == ["setosa", "versicolor", "virginica"]
    display = EmbeddingDisplay.from_estimator(fitted(), X, X[:, 0] - 5.05)  # -1 is no mark among fractions
    (group,) = display.ax_.collections
    assert np.array_equal(group.get_array(), X[:, 0] - 5.05)
    assert len(EmbeddingDisplay.from_estimator(fitted(), X).ax_.collections) == 1


@pytest.mark.parametrize("n", range(1, MOST_STYLES + 1))
def test_no_two_classes_share_a_colour(n):
    looks = styles(n)
    assert len(looks) == n
    assert len({tuple(to_rgba(look["color"])) for look in looks}) == n
    if n <= len(COLORS):  # which readers with any colour vision can tell apart
        assert [(look["color"], look["marker"]) for look in looks] == [(color, "o") for color in COLORS[:n]]
    neighbours = zip(looks, looks[len(COLORS) :], strict=False)
    assert n > 20 or all(first["marker"] != second["marker"] for first, second in neighbours)


def test_as_many_classes_as_can_be_told_apart():
    points = np.random.default_rng(0).normal(size=(130, 2))
    display = EmbeddingDisplay(points, y=np.arange(130) % 64).plot()
    looks = {(tuple(g.get_facecolor()[0]), g.get_paths()[0].vertices.tobytes()) for g in display.ax_.collections}
    assert len(looks) == 64 == len(COLORS) * len(MARKERS)
    with pytest.raises(ValueError, match="y has 65 classes, and only 64 can be told apart"):
        EmbeddingDisplay(points, y=np.arange(130) % 65).plot()


def test_methods_pipelines_and_axes():
    _, ax = plt.subplots()
    pipeline = make_pipeline(StandardScaler(), fitted())
    pipeline.fit(X)
    display = EmbeddingDisplay.from_estimator(pipeline, X, Y, method="tsne", ax=ax)
    assert display.ax_ is ax
    assert ax.get_xlabel() == "t-SNE 1"
    assert EmbeddingDisplay.from_estimator(fitted(), X, method=TruncatedSVD(2)).ax_.get_xlabel() == "TruncatedSVD 1"
    with pytest.raises(ValueError, match=r"method='lda' is not known; use one of \['auto', 'map', 'pca',"):
        EmbeddingDisplay.from_estimator(fitted(), X, method="lda")


def test_a_map_is_drawn_as_it_is_and_a_wider_embedding_can_become_one():
    fitted_map = GCAMap(hidden_layer_sizes=(16,), max_epochs=3, random_state=0).fit(X)
    display = EmbeddingDisplay.from_estimator(fitted_map, X, Y)
    assert np.array_equal(display.points, fitted_map.transform(X))
    assert display.ax_.get_xlabel() == "component 1"
    wider = PCA(3).fit(X)
    display, again = (
        EmbeddingDisplay.from_estimator(wider, X[:40], method="map", random_state=seed) for seed in (3, 3)
    )
    assert display.ax_.get_xlabel() == "GCAMap 1"
    assert np.array_equal(display.points, again.points)


def test_of_many_rows_a_random_part_is_drawn():
    first, again, other = (
        EmbeddingDisplay.from_estimator(fitted(), X, Y, max_rows=50, random_state=seed) for seed in (0, 0, 1)
    )
    assert sum(map(len, drawn(first).values())) == 50
    assert np.array_equal(first.points, again.points)
    assert not np.array_equal(first.points, other.points)


def test_y_must_be_as_long_as_the_rows():
    with pytest.raises(ValueError, match="inconsistent numbers of samples"):
        EmbeddingDisplay.from_estimator(fitted(), X, Y[:-1])
