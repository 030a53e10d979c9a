"""Serves the built site to this machine only."""

from __future__ import annotations

from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path


class _Quiet(SimpleHTTPRequestHandler):
    def log_message(self, format: str, *arguments: object) -> None:
        """Say nothing about each request."""


def make_server(folder: Path, *, port: int) -> ThreadingHTTPServer:
    """A server of `folder` on the loopback address; port 0 takes any free port.

    Raises ValueError when there is no built site in the folder or the port is taken.
    """
    if not (folder / "index.html").is_file():
        raise ValueError(f"{folder} holds no built site; run `make book` first.")
    try:
        return ThreadingHTTPServer(("127.0.0.1", port), partial(_Quiet, directory=str(folder)))
    except OSError as error:
        raise ValueError(
            f"port is {port}, which cannot be used ({error.strerror}); give another with --port."
        ) from error


def serve_site(folder: Path, *, port: int) -> int:
    """Serve until Ctrl-C."""
    with make_server(folder, port=port) as server:
        print(f"The book is at http://127.0.0.1:{server.server_port}/  (stop with Ctrl-C)")
        try:
            server.serve_forever()
        except KeyboardInterrupt:
            print()
    return 0
