"""Every notebook runs, and its committed outputs are those of the code."""

from __future__ import annotations

import re
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

NOTEBOOKS = sorted((Path(__file__).resolve().parents[1] / "notebooks").glob("*.ipynb"))


def results(notebook) -> list[list[str]]:
    """Return what each code cell says in words; pictures differ from one version of matplotlib to the next."""
    cells = [cell for cell in notebook.cells if cell.cell_type == "code"]
    return [[output.get("text") or output["data"]["text/plain"] for output in cell.outputs] for cell in cells]


@pytest.mark.slow
@pytest.mark.filterwarnings("default")  # those of jupyter's own libraries; the notebook's are caught below
@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_outputs_are_those_of_the_code(path):
    """A notebook that is run again says in every cell what it says as committed [contract]."""
    committed = nbformat.read(path, as_version=4)
    again = nbformat.from_dict(committed)
    for cell in again.cells:
        if cell.cell_type == "code":
            cell.outputs, cell.execution_count = [], None
    NotebookClient(again, timeout=300, resources={"metadata": {"path": str(path.parent)}}).execute()
    assert results(again) == results(committed)


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_committed_outputs(path):
    """Committed outputs are complete and in order, with pictures, without warnings or paths of a machine [contract]."""
    cells = [cell for cell in nbformat.read(path, as_version=4).cells if cell.cell_type == "code"]
    assert [cell.execution_count for cell in cells] == list(range(1, len(cells) + 1))
    outputs = [output for cell in cells for output in cell.outputs]
    assert not [output for output in outputs if output.get("name") == "stderr" or output.output_type == "error"]
    assert sum("image/png" in output.get("data", {}) for output in outputs) >= 3
    for output in outputs:
        words = output.get("text") or "".join(v for k, v in output["data"].items() if k.startswith("text/"))
        assert not re.search(r"(?<![\w.<])/[\w.-]+/|[A-Z]:\\", words), words


def test_there_is_one():
    """The tests above look at notebooks [contract]."""
    assert "first-rollout" in {path.stem for path in NOTEBOOKS}
