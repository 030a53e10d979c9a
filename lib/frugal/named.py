"""Parts of a model by name: "window:32" is an attention, "fourier" a mixer, "gated:swish" a layer.

A name is written as NAME or NAME:ARGUMENTS, the arguments as in a call, and literals alone:
"lsh:32, n_hashes=4". Sizes that a model has anyway, such as its heads, come from its configuration.
A configuration of names can be pickled, compared and written as JSON; one of functions cannot.
Chapter: the-vanilla-transformer.
"""

from __future__ import annotations

import ast
import inspect
import math
from collections.abc import Callable, Mapping
from functools import partial
from importlib import import_module
from typing import Any

from torch import Tensor, nn

from frugal.checks import did_you_mean

Attend = Callable[..., Tensor]
Makes = Callable[..., Any]
"""(config, arguments of the name) to the part."""


def _from(module: str, name: str) -> Any:
    """Imported when it is asked for: a model with one attention needs no other."""
    return getattr(import_module(f"frugal.{module}"), name)


def _softmax(config: Any) -> Attend:
    return _from("attention.softmax", "softmax_attention")


def _linear(config: Any) -> Attend:
    return _from("attention.kernels", "KernelAttention")()


def _favor(config: Any, n_features: int = 64, **options: Any) -> Attend:
    return _from("attention.kernels", "KernelAttention")(
        _from("attention.kernels", "FavorFeatures")(_head_dim(config), n_features, **options)
    )


def _rfa(config: Any, n_features: int = 64, **options: Any) -> Attend:
    return _from("attention.kernels", "RandomFeatureAttention")(
        config.n_heads, _head_dim(config), n_features, **options
    )


def _lsh(config: Any, bucket_size: int, n_hashes: int = 4, **options: Any) -> Attend:
    return _from("attention.lsh", "LshAttention")(bucket_size, n_hashes, **options)


def _sinkhorn(
    config: Any, block_size: int, max_blocks: int | None = None, **options: Any
) -> Attend:
    if max_blocks is None:
        max_blocks = math.ceil(config.max_length / block_size)
    sizes = {"block_size": block_size, "max_blocks": max_blocks}
    return _from("attention.sinkhorn", "SinkhornAttention")(
        config.n_heads, _head_dim(config), **sizes, **options
    )


def _linformer(config: Any, rank: int, length: int | None = None, **options: Any) -> Attend:
    length = config.max_length if length is None else length
    return _from("attention.linformer", "LinformerAttention")(
        config.n_heads, length, rank, **options
    )


def _span(config: Any, max_span: int, ramp: float | int = 32, **options: Any) -> Attend:
    return _from("attention.span", "AdaptiveSpan")(config.n_heads, max_span, ramp, **options)


def _dynamic_span(config: Any, max_span: int, ramp: float | int = 32, **options: Any) -> Attend:
    return _from("attention.dynamic_span", "DynamicSpan")(
        config.n_heads, _head_dim(config), max_span, ramp, **options
    )


def _entmax(config: Any, alpha: float | int = 1.5, **options: Any) -> Attend:
    return _from("attention.entmax", "EntmaxAttention")(config.n_heads, alpha=alpha, **options)


def _relative(config: Any, **options: Any) -> Attend:
    return _from("attention.relative", "RelativeAttention")(
        config.n_heads, config.d_model, **options
    )


def _fourier(config: Any) -> nn.Module:
    return _from("mixing.fourier", "FourierMixing")()


def _lightweight(config: Any, kernel_size: int, causal: bool = False, **options: Any) -> nn.Module:
    return _from("mixing.convolution", "LightweightConv")(
        config.d_model, config.n_heads, kernel_size, causal=causal, **options
    )


def _dynamic(config: Any, kernel_size: int, causal: bool = False, **options: Any) -> nn.Module:
    return _from("mixing.convolution", "DynamicConv")(
        config.d_model, config.n_heads, kernel_size, causal=causal, **options
    )


def _synthesizer(
    config: Any, kind: str = "dense", length: int | None = None, **options: Any
) -> nn.Module:
    length = config.max_length if length is None else length
    return _from("mixing.synthesizer", "Synthesizer")(
        config.d_model, config.n_heads, length, kind=kind, **options
    )


def _dense(config: Any, activation: str | None = None) -> nn.Module:
    activation = config.activation if activation is None else activation
    given = {"activation": activation, "dropout": config.dropout, "bias": config.bias}
    return _from("feedforward.dense", "DenseFeedForward")(
        config.d_model, config.hidden_width, **given
    )


def _gated(config: Any, gate: str = "sigmoid") -> nn.Module:
    given = {"gate": gate, "dropout": config.dropout, "bias": config.bias}
    return _from("feedforward.gated", "GatedFeedForward")(
        config.d_model, config.hidden_width, **given
    )


