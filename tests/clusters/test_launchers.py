"""The scripts of the page on training over processes, each started by its launcher on two processes of this machine."""

import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from skgca import GCAEmbedder

from ..local_clusters import needs_java

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "guide" / "distributed.md").read_text(encoding="utf-8")
SCRIPTS = dict(re.findall(r"<!-- launcher: (\S+) -->\n\n```python\n(.*?)```", PAGE, re.DOTALL))
TORCHRUN = ("-m", "torch.distributed.run", "--nproc-per-node=2", "--master-addr=127.0.0.1")
ACCELERATE = (
    *("-m", "accelerate.commands.launch", "--multi_gpu", "--num_processes=2", "--num_machines=1"),
    *("--mixed_precision=no", "--dynamo_backend=no"),
)
LAUNCHERS = {
    "my_training.py": TORCHRUN,
    "accelerate_train.py": ACCELERATE,
    "dask_train.py": (),
    "ray_train.py": (),
    "spark_train.py": (),
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("launched")
    for name, script in SCRIPTS.items():
        (folder / name).write_text(script, encoding="utf-8")
    return folder


def launched(folder, name):
    """Run a script, and return the embedding by the embedder that it saved."""
    path = folder / "embedder.safetensors"
    path.unlink(missing_ok=True)
    # the workers import the script of torchrun, and this checkout
    places = os.pathsep.join([str(folder), str(ROOT)])
    command = [sys.executable, *LAUNCHERS[name], name]
    result = subprocess.run(
        command,
        cwd=folder,
        env={**os.environ, "PYTHONPATH": places, "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    assert result.returncode == 0, result.stdout + result.stderr
    rows = np.random.default_rng(1).normal(size=(50, 20))
    return GCAEmbedder.load(path).transform(rows)


@pytest.fixture(scope="module")
def by_torchrun(folder):
    return launched(folder, "my_training.py")


def test_torchrun(by_torchrun):
    assert by_torchrun.shape[0] == 50
    assert np.isfinite(by_torchrun).all()


@pytest.mark.parametrize("name", [name for name in LAUNCHERS if name != "my_training.py"])
def test_another_launcher_trains_the_same_embedder(folder, by_torchrun, name):
    if name.startswith("spark"):
        needs_java()
    np.testing.assert_array_equal(launched(folder, name), by_torchrun)


def test_every_script_of_the_page_is_started():
    assert SCRIPTS.keys() == LAUNCHERS.keys()
    assert PAGE.count("```python") == len(SCRIPTS)
