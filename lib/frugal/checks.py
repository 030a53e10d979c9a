"""One sentence for input that does not fit: what every room of the library asks of its arguments.

Each check returns nothing when the input fits and raises ValueError when it does not, with the
argument's name, what it is and what it must be.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from difflib import get_close_matches
from functools import lru_cache, partial
from importlib import import_module
from inspect import isclass, isfunction, ismethod, signature
from numbers import Integral, Real
from types import ModuleType
from typing import Any

import torch
from torch import Tensor, nn

DISTRIBUTION = "frugal-attention"
"""What pip calls this library."""

PROTOCOL: dict[str, bool | float | None] = {
    "mask": None,
    "padding": None,
    "causal": False,
    "bias": None,
    "scale": None,
    "dropout": 0.0,
}
"""The options of the attention protocol, and what asks for nothing."""


def at_least(minimum: int, **values: Any) -> None:
    """Each of the values is a whole number, `minimum` or more."""
    for name, value in values.items():
        if isinstance(value, bool) or not isinstance(value, Integral) or value < minimum:
            raise ValueError(f"{name} is {value!r}; it must be a whole number, {minimum} or more.")


def whole(**values: Any) -> None:
    """Each of the values is a whole number."""
    for name, value in values.items():
        if isinstance(value, bool) or not isinstance(value, Integral):
            raise ValueError(f"{name} is {value!r}; it must be a whole number.")


def given(**values: Any) -> dict[str, Any]:
    """Those that are not None, for a check of what may be left out."""
    return {name: value for name, value in values.items() if value is not None}


def within(low: float | int, high: float | int, **values: Any) -> None:
    """Each of the values is a number from `low` to `high`, both allowed."""
    for name, value in values.items():
        if isinstance(value, bool) or not isinstance(value, Real) or not low <= value <= high:
            raise ValueError(f"{name} is {value!r}; it must be from {low} to {high}.")


def whole_within(low: int, high: int, **values: Any) -> None:
    """Each of the values is a whole number from `low` to `high`, both allowed."""
    for name, value in values.items():
        if isinstance(value, bool) or not isinstance(value, Integral):
            raise ValueError(
                f"{name} is {value!r}; it must be a whole number from {low} to {high}."
            )
    within(low, high, **values)


def between(low: float | int, high: float | int, *, why: str = "", **values: Any) -> None:
    """Each of the values is a number between `low` and `high`, neither of them allowed.

    why: what comes after the sentence's last number, ", where softmax is the limit" for instance.
    """
    for name, value in values.items():
        if isinstance(value, bool) or not isinstance(value, Real) or not low < value < high:
            wanted = f"between {low} and {high}" if high < math.inf else f"above {low}, and finite"
            wanted = "a finite number" if low == -math.inf else wanted
            raise ValueError(f"{name} is {value!r}; it must be {wanted}{why}.")


def instance_of(kind: type, **values: Any) -> None:
    """Each of the values is of this type."""
    for name, value in values.items():
        if not isinstance(value, kind):
            raise ValueError(f"{name} is {value!r}; it must be a {kind.__qualname__}.")


def check_function(**values: Any) -> None:
    """Each of the values can be called."""
    for name, value in values.items():
        if not callable(value):
            raise ValueError(f"{name} is {value!r}; it must be a function.")


def check_tensor(**values: Any) -> None:
    """Each of the values is a tensor."""
    for name, value in values.items():
        if not isinstance(value, Tensor):
            raise ValueError(f"{name} is a {type(value).__name__}; it must be a tensor.")


def autocast_kind(device: torch.device) -> str:
    """The kind of device whose autocast decides: a tensor without numbers is taken for a CPU's."""
    return "cpu" if device.type == "meta" else device.type


def check_generator(generator: torch.Generator | None) -> None:
    """The source of random numbers is one of torch's, or None for torch's own."""
    if generator is not None:
        instance_of(torch.Generator, generator=generator)


def check_layers(layers: Any, kind: type[nn.Module] = nn.Module) -> None:
    """The layers of a stack: modules of this kind in a list, a tuple or a ModuleList."""
    if not isinstance(layers, list | tuple | nn.ModuleList):
        raise ValueError(f"layers is {layers!r}; it must be a list of modules.")
    for index, layer in enumerate(layers):
        if not isinstance(layer, kind):
            raise ValueError(
                f"layer {index} is a {type(layer).__name__}; it must be a {kind.__name__}."
            )


