"""Serves the built site to this machine only."""

from __future__ import annotations

import gzip
import io
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

_COMPRESSED = {".html", ".js", ".css", ".json", ".svg", ".txt", ".xml"}


class _Quiet(SimpleHTTPRequestHandler):
    def log_message(self, format: str, *arguments: object) -> None:
        """Say nothing about each request."""


class _Compressing(_Quiet):
    protocol_version = "HTTP/1.1"

    def send_head(self) -> Any:
        path = Path(self.translate_path(self.path))
        if path.suffix not in _COMPRESSED or not path.is_file():
            return super().send_head()
        content = gzip.compress(path.read_bytes(), 6, mtime=0)
        self.send_response(200)
        self.send_header("Content-Type", self.guess_type(str(path)))
        self.send_header("Content-Encoding", "gzip")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        return io.BytesIO(content)


def make_server(folder: Path, *, port: int, compressed: bool = False) -> ThreadingHTTPServer:
    """A server of `folder` on the loopback address; port 0 takes any free port.

    compressed: as every host of static sites sends what is text.

    Raises ValueError when there is no built site in the folder or the port is taken.
    """
    if not (folder / "index.html").is_file():
        raise ValueError(f"{folder} holds no built site; run `make book` first.")
    handler = partial(_Compressing if compressed else _Quiet, directory=str(folder))
    try:
        return ThreadingHTTPServer(("127.0.0.1", port), handler)
    except OSError as error:
        raise ValueError(
            f"port is {port}, which cannot be used ({error.strerror}); give another with --port."
        ) from error


@contextmanager
def serving(folder: Path, *, compressed: bool = False) -> Iterator[str]:
    """Serves `folder` for a while, and gives the address."""
    with make_server(folder, port=0, compressed=compressed) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()


def serve_site(folder: Path, *, port: int) -> int:
    """Serve until Ctrl-C."""
    with make_server(folder, port=port) as server:
        print(f"The book is at http://127.0.0.1:{server.server_port}/  (stop with Ctrl-C)")
        try:
            server.serve_forever()
        except KeyboardInterrupt:
            print()
    return 0
