"""How a lab opens on Colab. The repository's address stands in one place, which `booktools.project`
reads; without it no lab says anything of Colab.
"""

from pathlib import Path

from booktools.project import on_github, project, repository

BOOK = "/content/book"  # where a lab on Colab keeps the repository
BRANCH = "main"
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


def colab_lines(root: Path) -> str:
    """What a lab's first cell does on Colab: fetch the repository and what labs import."""
    if not (url := repository(root)):
        return ""
    labs = project(root)["optional-dependencies"]["labs"]
    needed = [line for line in labs if not line.startswith(_COLABS_OWN)]
    return _LINES.format(url=url, book=BOOK, needed=f'"{" ".join(needed)}"')


def colab_link(root: Path, lab: str) -> str:
    """A Markdown link that opens the lab on Colab, empty unless the repository is on GitHub."""
    place = on_github(root)
    if not place:
        return ""
    place = f"{place}/blob/{BRANCH}/labs/{lab}.ipynb"
    return f"[Open in Colab](https://colab.research.google.com/github/{place})"
