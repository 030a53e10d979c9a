"""Vendored scripts are what their packages held, and refilling them refuses anything else."""

from __future__ import annotations

import base64
import hashlib
import io
import tarfile

import pytest

from booktools.vendor import CHECKSUMS, PACKAGES, STATIC, Package, checksums, unpack


def archive(**files: str) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as tar:
        for name, text in files.items():
            member = tarfile.TarInfo(f"package/{name}")
            member.size = len(text)
            tar.addfile(member, io.BytesIO(text.encode()))
    return buffer.getvalue()


def package(content: bytes, **files: str) -> Package:
    digest = base64.b64encode(hashlib.sha512(content).digest()).decode()
    return Package(name="thing", version="1.0", integrity=f"sha512-{digest}", files=files)


def test_committed_files_are_the_packages_own() -> None:
    folders = {folder.split("/")[0] for one in PACKAGES for folder in one.files.values()}
    files = {
        path.relative_to(STATIC).as_posix(): path.read_bytes()
        for folder in folders
        for path in (STATIC / folder).rglob("*")
        if path.is_file()
    }
    assert len(files) > 20
    assert checksums(files) == CHECKSUMS.read_text(encoding="utf-8")
    assert {f"{folder}/LICENSE" for folder in folders} <= set(files)


def test_unpack_takes_what_is_wanted() -> None:
    content = archive(LICENSE="free", one="1", two="2")
    wanted = package(content, **{"package/LICENSE": "thing", "package/on*": "thing/deep"})
    assert unpack(wanted, content) == {"thing/LICENSE": b"free", "thing/deep/one": b"1"}


def test_unpack_refuses_another_archive_and_a_missing_file() -> None:
    content = archive(LICENSE="free")
    with pytest.raises(ValueError, match="not the archive that was pinned"):
        unpack(package(content, **{"package/LICENSE": "thing"}), archive(LICENSE="changed"))
    with pytest.raises(ValueError, match=r"has no package/\*\.js"):
        unpack(package(content, **{"package/*.js": "thing"}), content)
