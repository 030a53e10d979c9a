"""Everything public runs on CUDA tensors and under bfloat16 autocast, shown without a GPU.

FakeTensorMode carries shapes, dtypes and devices but no numbers, and a CPU tensor mixed into a
CUDA computation raises there as it would on a GPU. The files `device_cases.py`, each beside the
tests of its room, name a call for every public callable; a test fails when a new one has none.
"""

import pkgutil
from importlib import import_module
from pathlib import Path

import pytest
import torch
from torch._subclasses.fake_tensor import FakeTensorMode

from tests.devices import WithoutDriver, on, rows

FOLDERS = (
    "attention",
    "mixing",
    "tokens",
    "depth",
    "feedforward",
    "decoding",
    "tasks",
    "transfer",
)
FILES = ("norms", "positions", "embeddings", "model", "checks")

HERE = Path(__file__).parent
MODULES = [
    import_module(".".join(["tests", *path.relative_to(HERE).with_suffix("").parts]))
    for path in sorted(HERE.rglob("device_cases.py"))
]
CASES = {subject: case for module in MODULES for subject, case in module.CASES.items()}
NO_CASE = set().union(*(getattr(module, "NO_CASE", ()) for module in MODULES))


def public() -> set[object]:
    """Every function and class that the modules of the library define under a public name."""
    names = [f"frugal.{name}" for name in FILES]
    for folder in FOLDERS:
        package = import_module(f"frugal.{folder}")
        inside = pkgutil.walk_packages(package.__path__, f"frugal.{folder}.")
        names += [info.name for info in inside]
    found = set()
    for name in names:
        for attribute, value in vars(import_module(name)).items():
            made_here = getattr(value, "__module__", None) == name
            if made_here and not attribute.startswith("_") and callable(value):
                found.add(value)
    return found


def test_every_public_callable_has_a_case():
    missing = public() - set(CASES) - NO_CASE
    assert not missing, f"no case for {sorted(map(str, missing))}"


@pytest.mark.parametrize("subject", CASES, ids=lambda subject: subject.__qualname__)
def test_runs_on_cuda_tensors(subject):
    with on("cuda:0"), FakeTensorMode(), WithoutDriver(), torch.no_grad():
        assert CASES[subject]().device == torch.device("cuda:0")


def test_a_tensor_in_the_wrong_place_is_caught():
    caught = pytest.raises(RuntimeError, match="found at least two devices")
    with on("cuda:0"), FakeTensorMode(), WithoutDriver(), torch.no_grad(), caught:
        rows() + torch.zeros(8)


@pytest.mark.parametrize("subject", CASES, ids=lambda subject: subject.__qualname__)
def test_runs_under_bfloat16_autocast(subject):
    with torch.autocast("cpu", dtype=torch.bfloat16):
        out = CASES[subject]()
    assert out.isfinite().all()


@pytest.mark.cuda
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@pytest.mark.parametrize("subject", CASES, ids=lambda subject: subject.__qualname__)
def test_runs_on_a_real_gpu(subject):
    with on("cuda:0"):
        out = CASES[subject]()
    assert out.device == torch.device("cuda:0")
    assert out.isfinite().all()