def one_of(known: Iterable[Any], **values: Any) -> None:
    """Each of the values is one of those that are known. The sentence asks after a near one."""
    known = list(known)
    for name, value in values.items():
        if value not in known:
            listed = ", ".join(map(repr, known))
            raise ValueError(
                f"{name} is {value!r}; it must be one of {listed}{did_you_mean(value, known)}."
            )


def close_to(name: Any, known: Iterable[Any], *, cutoff: float = 0.5) -> list[str]:
    """The known names that are spelt like this one, nearest first, three at most."""
    lower = {one.lower(): one for one in known if isinstance(one, str)}
    if not isinstance(name, str):
        return []
    return [lower[one] for one in get_close_matches(name.lower(), lower, n=3, cutoff=cutoff)]


def did_you_mean(name: Any, known: Iterable[Any]) -> str:
    """ " (did you mean 'rope'?)" for 'rop', to put before a full stop; "" where none is near."""
    near = close_to(name, known, cutoff=0.6)
    return f" (did you mean {near[0]!r}?)" if near else ""


def installed(module: str, *, extra: str) -> ModuleType:
    """The module of another package that a drawing or a data set needs.

    extra: of this distribution's extras the one that brings the package; where it is not
    installed, ImportError says so in one sentence.
    """
    try:
        return import_module(module)
    except ImportError as error:
        package = module.partition(".")[0]
        raise ImportError(
            f"{package} is not installed; this needs it: pip install '{DISTRIBUTION}[{extra}]'."
        ) from error


def refuse(why: str, **options: Any) -> None:
    """None of the options is given: each is None or False. why: the half-sentence that follows."""
    for name, value in options.items():
        if value is not None and value is not False:
            raise ValueError(f"{name} is given; {why}")


def check_heads(q: Tensor, k: Tensor, v: Tensor, *, grouped: bool = False) -> None:
    """One sentence when q, k and v do not fit together; nothing when they do.

    grouped: k and v may have fewer heads than q, if their number divides that of q.
    """
    check_head_shapes(q, k, v, grouped=grouped)
    if not (q.dtype == k.dtype == v.dtype and q.is_floating_point()):
        check_dtypes(q=q, k=k, v=v)


def check_dtypes(**tensors: Tensor) -> None:
    """All tensors hold floating-point numbers, and of one dtype unless autocast sees to it."""
    first, *others = tensors.values()
    for name, tensor in tensors.items():
        if not tensor.is_floating_point():
            raise ValueError(f"{name} has dtype {tensor.dtype}; it must be floating point.")
    if any(other.dtype != first.dtype for other in others):
        if torch.is_autocast_enabled(autocast_kind(first.device)):
            return
        found = ", ".join(f"{name} {tensor.dtype}" for name, tensor in tensors.items())
        raise ValueError(f"the dtypes are {found}; they must be one.")


def check_head_shapes(q: Tensor, k: Tensor, v: Tensor, *, grouped: bool = False) -> None:
    """`check_heads` without the dtypes, for features that are summed in another one than v."""
    check_tensor(q=q, k=k, v=v)
    for name, tensor in (("q", q), ("k", k), ("v", v)):
        if tensor.ndim != 4:
            raise ValueError(
                f"{name} has shape {tuple(tensor.shape)}; it must have four axes: "
                "(batch, heads, length, head_dim)."
            )
        for axis, size in zip(("length", "head_dim"), tensor.shape[2:], strict=True):
            if size == 0:
                raise ValueError(f"{name} has {axis} 0; it must be at least 1.")
    if q.shape[-1] != k.shape[-1]:
        raise ValueError(
            f"q has head_dim {q.shape[-1]} and k has {k.shape[-1]}; they must have the same."
        )
    if k.shape[2] != v.shape[2]:
        raise ValueError(
            f"k has length {k.shape[2]} and v has {v.shape[2]}; each key must have a value."
        )
    if grouped and q.shape[0] == k.shape[0] and k.shape[:2] == v.shape[:2]:
        if k.shape[1] == q.shape[1] or (k.shape[1] and q.shape[1] % k.shape[1] == 0):
            return
        raise ValueError(
            f"k has {k.shape[1]} heads and q has {q.shape[1]}; the heads of k must divide those "
            "of q."
        )
    if q.shape[:2] != k.shape[:2] or k.shape[:2] != v.shape[:2]:
        raise ValueError(
            "q, k and v have (batch, heads) "
            f"{tuple(q.shape[:2])}, {tuple(k.shape[:2])} and {tuple(v.shape[:2])}; they must agree."
        )


