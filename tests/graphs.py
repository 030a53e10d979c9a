"""What becomes of a module in a graph: exported in either mode, or compiled, with its breaks.

`python -m tests.graphs attention` tries every subject of that contract test and prints a line for
each, without the checks of shapes that tests switch on: these would break graphs. Without a kind it
tries what it is asked for on its input, `attention softmax` a line. `rows` tells what is held of
each, for the reference.
"""

import copy
import json
import sys
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch._dynamo.utils import counters


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
    for kind in KINDS:
        for name, one in registry(kind).items():
            yield Row(kind, name, not one.unexported, one.unexported, one.breaks)


def registry(kind: str) -> dict[str, Any]:
    """The subjects of a contract test; they import nothing from here in turn."""
    if kind == "attention":
        from tests.attention.test_contract import SUBJECTS as found
    elif kind == "mixer":
        from tests.mixing.test_contract import MIXERS as found
    else:
        from tests.test_stacks import STACKS as found
    return found


KINDS = ("attention", "mixer", "stack")
AT = 8
"""Where the future begins, when it is changed."""


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
class Asked:
    """A subject with what it is called with.

    call: as it is for users; given: tensors at a length; lengths: two; options: taken by every
    call, and more: at the second length. axis: of the length, where no position may see what comes
    after it; None where it may.
    """

    call: Callable[..., Tensor]
    given: Callable[[int], list[Tensor]]
    lengths: tuple[int, int]
    options: dict[str, Any] = field(default_factory=dict)
    more: dict[str, Any] = field(default_factory=dict)
    axis: int | None = None

    def run(self, call: Callable[..., Tensor], tensors: list[Tensor], **options: Any) -> Tensor:
        torch.manual_seed(3)  # what is drawn at random is the same every time
        return call(*tensors, **options)

    def gradients(self, call: Callable[..., Tensor], length: int, **options: Any) -> list[Tensor]:
        """The output, and the gradients of a sum of squares for the tensors and the parameters."""
        tensors = [x.requires_grad_() for x in self.given(length)]
        own = list(self.call.parameters()) if isinstance(self.call, nn.Module) else []
        out = self.run(call, tensors, **options)
        found = torch.autograd.grad(out.square().sum(), [*tensors, *own], allow_unused=True)
        pairs = zip(found, [*tensors, *own], strict=True)
        return [out.detach(), *(torch.zeros_like(x) if g is None else g for g, x in pairs)]


def asked(kind: str, name: str) -> Asked:
    one = registry(kind)[name]
    if kind != "attention":
        from tests.layer_contract import LENGTH, WIDTH, some

        later = LENGTH + 4
        padding = torch.arange(later) < torch.tensor([[later], [LENGTH + 1]])
        return Asked(
            one.made().eval(),
            lambda length: [some(2, length, WIDTH)],
            (LENGTH, later),
            one.takes,
            {"padding": padding},
            1 if one.takes.get("causal") else None,
        )
    from tests.attention.test_contract import SHORT, fresh, given, padded

    more = {"causal": True, "padding": padded(70)}
    more = {option: value for option, value in more.items() if option in one.takes}
    causal = ("causal" in more or one.always_causal) and not one.sees_later
    axis = {"heads": 2, "rows": 1}[one.kind] if causal else None
    return Asked(fresh(name), partial(given, name), (SHORT, 70), more=more, axis=axis)


def try_export(subject: Asked) -> None:
    """In both modes it is the same at both lengths, and causal, it does not read the future."""
    call = subject.call
    if isinstance(call, nn.Module):
        call = copy.deepcopy(call).eval()
    for length, more in zip(subject.lengths, ({}, subject.more), strict=True):
        tensors, options = subject.given(length), subject.options | more
        right = subject.run(call, tensors, **options)
        for strict in (False, True):
            graph = exported(call, tensors, strict=strict, **options)
            out = subject.run(graph, tensors)
            same([out], [right])
            if subject.axis is None or not more:
                continue
            parts = [x.split([AT, length - AT], subject.axis) for x in tensors]
            later = [torch.cat([past, 5 - future], subject.axis) for past, future in parts]
            past = subject.run(graph, later).narrow(subject.axis, 0, AT)
            same([past], [out.narrow(subject.axis, 0, AT)])


def try_compile(subject: Asked) -> int:
    """The same at one length without gradients, and at the next with all; the most breaks."""
    torch._dynamo.reset()
    compiled = torch.compile(subject.call, backend="aot_eager")
    (first, second), options, found = subject.lengths, subject.options, []
    tensors = subject.given(first)
    with torch.no_grad():
        broken = breaks(lambda: found.append(subject.run(compiled, tensors, **options)))
        same(found, [subject.run(subject.call, tensors, **options)])
    options = options | subject.more
    again = breaks(lambda: found.extend(subject.gradients(compiled, second, **options)))
    same(found[1:], subject.gradients(subject.call, second, **options))
    return max(broken, again)


def same(found: list[Tensor], expected: list[Tensor]) -> None:
    """Equal up to roundings of the largest number, of which the others are sums."""
    largest = max([1.0, *(x.detach().abs().max().item() for x in expected)])
    for one, other in zip(found, expected, strict=True):
        torch.testing.assert_close(one, other, atol=2e-5 * largest, rtol=2e-4)


def tried(kind: str, names: list[str]) -> Iterator[dict[str, Any]]:
    """Of each subject the breaks, and the errors of export and compile, "" where there is none."""
    for name in names or registry(kind):
        found: dict[str, Any] = {"name": name, "export": "", "compile": "", "breaks": None}
        for what, attempt in (("export", try_export), ("compile", try_compile)):
            try:
                number = attempt(asked(kind, name))
            except Exception as error:  # of any kind: it is told
                found[what] = f"{type(error).__name__}: {error}"
            else:
                found["breaks"] = number
        yield found


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    torch.set_num_threads(1)
    asked_for = (line.rstrip("\n").split(" ", 1) for line in sys.stdin)
    for which, *names in [sys.argv[1:]] if sys.argv[1:] else asked_for:
        for line in tried(which, names):
            print(json.dumps(line), flush=True)
