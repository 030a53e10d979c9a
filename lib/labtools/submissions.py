"""Find what was handed in and read it."""

import hashlib
import json
import os
import re
import zipfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from labtools.build import OPEN_PROMPT

#: Larger is no notebook: it would only fill the memory of who grades.
LARGEST_BYTES = 300 * 2**20
NOTEBOOKS = (".ipynb", ".zip")
_PAGE_CHARACTERS = 60


@dataclass(frozen=True)
class Submission:
    """A notebook as handed in. `problem` says in a sentence why it cannot be graded."""

    name: str  # the path below the folder, with what is no UTF-8 escaped
    lab: str = ""
    cells: tuple[str, ...] = ()
    public_tests: dict[str, str] | None = None
    open_answers: dict[str, str] = field(default_factory=dict)
    problem: str = ""
    page: str = ""  # the name of its page of feedback, different for any two submissions
    digest: str = ""  # of the file's content
    when: float = 0.0  # the file's own time, in seconds since 1970


def find_submissions(folder: Path, *, skip: Path) -> list[Path]:
    """Every file anywhere below `folder`, but not below `skip`, and no hidden one.

    What cannot be read is found as well, so that it has a row: a link that leads nowhere or to a
    folder, a folder that is closed, an empty folder with the name of a notebook.
    """
    return sorted(
        path
        for path in folder.rglob("*")
        if not path.is_relative_to(skip) and not _is_hidden(path, folder) and not _is_open(path)
    )


def _is_open(path: Path) -> bool:
    """Whether it is a folder that is looked through, so that it needs no row of its own."""
    if path.is_symlink() or not path.is_dir():
        return False
    if not os.access(path, os.R_OK | os.X_OK):
        return False
    return not may_be_notebook(path) or any(path.iterdir())


def may_be_notebook(path: Path) -> bool:
    """Whether the name says so."""
    return _kind(path) in NOTEBOOKS


def _kind(path: Path) -> str:
    """The ending of a file's name, `.ipynb`, also where a dot or a space was added to it."""
    return Path(path.name.rstrip(". ")).suffix.lower()


def _is_hidden(path: Path, folder: Path) -> bool:
    parts = path.relative_to(folder).parts
    return "__MACOSX" in parts or any(part.startswith(".") for part in parts)


def read_submission(path: Path, folder: Path) -> Submission:
    """Read one file. Anything at all may be in it; what is wrong with it is `problem`."""
    relative = path.relative_to(folder).as_posix()
    known = {"name": escaped(relative), "page": _page(relative)}
    try:
        known["when"] = path.stat().st_mtime
        _check_file(path)
        content = path.read_bytes() if path.stat().st_size <= LARGEST_BYTES else b""
        known["digest"] = hashlib.sha256(content).hexdigest()
        notebook = json.loads(_notebook_bytes(path))
        if "worksheets" in notebook:
            raise _Unfit(
                " is not a notebook as they are since 2014: open it in JupyterLab, save it, and "
                "hand it in again."
            )
        otter = _mapping(_mapping(notebook.get("metadata")).get("otter"))
        return Submission(
            **known,
            lab=_lab_name(otter.get("assignment_name", "")),
            cells=tuple(_code_cells(notebook)),
            public_tests=_mapping(otter.get("tests")),
            open_answers=_open_answers(notebook),
        )
    except Exception as error:  # damaged in a way that nobody has thought of is a row as well
        return Submission(**known, problem=_problem(known["name"], error))


def _check_file(path: Path) -> None:
    if path.is_dir():
        raise _Unfit(" is not a notebook but a folder: hand in the .ipynb file, or a .zip with it.")
    if not path.is_file():
        raise _Unfit(" is not a notebook and no file: hand in the .ipynb file, or a .zip with it.")


def _mapping(value: Any) -> dict[str, Any]:
    """What stands where a dict should; an empty one where something else does."""
    return value if isinstance(value, dict) else {}


def _lab_name(name: Any) -> str:
    """The lab that a notebook names, as one short line for any file."""
    if not isinstance(name, str):
        return ""
    name = name.encode("utf-8", "backslashreplace").decode("utf-8")
    return " ".join(name.split())[:_PAGE_CHARACTERS]


def escaped(name: str) -> str:
    """A file's name for any terminal and file: bytes that are no UTF-8 as `\\xfc`."""
    return os.fsencode(name).decode("utf-8", "backslashreplace")


def _page(relative: str) -> str:
    """A short file name for any path: readable, and different for two that read alike."""
    digest = hashlib.sha256(os.fsencode(relative)).hexdigest()[:8]
    readable = re.sub(r"[^\w.-]+", "_", escaped(relative).removesuffix(".ipynb")).strip("._")
    return f"{readable[-_PAGE_CHARACTERS:]}-{digest}.html"


