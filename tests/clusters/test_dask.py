"""Searches on dask's workers, and transform of its arrays and frames."""

import joblib
import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone

from ..local_clusters import dask_cluster
from .conftest import PART

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module", autouse=True)
def client(packages):
    with dask_cluster() as client:
        yield client


def workers_that_ran(client):
    return set(client.run(lambda dask_worker: dask_worker.state.executed_count > 0).values())


@pytest.fixture
def parts(people):
    """Of a frame in which dask leaves dates of the calendar, and does not make text of them."""
    import dask
    import dask.dataframe as dd

    with dask.config.set({"dataframe.convert-string": False}):
        yield dd.from_pandas(people, npartitions=4)


@pytest.mark.parametrize("name", ["grid", "path"])
def test_a_search_has_the_scores_and_the_bits_of_one_process(client, assert_same_search, name):
    with joblib.parallel_config(backend="dask"):
        assert_same_search(name)
    assert workers_that_ran(client) == {True}


def test_blocks_of_an_array_are_embedded_where_they_are(client, numbers, of_numbers):
    import dask.array as da

    width = len(of_numbers.get_feature_names_out())
    expected = of_numbers.transform(numbers)
    rows = da.from_array(numbers, chunks=(PART, 5))
    unknown = rows[rows[:, 0] > -np.inf]
    for given in (rows, unknown):
        found = given.map_blocks(of_numbers.transform, dtype=np.float32, chunks=(given.chunks[0], (width,)))
        assert found.shape[1] == width == expected.shape[1]
        computed = found.compute()
        assert found.dtype == computed.dtype == expected.dtype == np.float32
        np.testing.assert_array_equal(computed, expected)
    once = client.scatter(of_numbers, broadcast=True)
    found = rows.map_blocks(lambda part, embedder: embedder.transform(part), embedder=once, dtype=np.float32)
    np.testing.assert_array_equal(found.compute(), expected)


def test_blocks_of_images_lose_their_axes(images, of_images):
    import dask.array as da

    pictures = da.from_array(images, chunks=(PART, 8, 8))
    width = len(of_images.get_feature_names_out())
    found = pictures.map_blocks(
        of_images.transform, dtype=np.float32, drop_axis=2, chunks=(pictures.chunks[0], (width,))
    )
    assert found.shape == (len(images), width)
    np.testing.assert_array_equal(found.compute(), of_images.transform(images))


def test_an_array_is_read_by_fit_and_transform(numbers, of_numbers):
    import dask.array as da

    rows = da.from_array(numbers, chunks=(PART, 5))
    np.testing.assert_array_equal(of_numbers.transform(rows), of_numbers.transform(numbers))
    fitted = clone(of_numbers).fit(rows)
    np.testing.assert_array_equal(fitted.transform(numbers), of_numbers.transform(numbers))


def test_partitions_of_a_frame_are_embedded_where_they_are(parts, people, of_people, assert_as_plain, tmp_path):
    import dask.dataframe as dd

    meta = pd.DataFrame(index=people.index[:0], columns=of_people.get_feature_names_out(), dtype=float)
    found = parts.map_partitions(of_people.transform, meta=meta)
    assert_as_plain(found.compute())
    found.to_parquet(tmp_path)
    assert_as_plain(dd.read_parquet(tmp_path).compute())
    joined = parts[["age"]].join(found[["city_Oslo"]]).compute()
    assert joined["city_Oslo"].sum() == (people["city"] == "Oslo").sum()

    def embed(part):
        return of_people.transform(part) if len(part) else meta

    some = parts[parts["age"] > 85]  # in some partitions only, as the page warns of
    assert 0 in some.map_partitions(len).compute().tolist()
    found = some.map_partitions(embed, meta=meta).compute()
    kept = people[people["age"] > 85]
    assert found.index.tolist() == kept.index.tolist()
    assert found.shape == (len(kept), len(meta.columns))
    np.testing.assert_array_equal(of_people.transform(parts), of_people.transform(people))


def test_text_that_dask_makes_of_calendar_dates_is_refused_by_name(people, of_people):
    import dask.dataframe as dd

    parts = dd.from_pandas(people, npartitions=2)
    with pytest.raises(ValueError, match="'day' held dates in fit, and now holds text"):
        of_people.transform(parts)
    converted = dd.from_pandas(people.assign(day=pd.to_datetime(people["day"])), npartitions=4)
    np.testing.assert_array_equal(of_people.transform(converted), of_people.transform(people))


def test_a_wrong_meta_is_an_error(parts, people, of_people):
    meta = pd.DataFrame(index=people.index[:0], columns=of_people.get_feature_names_out()[:-1], dtype=float)
    with pytest.raises(ValueError, match="do not match"):
        parts.map_partitions(of_people.transform, meta=meta).compute()