def check_mask(name: str, mask: Tensor | None, shape: tuple[int, ...]) -> None:
    """One sentence when `mask` is not boolean or does not broadcast to `shape`."""
    if mask is None:
        return
    check_tensor(**{name: mask})
    if mask.dtype != torch.bool:
        raise ValueError(
            f"{name} has dtype {mask.dtype}; it must be torch.bool, where True means 'may attend'."
        )
    if not _broadcasts(mask, shape):
        raise ValueError(f"{name} has shape {tuple(mask.shape)}; it must broadcast to {shape}.")


def check_padding(padding: Tensor | None, shape: tuple[int, int]) -> None:
    """One sentence when `padding` is not boolean of `shape`, (batch, keys), or (1, keys)."""
    check_mask("padding", padding, shape)
    if padding is not None and (padding.ndim != 2 or padding.shape[1] != shape[1]):
        raise ValueError(f"padding has shape {tuple(padding.shape)}; it must be {shape}.")


def check_bias(bias: Tensor, shape: tuple[int, ...]) -> None:
    """One sentence when `bias` holds no fractions or does not broadcast to the scores' `shape`."""
    check_tensor(bias=bias)
    if not bias.is_floating_point():
        raise ValueError(f"bias has dtype {bias.dtype}; it must be floating point, like scores.")
    if not _broadcasts(bias, shape):
        raise ValueError(f"bias has shape {tuple(bias.shape)}; it must broadcast to {shape}.")


def check_scale(scale: float | int | None) -> None:
    """One sentence when `scale` is no positive number; None is what a method takes by itself."""
    if scale is None or (isinstance(scale, Real) and scale is not True and 0 < scale < math.inf):
        return
    raise ValueError(f"scale is {scale!r}; it must be a number above 0, or None.")


def check_dropout(**shares: float) -> None:
    """Each is a share of what is dropped: at least 0 and below 1."""
    for name, share in shares.items():
        if isinstance(share, bool) or not isinstance(share, Real) or not 0 <= share < 1:
            raise ValueError(f"{name} is {share!r}; it must be at least 0 and below 1.")


def _broadcasts(x: Tensor, shape: tuple[int, ...]) -> bool:
    try:
        return torch.broadcast_shapes(x.shape, shape) == torch.Size(shape)
    except RuntimeError:
        return False


def check_input(
    x: Tensor, padding: Tensor | None, *, d_model: int | None = None, name: str = "x"
) -> None:
    """One sentence when x is not (batch, length, d_model), or padding not boolean of its shape."""
    check_tensor(**{name: x})
    if not x.is_floating_point():
        raise ValueError(f"{name} has dtype {x.dtype}; it must be floating point.")
    if x.ndim != 3 or 0 in x.shape[1:] or d_model not in (None, x.shape[-1]):
        width = "d_model" if d_model is None else d_model
        raise ValueError(
            f"{name} has shape {tuple(x.shape)}; it must be (batch, length, {width}) with a length "
            "of at least 1."
        )
    if padding is not None:
        check_padding(padding, tuple(x.shape[:2]))


def check_same_dtype(x: Tensor, layer: Any, *, name: str = "x") -> None:
    """x has the dtype of the layer's weights, where it has such, unless autocast sees to it."""
    weight = getattr(layer, "weight", None)
    if not isinstance(weight, Tensor) or weight.dtype == x.dtype:
        return
    if weight.is_floating_point() and not torch.is_autocast_enabled(autocast_kind(x.device)):
        raise ValueError(
            f"{name} has dtype {x.dtype}; it must be {weight.dtype}, as the layer's weights are."
        )


