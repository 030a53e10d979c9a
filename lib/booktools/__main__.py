"""`python -m booktools build | serve | phone | claims | vendor | constraints`."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path


def main(arguments: list[str] | None = None) -> int:
    """Run one command and return the exit status."""
    parser = argparse.ArgumentParser(prog="python -m booktools", description=main.__doc__)
    parser.add_argument("--root", type=Path, default=Path.cwd(), help="the folder with _config.yml")
    commands = parser.add_subparsers(dest="command", required=True)
    build = commands.add_parser("build", help="execute the chapters and build _build/html")
    build.add_argument("--fresh", action="store_true", help="read and execute everything again")
    serve = commands.add_parser("serve", help="serve _build/html on this machine")
    serve.add_argument("--port", type=int, default=8000, help="0 takes any free port")
    phone = commands.add_parser("phone", help="what pages weigh, and how long a slow phone waits")
    phone.add_argument("pages", nargs="*", help="index.html …; all where none is named")
    commands.add_parser("claims", help="which claims of the last build can fail, and the verdicts")
    commands.add_parser("vendor", help="fetch the vendored scripts again, with checksums")
    commands.add_parser("constraints", help="write what is installed to constraints.txt")
    chosen = parser.parse_args(arguments)
    root = chosen.root.resolve()
    try:
        if chosen.command == "build":
            from booktools.build import build_site

            return build_site(root, fresh=chosen.fresh)
        if chosen.command == "serve":
            from booktools.serve import serve_site

            return serve_site(root / "_build" / "html", port=chosen.port)
        if chosen.command == "phone":
            from booktools.phone import report as weigh

            for line in weigh(root / "_build" / "html", chosen.pages):
                print(line, flush=True)
            return 0
        if chosen.command == "claims":
            from booktools.collected import report

            text, whole = report(root)
            print(text)
            return 0 if whole else 1
        if chosen.command == "vendor":
            from booktools.vendor import refill

            return refill()
        from booktools.constraints import write_constraints

        return write_constraints(root / "constraints.txt")
    except ValueError as error:
        print(f"booktools: {error}", file=sys.stderr)
        return 2


if __name__ == "__main__":
    sys.exit(main())