def _switch(
    config: Any, n_experts: int, capacity_factor: float | int | None = 1.25, **options: Any
) -> nn.Module:
    given = {"activation": config.activation, "dropout": config.dropout, "bias": config.bias}
    sizes = (config.d_model, config.hidden_width, n_experts, capacity_factor)
    return _from("feedforward.experts", "SwitchFeedForward")(*sizes, **given | options)


def _head_dim(config: Any) -> int:
    return config.d_model // config.n_heads


PARTS: dict[str, dict[str, Makes]] = {
    "make_attend": {
        "softmax": _softmax,
        "linear": _linear,
        "favor": _favor,
        "rfa": _rfa,
        "lsh": _lsh,
        "sinkhorn": _sinkhorn,
        "linformer": _linformer,
        "span": _span,
        "dynamic_span": _dynamic_span,
        "entmax": _entmax,
        "relative": _relative,
    },
    "make_mixer": {
        "fourier": _fourier,
        "lightweight": _lightweight,
        "dynamic": _dynamic,
        "synthesizer": _synthesizer,
    },
    "make_feed_forward": {"dense": _dense, "gated": _gated, "switch": _switch},
}
"""By the option of `TransformerConfig`. An attention may also be any pattern of `patterns.RULES`,
or several joined by '+': "window+global:16, global_tokens=(0,)"."""

IN_ORDER = {
    "window": ("window",),
    "dilated": ("window", "dilation"),
    "strided": ("stride",),
    "fixed": ("stride", "summary"),
    "global": ("global_tokens",),
    "random": ("n_random",),
}
"""The options of a pattern that may be given without their names."""


def named(option: str, name: str) -> Callable[[int, Any], Any]:
    """The factory (index, config) -> part that a name stands for.

    option: "make_attend", "make_mixer" or "make_feed_forward". Raises ValueError for an unknown
    name, with the one that is spelt alike, and for arguments that the name does not take.
    """
    known = PARTS[option]
    word, _, given = (part.strip() for part in name.partition(":"))
    rules = _from("attention.patterns.masks", "RULES")
    patterns = {part.strip() for part in word.split("+")} <= rules.keys()
    if word not in known and not (option == "make_attend" and patterns):
        listed = [*known, *(rules if option == "make_attend" else ())]
        raise ValueError(
            f"{option} is {name!r}; it must be a function, or begin with one of "
            f"{', '.join(map(repr, listed))}{did_you_mean(word, listed)}."
        )
    positional, options = _arguments(option, name, given)
    if word in known:
        makes, bound = known[word], (None, *positional)
        try:
            inspect.signature(makes).bind(*bound, **options)
        except TypeError as error:
            raise ValueError(
                f"{option} is {name!r}; it must be {_form(word, makes)} ({error})."
            ) from None
        return partial(_make, makes, positional, options)
    order = list(dict.fromkeys(n for part in word.split("+") for n in IN_ORDER.get(part, ())))
    if len(positional) > len(order) or options.keys() & set(order[: len(positional)]):
        raise ValueError(f"{option} is {name!r}; it must be {word}:{', '.join(order)}.")
    options = dict(zip(order, positional, strict=False)) | options
    _from("attention.patterns", "PatternAttention")(
        word, **options
    )  # tells at once what does not fit
    return partial(_make, _pattern, [word], options)


def _pattern(config: Any, word: str, **options: Any) -> Attend:
    return _from("attention.patterns", "PatternAttention")(word, **options)


def _make(makes: Makes, positional: list, options: Mapping[str, Any], index: int, config: Any):
    return makes(config, *positional, **options)


def _form(word: str, makes: Makes) -> str:
    """How the name is written: "lsh:bucket_size, n_hashes=4, **options"."""
    names = [str(one).partition(":")[0] for one in inspect.signature(makes).parameters.values()]
    defaults = [one.default for one in inspect.signature(makes).parameters.values()]
    parts = [
        name if default is inspect.Parameter.empty else f"{name}={default!r}"
        for name, default in zip(names[1:], defaults[1:], strict=True)
    ]
    return f"{word}:{', '.join(parts)}" if parts else f"{word} alone"


def _arguments(option: str, name: str, given: str) -> tuple[list[Any], dict[str, Any]]:
    try:
        call = ast.parse(f"f({given})", mode="eval").body
        assert isinstance(call, ast.Call)
        positional = [_literal(one) for one in call.args]
        return positional, {str(one.arg): _literal(one.value) for one in call.keywords}
    except (SyntaxError, ValueError, AssertionError):
        raise ValueError(
            f"{option} is {name!r}; what follows ':' must be arguments as in a call, of numbers, "
            "words and tuples."
        ) from None


def _literal(node: ast.expr) -> Any:
    """A number, tuple or string; a bare word is a string, so that "gated:swish" may be written."""
    return node.id if isinstance(node, ast.Name) else ast.literal_eval(node)