def check_divides(n_heads: int, d_model: int) -> None:
    """One sentence when the heads do not share the width evenly, or one of them is no size."""
    at_least(1, n_heads=n_heads, d_model=d_model)
    if d_model % n_heads:
        raise ValueError(f"n_heads is {n_heads}; it must be at least 1 and divide {d_model=}.")


def hide_padding(x: Tensor, padding: Tensor | None) -> Tensor:
    """x with zeros where `padding` says that there is no real token."""
    return x if padding is None else x.masked_fill(~padding[..., None], 0.0)


def options_of(call: Callable[..., Any]) -> frozenset[str] | None:
    """The names of the options that a function or module takes, or None where it takes any.

    A signature is read once for every function and type, not at every call.
    """
    asked = call
    if isinstance(call, nn.Module):
        asked = vars(call).get("forward") or type(call).forward
    elif not (isfunction(call) or ismethod(call) or isinstance(call, partial)):
        asked = type(call).__call__
    if torch.compiler.is_compiling():  # traced once, and a cache would draw a warning
        return _options_of(asked)
    return _options_once(asked)


def _options_of(call: Callable[..., Any]) -> frozenset[str] | None:
    try:
        takes = signature(call).parameters.values()
    except (TypeError, ValueError):  # a function of torch's own may have no signature to read
        return None
    if any(one.kind is one.VAR_KEYWORD for one in takes):
        return None
    named = [one for one in takes if one.kind is one.KEYWORD_ONLY or one.default is not one.empty]
    return frozenset([one.name for one in named])


_options_once = lru_cache(maxsize=512)(_options_of)


def check_options(call: Callable[..., Any], options: dict[str, Any]) -> dict[str, Any]:
    """The options to call with: one sentence for one that `call` does not take.

    An option of the protocol that asks for nothing is left out where it is not taken. The sentence
    quotes `call.refuses`, a dictionary from an option to the reason why it is not taken.
    """
    if not options:
        return options
    takes = options_of(call)
    if takes is None or takes.issuperset(options):
        return options
    kept = {}
    for name, value in options.items():
        if name in takes:
            kept[name] = value
        elif name not in PROTOCOL or not _asks_for_nothing(name, value):
            raise ValueError(_refusal(call, name, value))
    return kept


def _asks_for_nothing(name: str, value: Any) -> bool:
    return value is None or value is False or (name == "dropout" and value == 0)


def _refusal(call: Callable[..., Any], name: str, value: Any) -> str:
    """The sentence for an option that is given to `call` in vain."""
    found = f"{name} is {value}" if isinstance(value, bool) else f"{name} is given"
    must = f"be {PROTOCOL[name]}" if name in PROTOCOL else "be left out"
    why = getattr(call, "refuses", {}).get(name) or takes_only(call)
    asked = "" if name in PROTOCOL else did_you_mean(name, options_of(call) or ())
    return f"{found}; it must {must}: {why}{asked}."


def takes_only(call: Callable[..., Any]) -> str:
    """In words, what options a function or module takes."""
    names = sorted(options_of(call) or ())
    listed = " and ".join([", ".join(names[:-1]), names[-1]] if len(names) > 1 else names)
    return f"{name_of(call)} takes {listed} alone" if names else f"{name_of(call)} takes no options"


def name_of(call: Any) -> str:
    """What to call a function, a partial function, a class or an object in a sentence."""
    named = call.func if isinstance(call, partial) else call
    return getattr(named, "__name__", None) or type(named).__name__


def check_called(name: str, call: Any, arguments: tuple[str, ...]) -> None:
    """`call` can be called with so many arguments, and is no class that waits to be made."""
    how = f"it must be called as {name}({', '.join(arguments)})"
    if isclass(call):
        raise ValueError(f"{name} is the class {call.__name__}; {how}, as an instance of it can.")
    if not callable(call):
        raise ValueError(f"{name} is {call!r}; {how}.")
    try:
        asked = signature(call.forward if isinstance(call, nn.Module) else call)
    except (TypeError, ValueError):  # a function of torch's own may have no signature to read
        return
    try:
        asked.bind(*arguments)
    except TypeError:
        raise ValueError(f"{name} is {name_of(call)}; {how}.") from None
