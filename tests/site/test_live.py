"""Live: a figure in a kernel carries its state, and in JupyterLab it moves and the kernel knows."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient
from playwright.sync_api import expect

FIGURES = Path(__file__).parents[1] / "show" / "figures"
NOTEBOOK = """\
---
file_format: mystnb
kernelspec:
  display_name: Python 3
  language: python
  name: python3
---

# A live page

```{code-cell}
from lever import Lever
figure = Lever(turn=3)
figure
```

```{code-cell}
print("turned to", figure.widget().turn)
```

```{code-cell}
figure.widget().turn = 8
```
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.delenv("FRUGAL_SITE", raising=False)
    for name in ("lever.py", "lever.css"):
        shutil.copy(FIGURES / name, tmp_path)
    controls = Path(__file__).parents[2] / "lib" / "frugal" / "show" / "controls.js"
    shutil.copy(controls, tmp_path)
    script = (FIGURES / "lever.js").read_text(encoding="utf-8")
    script = script.replace("../../../lib/frugal/show/controls.js", "./controls.js")
    (tmp_path / "lever.js").write_text(script, encoding="utf-8")
    (tmp_path / "page.md").write_text(NOTEBOOK, encoding="utf-8")
    return tmp_path


def test_a_kernel_gives_a_widget_with_its_state_and_a_picture(folder) -> None:
    cells = ["from lever import Lever\nfigure = Lever(turn=3)\nfigure"]
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell) for cell in cells])
    client = NotebookClient(
        notebook, timeout=300, kernel_name="python3", resources={"metadata": {"path": str(folder)}}
    )
    client.execute()
    (output,) = notebook.cells[0].outputs
    view = output["data"]["application/vnd.jupyter.widget-view+json"]
    assert "image/png" in output["data"]
    assert "text/html" not in output["data"]
    saved = notebook.metadata.widgets["application/vnd.jupyter.widget-state+json"]["state"]
    state = saved[view["model_id"]]["state"]
    assert (state["turn"], state["unit"], state["alt"]) == (3, "cm", "A lever and its square.")


@pytest.fixture
def lab(folder: Path) -> Iterator[str]:
    """JupyterLab in the folder: its address."""
    home = folder / "home"
    home.mkdir()
    settings = [
        "--no-browser",
        "--allow-root",
        "--ServerApp.ip=127.0.0.1",
        "--ServerApp.port=0",
        "--IdentityProvider.token=",
        "--ServerApp.password=",
        f"--ServerApp.root_dir={folder}",
        f"--ServerApp.info_file={folder / 'server.json'}",
        "--LabApp.news_url=None",
    ]
    environment = {
        **os.environ,
        "HOME": str(home),
        "JUPYTER_CONFIG_DIR": str(home / "config"),
        "JUPYTER_DATA_DIR": str(home / "data"),
        "JUPYTER_RUNTIME_DIR": str(home / "runtime"),
        "IPYTHONDIR": str(home / "ipython"),
        "OMP_NUM_THREADS": "1",
    }
    # The command that `make live` runs first: a click on a chapter opens a notebook.
    viewer = [sys.executable, "-m", "jupytext_config", "set-default-viewer", "markdown"]
    subprocess.run(viewer, check=True, capture_output=True, env=environment)
    log = (folder / "lab.log").open("w")
    process = subprocess.Popen(
        [sys.executable, "-m", "jupyterlab", *settings],
        stdout=log,
        stderr=subprocess.STDOUT,
        env=environment,
        cwd=folder,
        start_new_session=True,
    )
    try:
        yield _address(folder / "lab.log", process)
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(timeout=20)
        except subprocess.TimeoutExpired:
            process.kill()
        log.close()


def _address(log: Path, process: subprocess.Popen[bytes]) -> str:
    stop = time.monotonic() + 120
    while time.monotonic() < stop and process.poll() is None:
        for word in log.read_text(encoding="utf-8", errors="replace").split():
            if word.startswith("http://127.0.0.1:"):
                address = word.partition("/lab")[0].rstrip("/")
                try:
                    urllib.request.urlopen(f"{address}/api", timeout=5)
                except OSError:
                    break
                return address
        time.sleep(0.3)
    pytest.fail(f"JupyterLab did not start:\n{log.read_text(errors='replace')[-2000:]}")


def test_in_jupyterlab_a_chapter_opens_and_its_figure_and_kernel_move_each_other(
    lab, visit
) -> None:
    page = visit.page
    page.set_default_timeout(120_000)
    expect.set_options(timeout=120_000)
    page.goto(f"{lab}/lab/tree/page.md")
    page.wait_for_selector(".jp-Notebook .jp-CodeCell")
    page.get_by_text("Python 3").first.wait_for()
    page.wait_for_selector(".jp-Notebook-ExecutionIndicator[data-status=idle]")
    cells = page.locator(".jp-Notebook .jp-CodeCell")
    cells.nth(0).locator(".jp-InputArea-editor").click()
    page.keyboard.press("Shift+Enter")

    figure = page.locator(".frugal-figure")
    expect(figure).to_have_count(1)
    assert figure.get_attribute("aria-label") == "A lever and its square."
    slider = figure.locator("input[type=range]")
    expect(slider).to_have_value("3")
    slider.focus()
    slider.press("ArrowRight")
    slider.press("ArrowRight")
    expect(figure.locator(".frugal-readout")).to_have_text("25 cm² left")

    cells.nth(1).locator(".jp-InputArea-editor").click()
    page.keyboard.press("Shift+Enter")
    expect(cells.nth(1).locator(".jp-OutputArea-output")).to_contain_text("turned to 5")

    cells.nth(2).locator(".jp-InputArea-editor").click()
    page.keyboard.press("Shift+Enter")
    expect(slider).to_have_value("8")
    expect(figure.locator(".frugal-readout")).to_have_text("64 cm² left")

    # The look follows JupyterLab's theme, as it follows the site's.
    light = figure.evaluate("(it) => getComputedStyle(it).color")
    page.evaluate("document.body.dataset.jpThemeLight = 'false'")
    assert figure.evaluate("(it) => getComputedStyle(it).color") != light
    assert not visit.foreign
