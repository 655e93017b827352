"""Searches on Ray's workers, and transform of its datasets."""

import joblib
import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone

from skgca import GCAEmbedder

from ..local_clusters import IGNORED_WARNINGS, ray_cluster
from .conftest import PART

pytestmark = [pytest.mark.slow, IGNORED_WARNINGS]


@pytest.fixture(scope="module", autouse=True)
def ray(packages):
    with ray_cluster() as ray:
        yield ray


def test_batches_of_arrays_are_embedded_where_they_are(ray, images, of_images):
    def embed(batch):
        return {"embedding": of_images.transform(batch["data"])}

    found = ray.data.from_numpy(images).map_batches(embed, batch_size=PART)
    batches = [batch["embedding"] for batch in found.iter_batches(batch_size=None)]
    assert {batch.dtype for batch in batches} == {np.dtype(np.float32)}
    np.testing.assert_array_equal(np.concatenate(batches), of_images.transform(images))


def test_batches_of_a_file_are_embedded_where_they_are(ray, people, of_people, assert_as_plain, tmp_path):
    def embed(batch):  # of Arrow's types
        return batch[["key"]].join(of_people.transform(batch.drop(columns="key")))

    people.reset_index().to_parquet(tmp_path / "people.parquet")
    rows = ray.data.read_parquet(str(tmp_path))
    assert_as_plain(rows.map_batches(embed, batch_format="pandas", batch_size=PART).to_pandas())


def test_single_precision_of_a_file_stays_single(ray, numbers, of_numbers, tmp_path):
    frame = pd.DataFrame(numbers, columns=list("abcde"))
    embedder = clone(of_numbers).fit(frame)
    frame.to_parquet(tmp_path / "numbers.parquet")

    def embed(batch):
        return {"embedding": embedder.transform(batch)}

    rows = ray.data.read_parquet(str(tmp_path))
    (found,) = rows.map_batches(embed, batch_format="pandas", batch_size=PART).iter_batches(batch_size=None)
    assert found["embedding"].dtype == np.float32
    np.testing.assert_array_equal(found["embedding"], of_numbers.transform(numbers))


def test_a_saved_file_is_opened_once_by_each_worker(ray, people, saved, assert_as_plain):
    class Embed:
        def __init__(self, path):
            self.embedder = GCAEmbedder.load(path).set_output(transform="pandas")

        def __call__(self, batch):
            return batch[["key"]].join(self.embedder.transform(batch.drop(columns="key")))

    people = people.reset_index()
    rows = ray.data.from_pandas([people[start : start + PART] for start in range(0, len(people), PART)])
    workers = ray.data.ActorPoolStrategy(min_size=1, max_size=2)
    found = rows.map_batches(
        Embed, fn_constructor_args=(saved,), compute=workers, batch_format="pandas", batch_size=PART
    )
    assert_as_plain(found.to_pandas())


def test_a_dataset_is_refused_and_the_ways_named(ray, people, of_people):
    rows = ray.data.from_pandas(people)
    for method in (of_people.transform, GCAEmbedder().fit):
        with pytest.raises(TypeError, match=r"Dataset.*X.to_pandas\(\).*X.map_batches"):
            method(rows)
    np.testing.assert_array_equal(of_people.transform(rows.to_pandas()), of_people.transform(people))


def test_a_search_has_the_scores_and_the_bits_of_one_process(ray, assert_same_search):
    from ray.util.joblib import register_ray

    register_ray()
    with joblib.parallel_config(backend="ray"):
        assert_same_search("path")
