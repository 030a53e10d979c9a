"""The command line: python -m experiments.bench [NAME ...] [--rounds 5] [--write] [--smoke]."""

from __future__ import annotations

import argparse
import sys

from experiments import bench


def main(arguments: list[str] | None = None) -> int:
    """Run the named benches, or all; 0 if every bar held."""
    parser = argparse.ArgumentParser(prog="python -m experiments.bench", description=bench.__doc__)
    parser.add_argument("name", nargs="*", help=f"among {', '.join(bench.names())}; all if none")
    parser.add_argument("--rounds", type=int, default=5, help="turns of every case")
    parser.add_argument("--write", action="store_true", help="record in experiments/results")
    parser.add_argument("--smoke", action="store_true", help="at the size of a test")
    options = parser.parse_args(arguments)
    held = True
    try:
        for name in options.name or bench.names():
            frame, result = bench.bench(name, rounds=options.rounds, smoke=options.smoke)
            print(f"\n{result['question']}\n")
            print(frame.to_string(na_rep="", float_format="{:.3f}".format))
            held = held and bool(frame["held"].all())
            if options.write and not options.smoke:
                print(f"wrote {bench.write(result)}")
    except ValueError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0 if held or options.smoke else 1


if __name__ == "__main__":
    raise SystemExit(main())
