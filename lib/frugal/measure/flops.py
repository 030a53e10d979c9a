"""FLOPs through torch's counter, taught what it misses on a CPU, and honest about the rest.

Chapter: where-the-cost-is, and the section Speed of every other.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from contextlib import nullcontext
from typing import Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import FlopCounterMode, sdpa_backward_flop_count, sdpa_flop_count

aten = torch.ops.aten


def _attention(query, key, value, *rest, out_shape=None, **options) -> int:
    return sdpa_flop_count(query, key, value)


def _attention_backward(grad_out, query, key, value, *rest, out_shape=None, **options) -> int:
    return sdpa_backward_flop_count(grad_out, query, key, value)


def _grouped_mm(a, b, *rest, out_shape=None, **options) -> int:
    # every row of one operand meets one group of the other, whichever dimension is grouped
    rows = math.prod(a[1:]) if len(a) == 3 and len(b) == 2 else math.prod(a)
    return 2 * rows * b[-1]


MAPPING = {
    aten._scaled_dot_product_flash_attention_for_cpu: _attention,
    aten._scaled_dot_product_flash_attention_for_cpu_backward: _attention_backward,
}
"""Formulas for operations that torch 2.13 counts as nothing."""
if hasattr(aten, "_grouped_mm"):  # not in older ones
    MAPPING[aten._grouped_mm] = _grouped_mm

NO_ARITHMETIC = frozenset(
    [
        "alias",
        "arange",
        "as_strided",
        "bernoulli",
        "cat",
        "clone",
        "constant_pad_nd",
        "copy",
        "detach",
        "diagonal",
        "empty",
        "empty_like",
        "empty_permuted",
        "empty_strided",
        "expand",
        "eye",
        "fill",
        "full",
        "full_like",
        "gather",
        "index",
        "index_put",
        "index_select",
        "item",
        "lift_fresh",
        "linspace",
        "local_scalar_dense",
        "masked_fill",
        "new_empty",
        "new_empty_strided",
        "new_full",
        "new_ones",
        "new_zeros",
        "normal",
        "ones",
        "ones_like",
        "permute",
        "rand",
        "randint",
        "randn",
        "randperm",
        "repeat",
        "repeat_interleave",
        "resize",
        "roll",
        "flip",
        "scalar_tensor",
        "scatter",
        "select_backward",
        "select_scatter",
        "slice_backward",
        "slice_scatter",
        "split",
        "stack",
        "to_copy",
        "tril",
        "triu",
        "unsafe_view",
        "unbind",
        "unfold",
        "uniform",
        "where",
        "zero",
        "zeros",
        "zeros_like",
        "embedding",
        "efficientzerotensor",
        "nonzero",
        "is_same_size",
        "equal",
    ]
)
"""Operations that only make, move or choose numbers: zero FLOPs is right for them."""


class _OneModule(nullcontext):
    """Stands in for torch's module tracker: everything happens in one place."""

    parents = frozenset({"Global"})


class _Watch(TorchDispatchMode):
    """Notes every operation that passes."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: set[torch._ops.OpOverload] = set()

    def __torch_dispatch__(self, func, types, args=(), kwargs=None) -> Any:
        self.seen.add(func)
        return func(*args, **(kwargs or {}))


def count_flops(fn: Callable[..., Any], *args: Any, **options: Any) -> tuple[int, tuple[str, ...]]:
    """Floating-point operations of one call, and the operations that were not counted.

    A multiplication and an addition are two. Matrix products, convolutions and attention are
    counted. Attention counts every query against every key, masked or causal or not, as torch
    does: what a kernel skips is not taken off. Everything else is counted as nothing; the second
    value names those operations in sorted order ("_softmax", "add", "sort"), unless they only
    move numbers. options: keyword arguments of `fn`.
    """
    counter = FlopCounterMode(display=False, custom_mapping=MAPPING)
    # The tracker's hooks forbid gradients of a module's own input; counts by module are not used.
    counter.mod_tracker = _OneModule()
    watch = _Watch()
    with watch, counter:
        fn(*args, **options)
    blind = {
        _name(operation)
        for operation in watch.seen
        if operation._overloadpacket not in counter.flop_registry and not operation.is_view
    }
    return counter.get_total_flops(), tuple(sorted(blind - NO_ARITHMETIC))


def _name(operation: torch._ops.OpOverload) -> str:
    name = operation._overloadpacket.__name__
    if name.endswith("_") and not name.endswith("__"):
        name = name[:-1]  # in place or not, it is the same arithmetic
    return name.removeprefix("_") if name.removeprefix("_") in NO_ARITHMETIC else name
