"""Questions for every layer on (batch, length, d_model), mixer or stack; `QUESTIONS` lists them.

Each compares with what the same module gives when asked plainly, so nothing is expected that a
method's own tests do not hold against its definition.
"""

import copy
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from importlib import import_module
from pkgutil import walk_packages
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

WIDTH, LENGTH = 12, 9
ROOMS = ("attention", "mixing", "tokens", "depth", "feedforward", "decoding", "tasks")
DTYPES = {torch.float32: 1e-5, torch.bfloat16: 0.06, torch.float16: 0.01}
"""Largest error beside float64, as a share of the largest output."""


@dataclass(frozen=True)
class Layer:
    """make: a new one. takes: options of every call. chooses: rounding may decide which tokens go
    on. blind: padding changes what real tokens get, which the method's page says. shortest: the
    least number of tokens. breaks: in its compiled graph. unexported: why it does not export,
    quoted by the error."""

    make: Callable[[], nn.Module]
    takes: dict[str, Any] = field(default_factory=dict)
    chooses: bool = False
    blind: bool = False
    shortest: int = 1
    breaks: int = 0
    unexported: str = ""

    def made(self, seed: int = 0) -> nn.Module:
        torch.manual_seed(seed)
        return self.make()

    def run(self, module: nn.Module, x: Tensor, **options: Any) -> Tensor:
        return module(x, **self.takes, **options)


def public_classes() -> Iterator[type]:
    """Every class that a module of these rooms defines under a public name."""
    modules = ["frugal.model"]
    for room in ROOMS:
        path = import_module(f"frugal.{room}").__path__
        modules += [info.name for info in walk_packages(path, f"frugal.{room}.")]
    for module in modules:
        for name, value in vars(import_module(module)).items():
            if isinstance(value, type) and value.__module__ == module and name[0] != "_":
                yield value


def some(*shape: int, dtype: torch.dtype = torch.float32, seed: int = 1) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=dtype)


def gradients(layer: Layer, module: nn.Module, x: Tensor, run: Callable | None = None) -> list:
    """The output, and the gradient of x and of every parameter."""
    x = x.detach().requires_grad_()
    module.zero_grad()
    torch.manual_seed(3)
    out = layer.run(module, x) if run is None else run(x)
    out.square().sum().backward()
    return [out.detach(), x.grad, *(p.grad for p in module.parameters())]


def same(found: list, expected: list) -> None:
    for mine, other in zip(found, expected, strict=True):
        assert (mine is None) == (other is None)
        if other is not None:
            torch.testing.assert_close(mine, other, atol=1e-5, rtol=1e-4)


def not_contiguous(layer: Layer) -> None:
    module, x = layer.made(), some(2, LENGTH, WIDTH)
    expected = gradients(layer, module, x)
    gap = torch.zeros(2, LENGTH, 2 * WIDTH)[..., ::2].copy_(x)  # every second number
    turned = x.mT.contiguous().mT  # as a convolution leaves it
    for other in (gap, turned):
        assert not other.is_contiguous()
        same(gradients(layer, module, other), expected)


def expanded(layer: Layer) -> None:
    module = layer.made()
    for one in (some(1, LENGTH, WIDTH), some(2, 1, WIDTH)):
        same(
            gradients(layer, module, one.expand(2, LENGTH, WIDTH)),
            gradients(layer, module, one.expand(2, LENGTH, WIDTH).contiguous()),
        )


def dtypes(layer: Layer) -> None:
    module, x = layer.made().eval(), some(2, LENGTH, WIDTH)
    exact = layer.run(copy.deepcopy(module).double(), x.double())
    assert exact.dtype == torch.float64
    for dtype, share in DTYPES.items():
        out = layer.run(copy.deepcopy(module).to(dtype), x.to(dtype))
        assert out.dtype == dtype
        assert out.isfinite().all()
        if not layer.chooses:
            assert (out - exact).abs().max() < share * exact.abs().max()


def a_batch_of_none(layer: Layer) -> None:
    module, x = layer.made(), some(2, LENGTH, WIDTH)
    shape = layer.run(module, x).shape[1:]
    for padding in (None, torch.ones(0, LENGTH, dtype=torch.bool)):
        nothing = x[:0].requires_grad_()
        out = layer.run(module, nothing, padding=padding)
        assert out.shape == (0, *shape)
        out.sum().backward()


def one_token(layer: Layer) -> None:
    module, x = layer.made().eval(), some(3, layer.shortest, WIDTH)
    out = layer.run(module, x)
    assert out.shape[0] == 3
    assert out.isfinite().all()
    same([layer.run(module, x, padding=torch.ones(3, layer.shortest, dtype=torch.bool))], [out])


def copied(layer: Layer) -> None:
    module, x = layer.made(), some(2, LENGTH, WIDTH)
    expected = gradients(layer, module, x)
    same(gradients(layer, copy.deepcopy(module), x), expected)


def stored_and_loaded(layer: Layer) -> None:
    module, x = layer.made().eval(), some(2, LENGTH, WIDTH)
    other = layer.made(seed=5).eval()
    other.load_state_dict(module.state_dict())
    assert torch.equal(layer.run(other, x), layer.run(module, x))


