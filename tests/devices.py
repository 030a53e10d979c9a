"""What the device cases share: where tensors are made, and small ones to make.

A folder's `device_cases.py` holds a call for every public callable of the room of that name;
`tests/test_devices.py` finds the files, and runs the calls.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch._subclasses.fake_tensor import FakeTensor
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import _disable_current_modes
from torch.utils._pytree import tree_leaves, tree_map

from frugal.data.retrieval import RetrievalBatch
from frugal.model import TransformerConfig

CONFIG = TransformerConfig(vocab_size=11, d_model=8, n_heads=2, n_layers=2)


class Place:
    """Where the tensors and modules of a case are made; never the default device, which would
    hide a tensor that the library itself makes in the wrong place."""

    device = "cpu"


@contextmanager
def on(device: str) -> Iterator[None]:
    Place.device = device
    try:
        yield
    finally:
        Place.device = "cpu"


class WithoutDriver(TorchFunctionMode):
    """Let a torch without CUDA trace the methods whose C++ asks for a CUDA driver.

    Indexing, `~` and copies do. They run on tensors of the meta device, which have shapes and no
    numbers either, after a check that all the tensors were in one place.
    """

    def __torch_function__(self, function, types, args=(), kwargs=None) -> Any:
        kwargs = kwargs or {}
        if function is Tensor.__bool__:
            return False  # "has every row ended?": a tensor without numbers cannot know
        if function is Tensor.__int__:
            return 1  # "how many keys are in reach?", "how long is the longest?"
        try:
            return function(*args, **kwargs)
        except RuntimeError as error:
            if "not linked with support for cuda" not in str(error):
                raise
        fakes = [leaf for leaf in tree_leaves((args, kwargs)) if isinstance(leaf, FakeTensor)]
        if len({fake.device for fake in fakes if fake.ndim}) > 1:
            raise RuntimeError("found at least two devices")
        twins, mode = {}, fakes[0].fake_mode

        def to_meta(leaf: Any) -> Any:
            if isinstance(leaf, FakeTensor):
                shape = leaf.shape, leaf.stride()
                twin = torch.empty_strided(*shape, dtype=leaf.dtype, device="meta")
                return twins.setdefault(id(leaf), twin)
            return leaf

        def from_meta(leaf: Any) -> Any:
            for fake in fakes:  # an operation in place gives back what it was given
                if twins[id(fake)] is leaf:
                    return fake
            return FakeTensor(mode, leaf, fakes[0].device) if isinstance(leaf, Tensor) else leaf

        with _disable_current_modes():
            out = function(*tree_map(to_meta, args), **tree_map(to_meta, kwargs))
            return tree_map(from_meta, out)


def built(module: Callable[..., nn.Module], *args: Any, **options: Any) -> nn.Module:
    with torch.device(Place.device):
        return module(*args, **options)


def heads() -> Tensor:
    return torch.randn(2, 3, 5, 4, device=Place.device)


def rows(width: int = 8) -> Tensor:
    return torch.randn(2, 5, width, device=Place.device)


def ids() -> Tensor:
    return torch.ones(2, 5, dtype=torch.int64, device=Place.device)


def real() -> Tensor:
    return torch.ones(2, 5, dtype=torch.bool, device=Place.device)


def asked() -> RetrievalBatch:
    return RetrievalBatch(ids(), ids(), ids()[:, :2])


def picture() -> Tensor:
    return torch.randn(2, 5, 6, 8, device=Place.device)


def sound() -> Tensor:
    return torch.randn(2, 64, device=Place.device)


def cube() -> Tensor:
    return torch.randn(2, 4, 4, 4, 4, device=Place.device)
