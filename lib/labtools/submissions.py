"""Find what was handed in and read it."""

import json
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

SUFFIXES = (".ipynb", ".zip")


@dataclass(frozen=True)
class Submission:
    """A notebook as handed in. `problem` says in a sentence why it cannot be graded."""

    name: str
    lab: str = ""
    cells: tuple[str, ...] = ()
    public_tests: dict[str, str] | None = None
    problem: str = ""


def find_submissions(folder: Path, *, skip: Path) -> list[Path]:
    """The notebooks and zip files anywhere below `folder`, but not below `skip`."""
    return sorted(
        path
        for path in folder.rglob("*")
        if path.suffix.lower() in SUFFIXES
        and path.is_file()
        and not path.is_relative_to(skip)
        and not any(part.startswith(".") for part in path.relative_to(folder).parts)
    )


def read_submission(path: Path, folder: Path) -> Submission:
    """Read one file. Anything at all may be in it."""
    name = path.relative_to(folder).as_posix()
    try:
        text = _text(path)
        notebook = json.loads(text)
        metadata = notebook.get("metadata", {}).get("otter", {})
        return Submission(
            name=name,
            lab=str(metadata.get("assignment_name", "")),
            cells=tuple(_code_cells(notebook)),
            public_tests=dict(metadata.get("tests", {})),
        )
    except (UnicodeDecodeError, json.JSONDecodeError, RecursionError):
        return Submission(name, problem=f"{name} is not a notebook: its content is not JSON.")
    except (KeyError, TypeError, AttributeError, ValueError):
        return Submission(name, problem=f"{name} is not a notebook: it is JSON without cells.")
    except zipfile.BadZipFile:
        return Submission(name, problem=f"{name} is not a zip file, although it is named like one.")
    except LookupError as error:
        return Submission(name, problem=f"{name}: {error.args[0]}")
    except OSError as error:
        return Submission(name, problem=f"{name} cannot be read: {error.strerror}.")


def _text(path: Path) -> str:
    """The notebook's text, also out of the zip file that otter's export makes."""
    if path.suffix.lower() != ".zip":
        return path.read_text(encoding="utf-8")
    with zipfile.ZipFile(path) as archive:
        members = [
            name
            for name in archive.namelist()
            if name.endswith(".ipynb") and ".ipynb_checkpoints" not in name
        ]
        if len(members) != 1:
            raise _WrongMembers(f"the zip file holds {len(members)} notebooks; it must hold one.")
        return archive.read(members[0]).decode("utf-8")


class _WrongMembers(LookupError):
    pass


def _code_cells(notebook: dict[str, Any]) -> list[str]:
    cells = []
    for cell in notebook["cells"]:
        source = cell.get("source", "")
        if cell["cell_type"] == "code":
            cells.append(source if isinstance(source, str) else "".join(source))
    return cells
