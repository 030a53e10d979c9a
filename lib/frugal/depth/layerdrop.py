"""Layers that are left out: by chance while a model is trained, for good when it is used.

A layer adds something to its input, x + f(x), so without it x goes on. In training each layer of
each forward pass is left out with a chance p, and nothing is scaled to make up for it. At test all
layers run, or any that you choose: `every_other`, `search_layers` on held-out data, `learn_layers`.
`prune_layers` takes the others out of the model, with their parameters and their time.

Source: fan2020layerdrop; huang2016stochastic drops layers too, and scales. Chapter:
dropping-layers.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import combinations
from numbers import Integral, Real
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from frugal.checks import at_least, check_input, refuse
from frugal.model import LayerCache, Stack
from frugal.modes import in_evaluation
from frugal.replays import check_draws_the_same
from frugal.telling import told

Loss = Callable[[nn.Module, Any], Float[Tensor, " batch"]]
"""(model, batch) to the loss of each example."""


class LayerDrop(Stack):
    """A `Stack` that leaves layers out in training, for `TransformerConfig(make_stack=...)`.

    With the chances as an option: `make_stack=partial(LayerDrop, p=0.2)`. p: the chance that a
    layer is left out, one number or one for each layer. Every forward pass draws anew, for each
    layer alone and for the whole batch at once. The draws come from torch's CPU generator, or from
    `generator`; no accelerator waits for them. A layer that is left out gets no gradient (None), so
    that an optimizer leaves it as it is; DistributedDataParallel needs find_unused_parameters=True.
    In evaluation mode all layers run, as in `Stack`, and nothing is scaled.

    Time of an update: about 1 - p of the stack's. `torch.compile` compiles the layers one by one in
    training and the stack as a whole in evaluation mode.

    Raises ValueError for chances outside [0, 1) or of another number than the layers, when caches
    are given in training mode, and when a checkpoint around the stack would make a `generator` draw
    again.
    """

    def __init__(
        self,
        layers: Sequence[nn.Module],
        p: float | int | Sequence[float | int] = 0.2,
        *,
        generator: torch.Generator | None = None,
    ) -> None:
        super().__init__(layers)
        alone = isinstance(p, Real) or not isinstance(p, Iterable)
        chances = [p] * len(self.layers) if alone else list(p)
        if len(chances) != len(self.layers):
            raise ValueError(
                f"p has {len(chances)} numbers; it must have one for each of {len(self.layers)} "
                "layers."
            )
        for chance in chances:
            if isinstance(chance, bool) or not isinstance(chance, Real) or not 0 <= chance < 1:
                raise ValueError(f"p is {chance!r}; it must be at least 0 and below 1.")
        self.p, self.generator = tuple(float(chance) for chance in chances), generator

    def extra_repr(self) -> str:
        return told(self, "p")

    def forward(
        self,
        x: Float[Tensor, "batch length d_model"],
        memory: Tensor | None = None,
        *,
        caches: Sequence[LayerCache] | None = None,
        **options: Any,
    ) -> Float[Tensor, "batch length d_model"]:
        """options (padding, causal, ...) are those of `TransformerLayer`."""
        if not self.training or not any(self.p):
            return super().forward(x, memory, caches=caches, **options)
        refuse("a layer that is left out would not fill its own; call eval() first.", caches=caches)
        return self._some(x, memory, options)

    @torch.compiler.disable(recursive=False)
    def _some(self, x: Tensor, memory: Tensor | None, options: dict[str, Any]) -> Tensor:
        """The layers that this pass does not leave out."""
        check_input(x, options.get("padding"), d_model=self.layers[0].d_model)
        for layer, chance, draw in zip(self.layers, self.p, self._draws(), strict=True):
            if draw >= chance:
                x = layer(x, memory, **options)
        return x

    def _draws(self) -> Float[Tensor, " layers"]:
        if self.generator is None:
            return torch.rand(len(self.layers), device="cpu")
        check_draws_the_same(self.generator, "layers")
        return torch.rand(
            len(self.layers), generator=self.generator, device=self.generator.device
        ).cpu()

    def keep_layers(self, kept: Sequence[int]) -> None:
        """The layers at these places stay, each with its chance."""
        self.layers = nn.ModuleList(self.layers[place] for place in kept)
        self.p = tuple(self.p[place] for place in kept)


def stacks_of(model: nn.Module) -> dict[str, Stack]:
    """The stacks of a model by name. Raises ValueError when there is none."""
    found = {name: one for name, one in model.named_modules() if isinstance(one, Stack)}
    if not found:
        raise ValueError(f"model is {type(model).__name__}; it must have a Stack.")
    return found


def every_other(n_layers: int, keep: int) -> tuple[int, ...]:
    """The numbers of `keep` layers at equal distances, the first one always among them.

    Half of the layers are every other one. Where n_layers / (n_layers - keep) is a whole number
    these are the layers that the paper keeps, which drops those at a depth that it divides.
    """
    at_least(1, n_layers=n_layers, keep=keep)
    if keep > n_layers:
        raise ValueError(f"keep is {keep}; it must be at most the {n_layers} layers there are.")
    return tuple(place * n_layers // keep for place in range(keep))


Kept = Mapping[str, Iterable[int]] | Iterable[int]
"""By a stack's name the numbers of the layers that stay, or for a model's only stack the numbers
alone."""


def prune_layers(model: nn.Module, kept: Kept) -> None:
    """Take all other layers out of a model for good, in place.

    kept: numbers from 0, of the layers as they are now; their order is that of the stack. Stacks
    that are not named keep all. The model is an ordinary shallower one afterwards: parameters,
    state_dict and caches are those of so many layers. An optimizer has to be made again.

    Raises ValueError, with nothing changed, for a stack that is not there, a layer that is not
    there or named twice, and where no layer would stay.
    """
    for stack, places in _chosen(model, kept):
        _keep(model, stack, places)


@contextmanager
def only_layers(model: nn.Module, kept: Kept) -> Iterator[None]:
    """Inside, the model has these layers alone, as after `prune_layers`; then it has all again."""
    chosen = _chosen(model, kept)
    before = [(stack, stack.layers, getattr(stack, "p", None)) for stack, _ in chosen]
    for stack, places in chosen:
        _keep(model, stack, places)
    try:
        yield
    finally:
        for stack, layers, chances in before:
            stack.layers = layers
            if chances is not None:
                stack.p = chances
            _count(model, stack)


def search_layers(
    model: nn.Module, loss: Loss, batches: Iterable[Any], keep: int
) -> tuple[int, ...]:
    """The `keep` layers of the only stack with the lowest mean loss, of all that there are.

    loss: (model, batch) -> (batch,), the loss of each example. Ask held-out data: the best of many
    choices looks better on the data that chose it than it is. Cost: a pass over the batches for
    each of the `n_layers` over `keep` choices.
    """
    stack = _only_stack(model)
    every_other(len(stack.layers), keep)  # is there such a number of layers?
    batches = _given(batches)
    found = {}
    for choice in combinations(range(len(stack.layers)), keep):
        with only_layers(model, choice), torch.no_grad():
            evaluated = in_evaluation(model)
            losses = [_each(loss(evaluated, batch)) for batch in batches]
        found[choice] = torch.cat(losses).double().mean().item()
    return min(found, key=found.__getitem__)


def learn_layers(
    model: nn.Module,
    loss: Loss,
    batches: Iterable[Any],
    keep: int,
    *,
    lr: float | int = 0.1,
    generator: torch.Generator | None = None,
) -> tuple[int, ...]:
    """The `keep` layers of the only stack whose scores are highest, after an update for each batch.

    Every layer has a score and a gate, x + gate·f(x). In an update Gumbel noise is added to the
    scores, the gates of the `keep` highest are 1 and the others 0; the gradient goes through the
    gates as if they were sigmoids of the distance to the threshold between the two (a
    straight-through estimate). The weights of the model stay as they are.

    Cost: a pass forward and backward for each batch, however many choices there are. generator:
    for the noise, torch's own by default. The paper learns the rates along with the weights.
    """
    stack = _only_stack(model)
    n_layers = len(stack.layers)
    if every_other(n_layers, keep) == tuple(range(n_layers)):
        return tuple(range(n_layers))
    with torch.inference_mode(False), torch.enable_grad():  # whatever mode the caller is in
        return _learned(model, stack, loss, _given(batches), keep, lr, generator)


def _learned(
    model: nn.Module,
    stack: Stack,
    loss: Loss,
    batches: Iterable[Any],
    keep: int,
    lr: float | int,
    generator: torch.Generator | None,
) -> tuple[int, ...]:
    """`learn_layers` with gradients."""
    n_layers = len(stack.layers)
    scores = torch.zeros(n_layers, requires_grad=True)
    optimizer = torch.optim.Adam([scores], lr=lr)
    evaluated = in_evaluation(model)
    for batch in batches:
        uniform = torch.rand(n_layers, generator=generator).clamp(1e-6, 1 - 1e-6)
        noisy = scores - (-uniform.log()).log()
        ranked = noisy.detach().sort(descending=True).values
        threshold = (ranked[keep - 1] + ranked[keep]) / 2
        soft = (noisy - threshold).sigmoid()
        gates = (noisy.detach() > threshold).float() + soft - soft.detach()
        with _gated(stack, gates):
            value = _each(loss(evaluated, batch)).mean()
            (scores.grad,) = torch.autograd.grad(value, [scores])
        optimizer.step()
    return tuple(sorted(scores.topk(keep).indices.tolist()))


@contextmanager
def _gated(stack: Stack, gates: Float[Tensor, " layers"]) -> Iterator[None]:
    """Inside, what each layer adds is multiplied by its gate."""

    def gate(number: int) -> Callable[..., Tensor]:
        def hook(_: nn.Module, inputs: tuple[Any, ...], out: Tensor) -> Tensor:
            x = inputs[0]
            return x + gates[number].to(x) * (out - x)

        return hook

    hooks = [layer.register_forward_hook(gate(number)) for number, layer in enumerate(stack.layers)]
    try:
        yield
    finally:
        for hook in hooks:
            hook.remove()


def _chosen(model: nn.Module, kept: Kept) -> list[tuple[Stack, list[int]]]:
    """The stacks that change, and the places of the layers that stay in each."""
    stacks = stacks_of(model)
    if not isinstance(kept, Mapping):
        if len(stacks) > 1:
            raise ValueError(
                f"model has the stacks {sorted(stacks)}; kept must name which of them it means."
            )
        kept = {next(iter(stacks)): kept}
    chosen = []
    for name, numbers in kept.items():
        if name not in stacks:
            raise ValueError(f"kept names the stack {name!r}; it must be of {sorted(stacks)}.")
        chosen.append((stacks[name], _places(list(numbers), len(stacks[name].layers))))
    return chosen


def _places(numbers: list[int], n_layers: int) -> list[int]:
    if not numbers:
        raise ValueError("kept is empty; it must name one layer or more.")
    for number in numbers:
        whole = isinstance(number, Integral) and not isinstance(number, bool)
        if not whole or not 0 <= number < n_layers:
            raise ValueError(f"kept has {number!r}; it must be from 0 to {n_layers - 1}.")
    if len(set(numbers)) < len(numbers):
        raise ValueError(f"kept is {numbers}; each layer must be named once.")
    return sorted(numbers)


def _keep(model: nn.Module, stack: Stack, places: Sequence[int]) -> None:
    if hasattr(stack, "keep_layers"):
        stack.keep_layers(places)
    else:
        stack.layers = nn.ModuleList(stack.layers[place] for place in places)
    _count(model, stack)


def _count(model: nn.Module, stack: Stack) -> None:
    """A decoder says how many layers it has, and makes so many caches."""
    for owner in model.modules():
        if getattr(owner, "stack", None) is stack and hasattr(owner, "n_layers"):
            owner.n_layers = len(stack.layers)


def _only_stack(model: nn.Module) -> Stack:
    stacks = stacks_of(model)
    if len(stacks) > 1:
        raise ValueError(f"model has the stacks {sorted(stacks)}; it must have one.")
    return next(iter(stacks.values()))


def _given(batches: Iterable[Any]) -> list[Any]:
    batches = list(batches)
    if not batches:
        raise ValueError("batches is empty; it must have one or more, on which layers are judged.")
    return batches


def _each(losses: Tensor) -> Tensor:
    if losses.ndim != 1:
        shape = tuple(losses.shape)
        raise ValueError(f"loss gave shape {shape}; it must be (batch,): one per example.")
    return losses
