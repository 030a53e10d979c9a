"""What becomes of a module in a graph: exported in either mode, or compiled, with its breaks.

`rows` tells for every public attention, mixer and stack what the contract tests hold it to.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch._dynamo.utils import counters


class Called(nn.Module):
    """What is called, with its options, as the module that `torch.export` asks for."""

    def __init__(self, call: Callable[..., Tensor], **options: Any) -> None:
        super().__init__()
        self.call, self.options = call, options

    def forward(self, *tensors: Tensor) -> Tensor:
        return self.call(*tensors, **self.options)


def exported(
    call: Callable[..., Tensor], tensors: list[Tensor], *, strict: bool, **options: Any
) -> Callable[..., Tensor]:
    """What `torch.export` makes of a call at the lengths of these tensors."""
    module = Called(call, **options).eval()
    return torch.export.export(module, tuple(tensors), strict=strict).module()


def breaks(run: Callable[[], Any]) -> int:
    """How many breaks `torch.compile` finds while it compiles what `run` calls."""
    counters["graph_break"].clear()
    run()
    return sum(counters["graph_break"].values())


@dataclass(frozen=True)
class Row:
    """kind: attention, mixer or stack. exports: in both modes. why: it does not export, or "".
    breaks: of a compiled call, the most of one without and one with gradients."""

    kind: str
    name: str
    exports: bool
    why: str
    breaks: int


def rows() -> Iterator[Row]:
    """One for each subject of the contracts, in their order."""
    from tests.attention.test_contract import SUBJECTS
    from tests.mixing.test_contract import MIXERS
    from tests.test_stacks import STACKS

    for kind, found in (("attention", SUBJECTS), ("mixer", MIXERS), ("stack", STACKS)):
        for name, one in found.items():
            yield Row(kind, name, not one.unexported, one.unexported, one.breaks)
