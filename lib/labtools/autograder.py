"""The zip file that Gradescope takes."""

import json
import re
import tempfile
import tomllib
import zipfile
from pathlib import Path

from otter.generate import main as otter_generate

from labtools.build import Lab
from labtools.files import write_whole
from labtools.values import SALT_FILE, course_salt

#: What a lab imports, beside this repository's own packages, which travel in the zip.
REQUIREMENTS = (
    "torch",
    "numpy",
    "pandas",
    "matplotlib",
    "einops",
    "jaxtyping",
    "tqdm",
    "jupytext",
    "ipykernel",
    "ipywidgets",
    "anywidget",
    "altair",
    "psutil",
)
#: On Gradescope there is no GPU: without this, pip fetches several gigabytes for one.
CPU_INDEX = "--extra-index-url https://download.pytorch.org/whl/cpu"
_EPOCH = (1980, 1, 1, 0, 0, 0)


def write_autograder(lab: Lab, root: Path) -> Path:
    """Write `dist/labNN-autograder.zip` below the repository's `root`. Same lab, same bytes."""
    path = root / "dist" / f"{lab.name}-autograder.zip"
    with tempfile.TemporaryDirectory(prefix="labtools-") as folder:
        write_whole(path, _fixed(_generated(lab, root, Path(folder)), root))
    return path


def requirements(root: Path) -> list[str]:
    """The requirements of a lab at the versions of `constraints.txt`."""
    pinned = {}
    for line in (root / "constraints.txt").read_text(encoding="utf-8").splitlines():
        if match := re.match(r"([A-Za-z0-9._-]+)==(\S+)", line):
            pinned[match[1].lower()] = f"{match[1]}=={match[2]}"
    missing = [name for name in REQUIREMENTS if name not in pinned]
    if missing:
        raise ValueError(f"constraints.txt lacks {', '.join(missing)}; it must pin them.")
    return [CPU_INDEX, *(pinned[name] for name in REQUIREMENTS)]


def python_version(root: Path) -> str:
    """The lowest Python the project supports, which is the one it is tested on."""
    project = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    return re.search(r"(\d+\.\d+)", project["requires-python"])[1]


def _generated(lab: Lab, root: Path, folder: Path) -> Path:
    tests = folder / "tests"
    tests.mkdir()
    for name, text in lab.tests.items():
        (tests / f"{name}.py").write_text(text, encoding="utf-8")
    config = folder / "config.json"
    config.write_text(json.dumps({"assignment_name": lab.name, "show_hidden": True}))
    needed = folder / "requirements.txt"
    needed.write_text("\n".join(requirements(root)) + "\n")
    path = folder / "autograder.zip"
    otter_generate(
        tests_dir=str(tests),
        output_path=str(path),
        config=str(config),
        lang="python",
        requirements=str(needed),
        no_environment=True,
        python_version=python_version(root),
    )
    return path


def _fixed(path: Path, root: Path) -> bytes:
    """The same zip with the packages a lab imports, in a fixed order, with fixed dates."""
    with zipfile.ZipFile(path) as archive:
        content = {name: archive.read(name) for name in archive.namelist()}
    for package in ("frugal", "labtools"):
        for file in (root / "lib" / package).rglob("*"):
            if file.is_file() and "__pycache__" not in file.parts:
                name = file.relative_to(root / "lib").as_posix()
                content[f"files/{name}"] = file.read_bytes()
    content.pop(f"files/{SALT_FILE.parent.name}/{SALT_FILE.name}", None)
    if salt := course_salt():  # hidden tests of this course draw values of their own
        content[f"files/{SALT_FILE.parent.name}/{SALT_FILE.name}"] = salt.encode()
    with tempfile.TemporaryFile() as buffer:
        with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
            for name in sorted(content):
                entry = zipfile.ZipInfo(name, date_time=_EPOCH)
                entry.compress_type = zipfile.ZIP_DEFLATED
                entry.external_attr = 0o755 << 16 if name in _EXECUTABLE else 0o644 << 16
                archive.writestr(entry, content[name])
        buffer.seek(0)
        return buffer.read()


_EXECUTABLE = {"run_autograder", "setup.sh"}