def checkpointed(layer: Layer) -> None:
    x = some(2, LENGTH, WIDTH)
    expected = gradients(layer, layer.made(), x)
    for reentrant in (False, True):
        module = layer.made()
        whole = partial(layer.run, module)  # a reentrant checkpoint takes no options itself
        again = partial(checkpoint, whole, use_reentrant=reentrant)
        same(gradients(layer, module, x, again), expected)


def inference_then_training(layer: Layer) -> None:
    x = some(2, LENGTH, WIDTH)
    expected = gradients(layer, layer.made(), x)
    module = layer.made()
    with torch.inference_mode():
        layer.run(module, x)
        layer.run(module.eval(), x)
    same(gradients(layer, module.train(), x), expected)


def two_threads(layer: Layer) -> None:
    module = layer.made().eval()
    inputs = [some(2, LENGTH, WIDTH, seed=seed) for seed in range(2)]

    def outcome(x: Tensor) -> list[Tensor]:
        x = x.detach().requires_grad_()
        out = layer.run(module, x)
        return [out, *torch.autograd.grad(out.square().sum(), x)]

    expected, found = [outcome(x) for x in inputs], {}

    def work(number: int) -> None:
        for _ in range(5):
            found[number] = outcome(inputs[number])

    threads = [threading.Thread(target=work, args=(number,)) for number in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for number, right in enumerate(expected):
        same(found[number], right)


def padding_is_absence(layer: Layer) -> None:
    module, x = layer.made().eval(), some(2, LENGTH, WIDTH)
    padding = torch.arange(LENGTH) < torch.tensor([[LENGTH], [5]])
    out = layer.run(module, x, padding=padding)
    changed = torch.where(padding[..., None], x, 100.0)
    real = slice(0, 1) if layer.chooses else slice(0, 3)
    same([layer.run(module, changed, padding=padding)[:, real]], [out[:, real]])
    if not layer.blind:
        alone = layer.run(module, x[1:, :5])
        same([out[1:, : alone.shape[1]]], [alone])


def a_row_without_a_real_token(layer: Layer) -> None:
    """It may get anything finite, and so may its gradients be."""
    module, x = layer.made(), some(2, LENGTH, WIDTH).requires_grad_()
    padding = torch.tensor([[True], [False]]).expand(2, LENGTH)
    out = layer.run(module, x, padding=padding)
    out.square().sum().backward()
    assert out.isfinite().all()
    assert all(p.grad is None or p.grad.isfinite().all() for p in (x, *module.parameters()))


def without_numbers(layer: Layer) -> None:
    """On "meta", as one asks for shapes."""
    shape = layer.run(layer.made().eval(), some(2, LENGTH, WIDTH)).shape
    with torch.device("meta"):
        module = layer.make().eval()
    out = layer.run(module, some(2, LENGTH, WIDTH).to("meta"))
    assert out.shape == shape
    assert out.device.type == "meta"


def another_dtype(layer: Layer) -> None:
    module, x = layer.made(), some(2, LENGTH, WIDTH)
    for wrong in (x.double(), x.half(), x.long(), x > 0):
        if wrong.is_floating_point() and not [*module.parameters()]:
            continue  # what has no weights has no dtype
        with pytest.raises(ValueError, match=r"^x has dtype [^\n]*\.$"):
            layer.run(module, wrong)


def another_width(layer: Layer) -> None:
    module = layer.made()
    for wrong in (some(2, LENGTH, WIDTH + 1), some(2, WIDTH), some(2, 0, WIDTH)):
        if wrong.shape[1:] == (LENGTH, WIDTH + 1) and not [*module.parameters()]:
            continue  # what has no weights has no width
        with pytest.raises(ValueError, match=r"^x has shape [^\n]*\.$"):
            layer.run(module, wrong)


def one_padding_for_all(layer: Layer) -> None:
    module, x = layer.made().eval(), some(2, LENGTH, WIDTH)
    padding = torch.arange(LENGTH)[None] < 5
    expected = layer.run(module, x, padding=padding.expand(2, LENGTH))
    same([layer.run(module, x, padding=padding)], [expected])


def padding_of_another_kind(layer: Layer) -> None:
    module, x = layer.made(), some(2, LENGTH, WIDTH)
    for wrong in (torch.ones(2, LENGTH, dtype=torch.int64), torch.ones(2, 4, dtype=torch.bool)):
        with pytest.raises(ValueError, match=r"^padding has [^\n]*\.$"):
            layer.run(module, x, padding=wrong)


QUESTIONS: dict[str, Callable[[Layer], None]] = {
    question.__name__: question
    for question in (
        not_contiguous,
        expanded,
        dtypes,
        a_batch_of_none,
        one_token,
        copied,
        stored_and_loaded,
        checkpointed,
        inference_then_training,
        two_threads,
        padding_is_absence,
        one_padding_for_all,
        a_row_without_a_real_token,
        without_numbers,
        another_dtype,
        another_width,
        padding_of_another_kind,
    )
}
