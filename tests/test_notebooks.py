"""Every notebook runs, and its committed outputs are current."""

from __future__ import annotations

import contextlib
import io
import re
import warnings
from pathlib import Path

import matplotlib as mpl
import nbformat
import pandas as pd
import pytest
from IPython.core.displayhook import DisplayHook
from IPython.core.displaypub import CapturingDisplayPublisher
from IPython.core.interactiveshell import InteractiveShell
from matplotlib import pyplot as plt

NOTEBOOKS = sorted((Path(__file__).resolve().parents[1] / "notebooks").glob("*.ipynb"))


def results(notebook) -> list[list[str]]:
    """Return the text output of each code cell, without pictures, which depend on the version of matplotlib."""
    cells = [cell for cell in notebook.cells if cell.cell_type == "code"]
    return [[output.get("text") or output["data"]["text/plain"] for output in cell.outputs] for cell in cells]


class Results(DisplayHook):
    """Adds the value of a cell's last line to what the cell displays."""

    def write_output_prompt(self):
        """Print no output numbers."""

    def write_format_data(self, format_dict, md_dict=None):
        self.shell.display_pub.publish(format_dict, md_dict)


class Shell(InteractiveShell):
    """A notebook's shell without windows, like a kernel's."""

    displayhook_class = Results
    display_pub_class = CapturingDisplayPublisher

    def enable_gui(self, gui=None):
        assert gui is None


@pytest.fixture
def shell(monkeypatch, compiled_engine):
    """A shell in this process, which has imported and compiled everything; settings are restored afterwards."""
    monkeypatch.setattr("simdeploy.engines.choice._LOADING_S", 0.0)  # also the compiled engine
    backend = mpl.get_backend()
    # Outside of a kernel pandas fits tables to the terminal.
    with mpl.rc_context(), pd.option_context("display.max_columns", 20):
        shell = Shell()
        monkeypatch.setattr(InteractiveShell, "_instance", shell)
        shell.history_manager.enabled = False
        shell.enable_matplotlib("inline")
        # A picture is drawn when its cell has run, without rendering its pixels.
        shell.display_formatter.formatters["image/png"].enabled = False
        yield shell
        plt.close("all")
    plt.switch_backend(backend)


@pytest.mark.slow
@pytest.mark.filterwarnings("default", "ignore::DeprecationWarning")  # as in a kernel
@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_outputs_are_current(path, shell, monkeypatch):
    """A notebook run again gives the committed text in every cell. [contract]"""
    monkeypatch.chdir(path.parent)
    committed = nbformat.read(path, as_version=4)
    shown = []
    for cell in committed.cells:
        if cell.cell_type == "code":
            shell.display_pub.outputs.clear()
            with (
                contextlib.redirect_stdout(io.StringIO()) as printed,
                contextlib.redirect_stderr(io.StringIO()) as complained,
                warnings.catch_warnings(record=True) as warned,
            ):
                done = shell.run_cell(cell.source, store_history=True)
            done.raise_error()
            assert (complained.getvalue(), [str(warning.message) for warning in warned]) == ("", [])
            displayed = [output["data"]["text/plain"] for output in shell.display_pub.outputs]
            shown.append([text for text in [printed.getvalue()] if text] + displayed)
    assert shown == results(committed)


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_committed_outputs(path):
    """Committed outputs are complete and in order, with pictures, without warnings or local paths. [contract]"""
    cells = [cell for cell in nbformat.read(path, as_version=4).cells if cell.cell_type == "code"]
    assert [cell.execution_count for cell in cells] == list(range(1, len(cells) + 1))
    outputs = [output for cell in cells for output in cell.outputs]
    assert not [output for output in outputs if output.get("name") == "stderr" or output.output_type == "error"]
    assert sum("image/png" in output.get("data", {}) for output in outputs) >= 3
    for output in outputs:
        words = output.get("text") or "".join(v for k, v in output["data"].items() if k.startswith("text/"))
        assert not re.search(r"(?<![\w.<])/[\w.-]+/|[A-Z]:\\", words), words


def test_there_are_notebooks():
    """The tests above have notebooks to check. [contract]"""
    assert "first-rollout" in {path.stem for path in NOTEBOOKS}
