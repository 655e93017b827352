"""Small clusters on this machine: of dask, Ray and Spark, two processes each, which nothing outside can reach."""

import logging
import os
import shutil
import sys
from contextlib import contextmanager

import pytest

__all__ = [
    "IGNORED_WARNINGS",
    "SETTINGS",
    "dask_cluster",
    "needs_java",
    "needs_packages",
    "ray_cluster",
    "spark_session",
]

# Read when the packages are imported or start a process, so also by the snippets of the page.
SETTINGS = {
    "PYSPARK_PYTHON": sys.executable,  # by default, the python3 that is found first
    "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0",  # addresses of 127.0.0.1, as on these systems
    "RAY_USAGE_STATS_ENABLED": "0",
    "SPARK_LOCAL_IP": "127.0.0.1",
}

# Ray warns of settings of its own when it makes its defaults.
IGNORED_WARNINGS = pytest.mark.filterwarnings(r"ignore:.*deprecated:DeprecationWarning:ray\.data\.context")


def needs_packages():
    """Skip unless the packages of the extra "cluster" are there, and set what they read."""
    for package in ("distributed", "ray", "pyspark"):
        pytest.importorskip(package, reason=f'{package} is missing; make test-slow installs the extra "cluster"')
    os.environ.update(SETTINGS)


def needs_java():
    """Skip where Spark cannot start."""
    home = os.environ.get("JAVA_HOME")
    if not shutil.which("java", path=os.path.join(home, "bin") if home else None):
        pytest.skip("Spark needs java (17 or later), and there is none on PATH or in JAVA_HOME")


@contextmanager
def dask_cluster():
    """Yield a client of two workers of one thread."""
    from distributed import Client, LocalCluster

    options = {"n_workers": 2, "threads_per_worker": 1, "dashboard_address": "127.0.0.1:0"}
    with LocalCluster(**options) as cluster, Client(cluster) as client:
        yield client


@contextmanager
def ray_cluster():
    """Yield ray, with two processors and 100 MB of its object store."""
    import ray
    import ray.data

    logging.getLogger("ray.data").setLevel(logging.ERROR)
    ray.init(num_cpus=2, include_dashboard=False, object_store_memory=10**8, logging_level="ERROR", log_to_driver=False)
    try:
        ray.data.DataContext.get_current().enable_progress_bars = False
        yield ray
    finally:
        ray.shutdown()


@contextmanager
def spark_session(warehouse):
    """Yield a session with two threads; ``warehouse`` is a folder for its tables."""
    from pyspark.sql import SparkSession

    settings = {
        "spark.driver.memory": "512m",
        "spark.log.level": "ERROR",
        "spark.sql.session.timeZone": "UTC",
        "spark.sql.warehouse.dir": str(warehouse),
        "spark.ui.enabled": "false",
        "spark.ui.showConsoleProgress": "false",
    }
    session = SparkSession.builder.master("local[2]").config(map=settings).getOrCreate()
    try:
        yield session
    finally:
        session.stop()
