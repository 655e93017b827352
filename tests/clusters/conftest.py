"""Rows, fitted embedders, and what a plain call makes of the rows. Each module starts its cluster once."""

import numpy as np
import pandas as pd
import pytest
from sklearn.model_selection import GridSearchCV

from skgca.model_selection import GCASearchCV

from ..local_clusters import needs_packages
from ..models import quick

# Parts of a multiple of 1,024 rows have the bits of one call on each processor; other parts on most of them.
PART, N = 1024, 4096


@pytest.fixture(scope="session", autouse=True)
def packages():
    needs_packages()


@pytest.fixture(scope="session")
def numbers():
    return np.random.default_rng(0).normal(size=(N, 5)).astype(np.float32)


@pytest.fixture(scope="session")
def images():
    return np.random.default_rng(0).integers(0, 256, (2 * PART, 8, 8), dtype=np.uint8)


@pytest.fixture(scope="session")
def people():
    """A table with a key as its index, and columns of each type that all engines have, with gaps."""
    random = np.random.default_rng(0)
    frame = pd.DataFrame(
        {
            "age": random.normal(40, 12, N),
            "visits": pd.array(random.integers(0, 9, N), dtype="Int64"),
            "city": random.choice(["Oslo", "St. Louis", "`x` (y)", "oslo"], N),  # which name columns that come out
            "member": random.random(N) < 0.5,
            "since": pd.date_range("2020-01-01", periods=N, freq="7h"),
            "size of shoes": random.integers(36, 48, N).astype(np.float32),
        },
        index=pd.Index(np.arange(N) * 2 + 5, name="key"),
    )
    frame["day"] = frame["since"].dt.date
    for column in ("age", "visits", "city", "since"):
        frame.loc[random.random(N) < 0.1, column] = None
    return frame


@pytest.fixture(scope="session")
def of_numbers(numbers):
    return quick(max_epochs=1).fit(numbers)


@pytest.fixture(scope="session")
def of_images(images):
    return quick(max_epochs=1, n_threads=1).fit(images)


@pytest.fixture(scope="session")
def of_people(people):
    return quick(max_epochs=1).fit(people).set_output(transform="pandas")


@pytest.fixture(scope="session")
def saved(of_people, tmp_path_factory):
    path = tmp_path_factory.mktemp("saved") / "people.safetensors"
    of_people.save(path)
    return str(path)


@pytest.fixture(scope="session")
def assert_as_plain(of_people, people):
    """Assert names, type, keys and bits, whatever the order in which rows come back."""
    expected = of_people.transform(people)

    def check(found, key="key"):
        found = found.set_index(key).sort_index() if key in found else found
        assert found.columns.tolist() == of_people.get_feature_names_out().tolist()
        assert {str(dtype) for dtype in found.dtypes} <= {"float64", "double[pyarrow]"}
        np.testing.assert_array_equal(found.index, expected.index)
        np.testing.assert_array_equal(found.to_numpy(dtype=float), expected.to_numpy())

    return check


def make_search(name, **options):
    grid = {"epsilon": [0.2, 1.0]}
    return {"grid": GridSearchCV, "path": GCASearchCV}[name](quick(), grid, cv=2, **options)


@pytest.fixture(scope="session")
def assert_same_search(numbers):
    """Run a search by the backend of joblib that is set outside, and compare all scores and the embedding."""
    serial = {name: make_search(name).fit(numbers[:200]) for name in ("grid", "path")}

    def check(name, **options):
        expected = serial[name]
        found = make_search(name, **options).fit(numbers[:200])
        for key in (key for key in expected.cv_results_ if "test_score" in key):
            np.testing.assert_array_equal(found.cv_results_[key], expected.cv_results_[key])
        assert len(set(expected.cv_results_["mean_test_score"])) == 2  # or the scores would tell nothing
        np.testing.assert_array_equal(found.transform(numbers), expected.transform(numbers))

    return check
