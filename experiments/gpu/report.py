"""What a part found, and on what: written again and again while the part runs."""

from __future__ import annotations

import datetime
import json
import math
import platform
import re
import subprocess
import time
from functools import cache
from importlib import metadata
from pathlib import Path
from typing import Any

import torch

from experiments.provenance import commit, fingerprint_of_files
from experiments.writing import as_json, write

REPOSITORY = Path(__file__).resolve().parents[2]
EVERY = 5.0
"""Seconds between two writes of a file that grows."""

PATHS = re.compile(r"(?:/[\w.+-]+)+/([\w.+-]+)")
"""Absolute paths in a message; where the machine keeps its files is nobody's concern."""

PACKAGES = ("triton", "transformers", "flash-linear-attention", "fla-core", "adasplash")


class Report:
    """The result of one part, in the form that `frugal.results.load` reads."""

    def __init__(
        self, name: str, question: str, *, folder: Path, device: torch.device, smoke: bool
    ) -> None:
        self.path = folder / f"{name}.json"
        self.written = time.monotonic()
        self.processor = card_name(device)
        self.commit = commit(REPOSITORY)
        self.result: dict[str, Any] = {
            "name": name,
            "question": question,
            "settings": {},
            "smoke": smoke,
            "made": made(device),
            "runs": [],
        }

    def add(
        self,
        setting: str,
        about: dict[str, Any],
        values: dict[str, Any],
        *,
        seconds: float,
        seed: int = 0,
        error: str | None = None,
    ) -> None:
        """One case: what it is about, the numbers it gave, and why it gave none."""
        self.result["settings"][setting] = about
        run = {
            "setting": setting,
            "seed": seed,
            "seconds": round(seconds, 3),
            "processor": self.processor,
            "commit": self.commit,
            "values": {name: plain(value) for name, value in values.items()},
        }
        if error is not None:
            run["error"] = PATHS.sub(r"\1", error)[:2000]
        self.result["runs"].append(run)
        if time.monotonic() - self.written > EVERY:
            self.write()

    def go_on(self) -> None:
        """Keep what an earlier run of the same code on the same card has in the file."""
        try:
            before = json.loads(self.path.read_text())
        except (OSError, ValueError):
            return
        same = ("card", "torch", "fingerprint")
        if any(before["made"].get(one) != self.result["made"].get(one) for one in same):
            return
        if before["smoke"] != self.result["smoke"]:
            return
        kept = [run for run in before["runs"] if "error" not in run]
        names = {run["setting"] for run in kept}
        self.result["runs"] = kept
        self.result["settings"] = {
            name: about for name, about in before["settings"].items() if name in names
        }

    def has(self, setting: str, seed: int = 0) -> bool:
        """Whether there are numbers for this case already."""
        return any(run["setting"] == setting and run["seed"] == seed for run in self.result["runs"])

    def write(self) -> Path:
        """Put the file in place, whole."""
        write(self.path, as_json(self.result))
        self.written = time.monotonic()
        return self.path


def plain(value: Any) -> Any:
    """A number as JSON holds it: what is not finite becomes null."""
    if isinstance(value, list | tuple):
        return [plain(part) for part in value]
    return value if math.isfinite(value) else None


def made(device: torch.device) -> dict[str, str]:
    """Where, when and with what: the same for all cases."""
    facts = {
        "command": f"python -m experiments.gpu --device {device.type}",
        "date": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "torch": torch.__version__,
        "python": platform.python_version(),
        "card": card_name(device),
        "fingerprint": fingerprint(),
    }
    if device.type == "cuda":
        properties = torch.cuda.get_device_properties(device)
        facts |= {
            "driver": driver(),
            "cuda": str(torch.version.cuda),
            "memory": f"{properties.total_memory / 2**30:.0f} GiB",
            "multiprocessors": str(properties.multi_processor_count),
        }
    for package in PACKAGES:
        try:
            facts[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            facts[package] = "not installed"
    return facts


def card_name(device: torch.device) -> str:
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    return platform.processor() or platform.machine()


def driver() -> str:
    """The driver's version, which only its own program tells; reading it changes nothing."""
    ask = ["nvidia-smi", "--query-gpu=driver_version", "--format=csv,noheader"]
    try:
        answer = subprocess.run(ask, capture_output=True, text=True, timeout=20, check=True)
    except (OSError, subprocess.SubprocessError):
        return "unknown"
    return answer.stdout.strip().splitlines()[0]


@cache
def fingerprint() -> str:
    """16 digits that change with the code of the library or of these measurements."""
    measured = (REPOSITORY / "lib" / "frugal", REPOSITORY / "experiments" / "gpu")
    files = (path for folder in measured for path in folder.rglob("*.py"))
    return fingerprint_of_files(files, REPOSITORY)
