"""How a lab opens on Colab. The repository's address stands in one place, `project.urls.Repository`
of pyproject.toml; without it no lab says anything of Colab.
"""

import re
import tomllib
from pathlib import Path
from typing import Any

BOOK = "/content/book"  # where a lab on Colab keeps the repository
BRANCH = "main"
_GITHUB = re.compile(r"https://github\.com/([\w.-]+/[\w-][\w.-]*?)(?:\.git)?/?")
#: Colab brings a Jupyter of its own.
_COLABS_OWN = ("jupyterlab", "ipywidgets", "matplotlib")
_LINES = """\
import os
import subprocess
import sys

if "google.colab" in sys.modules:  # Colab has torch and lacks the book's own packages
    if not os.path.exists("{book}"):
        subprocess.run(["git", "clone", "-q", "--depth", "1", "{url}", "{book}"], check=True)
        needed = {needed}
        pip = [sys.executable, "-m", "pip", "install", "-q"]
        subprocess.run([*pip, "{book}", *needed.split()], check=True)
    sys.path.insert(0, "{book}/lib")

"""


def repository(root: Path) -> str:
    """The address of the repository, empty where `root`'s pyproject.toml names none."""
    return _project(root).get("urls", {}).get("Repository", "")


def colab_lines(root: Path) -> str:
    """What a lab's first cell does on Colab: fetch the repository and what labs import."""
    if not (url := repository(root)):
        return ""
    labs = _project(root)["optional-dependencies"]["labs"]
    needed = [line for line in labs if not line.startswith(_COLABS_OWN)]
    return _LINES.format(url=url, book=BOOK, needed=f'"{" ".join(needed)}"')


def colab_link(root: Path, lab: str) -> str:
    """A Markdown link that opens the lab on Colab, empty unless the repository is on GitHub."""
    match = _GITHUB.fullmatch(repository(root))
    if match is None:
        return ""
    place = f"{match[1]}/blob/{BRANCH}/labs/{lab}.ipynb"
    return f"[Open in Colab](https://colab.research.google.com/github/{place})"


def _project(root: Path) -> dict[str, Any]:
    path = root / "pyproject.toml"
    if not path.is_file():
        return {}
    return tomllib.loads(path.read_text(encoding="utf-8")).get("project", {})
