"""The quickstart as a notebook: it is the script, cell by cell, and runs from top to bottom."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).parents[2] / "examples/start"
NOTEBOOK = EXAMPLES / "quickstart.ipynb"


def cells(path, kind):
    return ["".join(cell["source"]) for cell in json.loads(path.read_text())["cells"] if cell["cell_type"] == kind]


def test_the_notebook_has_the_code_of_the_script():
    script = (EXAMPLES / "plot_quickstart.py").read_text()
    code = cells(NOTEBOOK, "code")
    assert len(code) > 5
    for cell in code:
        assert cell in script


@pytest.mark.slow
def test_the_notebook_is_what_make_notebook_writes(tmp_path):
    pytest.importorskip("sphinx_gallery")
    copy = shutil.copy(EXAMPLES / "plot_quickstart.py", tmp_path / "quickstart.py")
    subprocess.run([shutil.which("sphinx_gallery_py2jupyter", path=Path(sys.executable).parent), copy], check=True)
    made = tmp_path / "quickstart.ipynb"
    for kind in ("code", "markdown"):
        assert cells(NOTEBOOK, kind) == cells(made, kind)


@pytest.mark.slow
def test_the_notebook_runs_from_top_to_bottom(tmp_path):
    nbclient = pytest.importorskip("nbclient")
    nbformat = pytest.importorskip("nbformat")
    pytest.importorskip("ipykernel")
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    nbclient.NotebookClient(notebook, timeout=600, resources={"metadata": {"path": str(tmp_path)}}).execute()
    printed = "".join(
        output.text
        for cell in notebook.cells
        if cell.cell_type == "code"
        for output in cell.outputs
        if output.output_type == "stream"
    )
    assert "Accuracy with 10 labels a class" in printed
    assert (tmp_path / "quickstart.png").stat().st_size > 10_000
