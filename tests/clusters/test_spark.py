"""Transform of Spark's frames."""

import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone

from skgca import GCAEmbedder

from ..local_clusters import needs_java, spark_session

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def spark(packages, tmp_path_factory):
    needs_java()
    with spark_session(tmp_path_factory.mktemp("warehouse")) as spark:
        yield spark


@pytest.fixture(scope="module")
def rows(spark, people):
    return spark.createDataFrame(people.reset_index())


def schema_of(embedder):
    from pyspark.sql.types import DoubleType, LongType, StructField, StructType

    columns = [StructField(name, DoubleType()) for name in embedder.get_feature_names_out()]
    return StructType([StructField("key", LongType()), *columns])


def embedding_by(path):
    def embed(parts):
        embedder = GCAEmbedder.load(path).set_output(transform="pandas")
        for part in parts:
            yield part[["key"]].join(embedder.transform(part.drop(columns="key")))

    return embed


def test_partitions_are_embedded_where_they_are(rows, of_people, saved, assert_as_plain):
    assert rows.rdd.getNumPartitions() == 2
    assert_as_plain(rows.mapInPandas(embedding_by(saved), schema_of(of_people)).toPandas())

    def embed(parts):
        for part in parts:
            yield part[["key"]].join(of_people.transform(part.drop(columns="key")))

    assert_as_plain(rows.mapInPandas(embed, schema_of(of_people)).toPandas())


def test_partitions_without_rows_have_no_embedding(rows, of_people, saved):
    found = rows.filter("key < 11").mapInPandas(embedding_by(saved), schema_of(of_people)).toPandas()
    assert found["key"].tolist() == [5, 7, 9]
    assert rows.filter("key < 5").mapInPandas(embedding_by(saved), schema_of(of_people)).count() == 0


def test_names_of_categories_need_a_session_that_sees_case(spark, rows, of_people, saved, assert_as_plain, tmp_path):
    from pyspark.errors import AnalysisException

    found = rows.mapInPandas(embedding_by(saved), schema_of(of_people))
    assert {"city_Oslo", "city_oslo"} <= set(found.columns)
    with pytest.raises(AnalysisException, match="COLUMN_ALREADY_EXISTS"):
        found.write.parquet(str(tmp_path / "refused"))
    spark.conf.set("spark.sql.caseSensitive", "true")
    try:
        found.write.parquet(str(tmp_path / "written"))
    finally:
        spark.conf.unset("spark.sql.caseSensitive")
    assert_as_plain(pd.read_parquet(tmp_path / "written"))


def test_a_folder_that_spark_wrote_is_read_by_fit(rows, people, of_people, tmp_path):
    rows.orderBy("key").drop("key").write.parquet(str(tmp_path / "people"))
    fitted = clone(of_people).fit(tmp_path / "people")
    np.testing.assert_array_equal(
        fitted.set_output(transform="default").transform(people), of_people.transform(people).to_numpy()
    )


def test_a_frame_is_refused_and_the_ways_named(rows, people, of_people):
    for method in (of_people.transform, GCAEmbedder().fit):
        with pytest.raises(TypeError, match=r"DataFrame.*X.toPandas\(\).*X.mapInPandas"):
            method(rows)
    with pytest.raises(TypeError, match=r"DataFrame.*X.to_pandas\(\).*mapInPandas"):
        of_people.transform(rows.pandas_api())
    given = rows.drop("key").toPandas()
    np.testing.assert_array_equal(of_people.transform(given).to_numpy(), of_people.transform(people).to_numpy())
