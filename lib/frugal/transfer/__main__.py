"""`python -m frugal.transfer` prints parameters and operations of every row beside the paper's."""

from __future__ import annotations

import argparse

from tqdm import tqdm

from frugal.transfer.building import names, row
from frugal.transfer.counting import OPERATIONS_WITHIN, PARAMETERS_WITHIN, Count, count

HEAD = (
    f"{'':46} {'parameters in millions':>31}   {'ops in 10^12':>27}\n"
    f"{'row':46} {'ours':>7} {'paper':>7} {'ratio':>7} {'off':>7}   "
    f"{'ours':>6} {'paper':>6} {'ratio':>6} {'off':>6}"
)


def line(found: Count) -> str:
    """One row: ours, the paper's, our ratio to the vanilla model, and the ratios' deviation."""
    return (
        f"{found.name:46} {found.parameters:7.1f} {found.paper_parameters:7.0f} "
        f"{found.parameters_ratio:7.3f} {found.parameters_deviation:+7.1%}   "
        f"{found.operations:6.2f} {found.paper_operations:6.1f} "
        f"{found.operations_ratio:6.2f} {found.operations_deviation:+6.1%}"
    )


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m frugal.transfer", description=__doc__)
    parser.add_argument("names", nargs="*", help="rows; all of them when none is named")
    parser.add_argument(
        "--repaired", action="store_true", help="count the forms that were intended"
    )
    asked = parser.parse_args()
    rows = asked.names or names()
    try:
        for name in rows:
            row(name)
    except ValueError as error:
        parser.error(str(error))
    print(HEAD)
    found = []
    for name in tqdm(rows, leave=False):
        found.append(count(name, repaired=asked.repaired))
        tqdm.write(line(found[-1]))
    within = sum(abs(one.parameters_deviation) <= PARAMETERS_WITHIN for one in found)
    ops = sum(abs(one.operations_deviation) <= OPERATIONS_WITHIN for one in found)
    print(
        f"\nparameters within {PARAMETERS_WITHIN:.0%} of the paper's ratio: "
        f"{within} of {len(found)} rows; ops within {OPERATIONS_WITHIN:.0%}: {ops}"
    )
    for one in found:
        if one.note and not asked.repaired:
            print(f"{one.name}: {one.note}")
        if row(one.name).confounded and not asked.repaired:
            print(f"{one.name}: as published, {row(one.name).confounded}.")


if __name__ == "__main__":
    main()
