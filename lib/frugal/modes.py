"""Evaluation mode without a trace: dropout is off, and every module keeps the mode it was in."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from types import MethodType
from typing import TypeVar

from torch import nn

Model = TypeVar("Model", bound=nn.Module)


def in_evaluation(model: Model) -> Model:
    """The same model in evaluation mode, while the model itself stays as it is.

    Its modules are new and share everything with the old ones, parameters, buffers and hooks
    included, but for the mode. So one thread may write with a model that another is training; to
    switch the modes and back would turn dropout off, or on, under the other. What a module assigns
    to itself while it runs is lost. What `torch.compile` made is bound to the old modules: such a
    part is used as it is when in evaluation mode, and uncompiled otherwise. Cost: microseconds a
    module.
    """
    return _twin(model, {})


def _twin(module: Model, made: dict[int, nn.Module]) -> Model:
    """The new module of an old one; one that stands in several places has one twin."""
    if type(module).__module__.startswith("torch._dynamo"):
        awake = any(part.training for part in module._orig_mod.modules())
        return _twin(module._orig_mod, made) if awake else module
    if id(module) in made:
        return made[id(module)]
    made[id(module)] = twin = object.__new__(type(module))
    for name, value in vars(module).items():
        if isinstance(value, MethodType) and value.__self__ is module:
            value = MethodType(value.__func__, twin)
        twin.__dict__[name] = value
    children = {
        name: None if child is None else _twin(child, made)
        for name, child in module._modules.items()
    }
    twin.__dict__ |= {"training": False, "_modules": children, "_compiled_call_impl": None}
    return twin


@contextmanager
def modes_put_back(model: nn.Module) -> Iterator[None]:
    """Whatever happens to the modes of the model's modules inside, they are as before after it."""
    modes = [(module, module.training) for module in model.modules()]
    try:
        yield
    finally:
        for module, training in modes:
            module.training = training
