"""Fetches the scripts that the site carries: `python -m booktools vendor`.

They are committed, so building needs neither npm nor a network. Each package is pinned with the
checksum that the registry published for it, and `static/CHECKSUMS` lists every file that was taken
from one (a test compares). Vega is not here: it comes out of the pinned `vl-convert-python`.
"""

from __future__ import annotations

import base64
import hashlib
import io
import shutil
import subprocess
import tarfile
import tempfile
from dataclasses import dataclass
from fnmatch import fnmatch
from pathlib import Path

STATIC = Path(__file__).with_name("static")
CHECKSUMS = STATIC / "CHECKSUMS"


@dataclass(frozen=True)
class Package:
    """A pinned npm package, and the files to take: pattern in the package -> folder in static/."""

    name: str
    version: str
    integrity: str
    files: dict[str, str]


PACKAGES = (
    Package(
        name="katex",
        version="0.16.22",
        integrity=(
            "sha512-XCHRdUw4lf3SKBaJe4EvgqIuWwkPSo9XoeO8GjQW94Bp7TWv9hNhzZjZ+OH9yf1U"
            "mLygb7DIT5GSFQiyt16zYg=="
        ),
        files={
            "package/LICENSE": "katex",
            "package/dist/katex.min.js": "katex",
            "package/dist/katex.min.css": "katex",
            "package/dist/fonts/*.woff2": "katex/fonts",
        },
    ),
)


def refill() -> int:
    """Fetch every package with npm, check it, and replace the files in `static/`."""
    if shutil.which("npm") is None:
        raise ValueError("npm is not installed; refilling the vendored scripts needs it.")
    taken: dict[str, bytes] = {}
    for package in PACKAGES:
        print(f"{package.name} {package.version}")
        taken |= unpack(package, _fetch(package))
    for folder in {Path(name).parts[0] for name in taken}:
        shutil.rmtree(STATIC / folder, ignore_errors=True)
    for name, content in taken.items():
        path = STATIC / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    CHECKSUMS.write_text(checksums(taken), encoding="utf-8")
    print(f"{len(taken)} files, {sum(map(len, taken.values())) / 1e6:.1f} MB in {STATIC}")
    return 0


def unpack(package: Package, archive: bytes) -> dict[str, bytes]:
    """The wanted files of a package's archive by their name under `static/`.

    Raises ValueError when the archive is not the pinned one or lacks a wanted file.
    """
    algorithm, _, expected = package.integrity.partition("-")
    if base64.b64encode(hashlib.new(algorithm, archive).digest()).decode() != expected:
        raise ValueError(f"{package.name} {package.version} is not the archive that was pinned.")
    taken: dict[str, bytes] = {}
    with tarfile.open(fileobj=io.BytesIO(archive)) as tar:
        members = [member for member in tar.getmembers() if member.isfile()]
        for pattern, folder in package.files.items():
            matching = [member for member in members if fnmatch(member.name, pattern)]
            if not matching:
                raise ValueError(f"{package.name} {package.version} has no {pattern}.")
            for member in matching:
                content = tar.extractfile(member)
                if content is not None:
                    taken[f"{folder}/{Path(member.name).name}"] = content.read()
    return taken


def checksums(files: dict[str, bytes]) -> str:
    """One line a file, as `sha256sum` writes and checks them."""
    lines = (f"{hashlib.sha256(files[name]).hexdigest()}  {name}\n" for name in sorted(files))
    return "".join(lines)


def _fetch(package: Package) -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        command = ["npm", "pack", f"{package.name}@{package.version}", "--silent"]
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
        archives = list(Path(folder).glob("*.tgz"))
        if done.returncode or len(archives) != 1:
            raise ValueError(f"npm could not fetch {package.name}: {done.stderr.strip()[-300:]}")
        return archives[0].read_bytes()