class _Unfit(Exception):
    """Says in a sentence why a file cannot be read as one notebook."""


def _problem(name: str, error: Exception) -> str:
    match error:
        case _Unfit():
            return f"{name}{error}"
        case zipfile.BadZipFile() | EOFError():
            return f"{name} is not a zip file, although it is named like one, or it is damaged."
        case UnicodeDecodeError() | json.JSONDecodeError() | RecursionError():
            return f"{name} is not a notebook: its content is not JSON."
        case KeyError() | TypeError() | AttributeError() | ValueError():
            return f"{name} is not a notebook: it is JSON without cells."
        case OSError():
            return f"{name} cannot be read: {error.strerror or error}."
        case _:
            return f"{name} cannot be read: {type(error).__name__}: {error}."


def _notebook_bytes(path: Path) -> bytes:
    """The notebook's bytes, also out of a zip file; JSON may be any UTF, with or without a mark."""
    kind = _kind(path)
    if path.stat().st_size > LARGEST_BYTES:
        raise _Unfit(f" has more than {LARGEST_BYTES // 2**20} MB: it is not read.")
    if kind == ".ipynb":
        if path.stat().st_size == 0:
            raise _Unfit(" is not a notebook: it is empty. Save yours and hand it in again.")
        return path.read_bytes()
    if kind == ".zip":
        with zipfile.ZipFile(path) as archive:
            return _only_notebook(archive)
    raise _Unfit(" is not a notebook: hand in the .ipynb file, or a .zip with it.")


def _only_notebook(archive: zipfile.ZipFile) -> bytes:
    """The one notebook of a zip; of several, the one that is a lab."""
    members = [
        info
        for info in archive.infolist()
        if info.filename.lower().endswith(".ipynb") and not _is_hidden_member(info.filename)
    ]
    if sum(info.file_size for info in members) > LARGEST_BYTES:
        raise _Unfit(f": what is in it has more than {LARGEST_BYTES // 2**20} MB.")
    read = [_member(archive, info) for info in members]
    if len(read) > 1:
        read = [content for content in read if b'"assignment_name"' in content]
    if len(read) != 1:
        inside = " (but a zip file in it)" if not members and _holds_a_zip(archive) else ""
        raise _Unfit(f": the zip file holds {len(members)} notebooks{inside}; it must hold one.")
    return read[0]


def _holds_a_zip(archive: zipfile.ZipFile) -> bool:
    return any(name.lower().endswith(".zip") for name in archive.namelist())


def _is_hidden_member(name: str) -> bool:
    """Nothing is unpacked, so `./lab01.ipynb` and `../lab01.ipynb` are as good as other names."""
    parts = [part for part in re.split(r"[/\\]", name) if part not in (".", "..")]
    return "__MACOSX" in parts or any(part.startswith(".") for part in parts)


def _member(archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> bytes:
    if info.flag_bits & 1:
        raise _Unfit(": the zip file has a password.")
    try:
        return archive.read(info)
    except NotImplementedError as error:
        raise _Unfit(f": the zip file is packed in a way that cannot be read ({error}).") from error
    except Exception as error:
        raise _Unfit(f": the zip file is damaged ({error}).") from error


def _code_cells(notebook: dict[str, Any]) -> list[str]:
    cells = notebook["cells"]
    if not isinstance(cells, list):
        raise TypeError("cells are no list")
    return [_text(cell) for cell in cells if cell["cell_type"] == "code"]


def _open_answers(notebook: dict[str, Any]) -> dict[str, str]:
    """What stands where a person is to read, by question: the marked cell and new ones below it."""
    answers: dict[str, str] = {}
    name = ""
    for cell in notebook["cells"]:
        tags = _mapping(cell.get("metadata")).get("tags")
        tags = tags if isinstance(tags, list) else []
        if "open" in tags:
            name = next((tag for tag in tags if isinstance(tag, str) and tag != "open"), "")
        elif cell["cell_type"] != "markdown" or _is_of_the_lab(cell):
            name = ""
        if name:
            text = _text(cell).replace(OPEN_PROMPT, "")
            answers[name] = "\n\n".join(filter(None, (answers.get(name, ""), text.strip())))
    return answers


def _is_of_the_lab(cell: dict[str, Any]) -> bool:
    """Whether the cell was handed out so: a student's new ones have other ids."""
    return bool(re.fullmatch(r"lab\d\d-\d{3}", str(cell.get("id", ""))))


def _text(cell: dict[str, Any]) -> str:
    source = cell.get("source")
    return source if isinstance(source, str) else "".join(source or [])
