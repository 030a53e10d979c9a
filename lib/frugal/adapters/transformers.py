"""Any attention of the library in the models of Hugging Face's transformers.

    register("frugal-window", lambda index, shape: PatternAttention("window", window=128))
    model = AutoModelForCausalLM.from_config(config, attn_implementation="frugal-window")

transformers asks a table of functions for attention and another for masks; `register` enters a name
in both. Each attention module of the model gets an attention of its own, as its submodule `frugal`:
what it learns is among `model.parameters()`, is saved, loaded and moved with the model.

A model that exists already, such as one that was loaded with its weights, changes over by
`use(model, name)`. Grouped keys and values are shared and not copied, where the attention allows it
(`frugal.attention.groups`). Chapter: in-your-own-model.

`register` says what to install where transformers is absent. Source: the attention interface of
transformers 5.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules.module import register_module_module_registration_hook

from frugal.adapters.shape import HeadShape, MakeAttend, check_factory, make, placed
from frugal.attention.contract import Attend
from frugal.attention.groups import attend_grouped
from frugal.attention.patterns import PatternAttention
from frugal.checks import check_options, installed, name_of, options_of, takes_only

TAKEN = ("eager", "sdpa", "flash", "flex", "paged", "/", "|")
"""Parts of a name by which transformers knows attentions of its own."""
REFUSED = ("output_attentions", "softcap", "s_aux", "cache")
"""What a model may ask for that no attention here gives."""

_factories: dict[str, MakeAttend] = {}


def register(name: str, make_attend: MakeAttend) -> None:
    """Make `attn_implementation=name` mean the attentions that make_attend(index, shape) makes.

    index: the layer's number, 0 where the model does not say. shape: a `HeadShape` with the heads
    and the model's configuration. A model that is built with the name, by from_config or
    from_pretrained, gets its attentions while it is built; one that exists gets them by `use`. A
    name that is registered again means the new factory for models to come.

    Honoured: padding on either side, causal or not, dynamic and static caches, a scaling of its
    own, attention dropout where the attention takes `dropout`, a sliding window where the attention
    takes `mask` or is a window that is no wider. What cannot be honoured raises ValueError in one
    sentence when it is used: attention weights as output, packed sequences, an attention that
    cannot be causal in a decoder or that cannot answer fewer queries than keys with a cache.
    """
    if not isinstance(name, str) or not name or any(part in name for part in TAKEN):
        raise ValueError(
            f"name is {name!r}; it must be a string without {', '.join(map(repr, TAKEN))}, by "
            "which transformers knows its own attentions."
        )
    check_factory(make_attend)
    transformers = installed("transformers", extra="transformers")
    if not _factories:
        register_module_module_registration_hook(_attach_when_built)
    _factories[name] = make_attend
    transformers.AttentionInterface.register(name, _interface(name))
    transformers.AttentionMaskInterface.register(name, visible_keys)


def use(model: nn.Module, name: str) -> nn.Module:
    """Give every attention module of an existing model the attention `name`, and return the model.

    The attentions are new: what earlier ones had learned is gone. They stand on the model's device,
    in its dtype. An optimizer that was made before does not know their parameters. Raises
    ValueError for a name that is not registered, for a model without attention modules, and for one
    that cannot change over.
    """
    installed("transformers", extra="transformers")
    _check_name(name)
    modules = [m for m in model.modules() if _is_attention(m)]
    if not modules:
        raise ValueError(
            f"model is {type(model).__name__}; it must have attention modules of transformers."
        )
    model.set_attn_implementation(name)
    for module in modules:
        if module.config._attn_implementation != name:
            raise ValueError(
                f"{type(module).__name__} does not ask the table of attentions; it must, for "
                "another to be used."
            )
    for number, module in enumerate(modules):
        _attach(module, name, number).settle()
    return model


class Held(nn.Module):
    """The attention of one attention module, and the values that it starts with.

    transformers initialises what a checkpoint does not have, as it does its own layers. The values
    that the attention was made with are put back then.
    """

    def __init__(self, name: str, attend: Attend) -> None:
        super().__init__()
        self.name, self.attend = name, attend
        self._fresh = {n: x.detach().clone() for n, x in self._tensors()}
        self._is_ready = False

    def _tensors(self) -> Iterator[tuple[str, Tensor]]:
        yield from self.named_parameters()
        yield from self.named_buffers()

    def settle(self) -> None:
        """What the attention holds now is what it is to hold: nothing is put back."""
        self._fresh, self._is_ready = {}, True

    @property
    def _is_hf_initialized(self) -> bool:
        """Set by transformers when it has initialised a module."""
        return self._is_ready

    @_is_hf_initialized.setter
    def _is_hf_initialized(self, ready: bool) -> None:
        if ready and not self._is_ready:
            with torch.no_grad():
                for name, x in self._tensors():
                    if not getattr(x, "_is_hf_initialized", False):  # was not loaded
                        x.copy_(self._fresh[name])
            self.settle()

    def extra_repr(self) -> str:
        shown = "" if isinstance(self.attend, nn.Module) else f", {name_of(self.attend)}"
        return repr(self.name) + shown


def _is_attention(module: nn.Module) -> bool:
    """Whether a module calls the attention interface, as far as can be seen from outside."""
    said = vars(module)
    asks = hasattr(said.get("config"), "_attn_implementation")
    return asks and ("is_causal" in said or "scaling" in said)


def _attach_when_built(parent: nn.Module, place: str, module: nn.Module | None) -> None:
    """Called by torch whenever a module becomes part of another."""
    if module is None or not _is_attention(module) or "frugal" in module._modules:
        return
    name = module.config._attn_implementation
    if name in _factories:
        _attach(module, name, 0)


def _attach(module: nn.Module, name: str, number: int) -> Held:
    """A new attention for `module`, where and as its weights are."""
    index = getattr(module, "layer_idx", None)
    weight = next(module.parameters(), None)
    abstract = weight is not None and weight.device.type == "meta"
    with torch.device("cpu"):  # a model that is to be loaded is built without numbers
        attend = make(_factories[name], number if index is None else index, shape_of(module))
    held = Held(name, attend).train(module.training)
    if weight is not None and not abstract:
        placed(held, weight)
    module.add_module("frugal", held)
    return held


def shape_of(module: nn.Module) -> HeadShape:
    """The heads of an attention module of transformers, from what it and its configuration say."""
    config = module.config

    def said(*names: str) -> Any:
        found = (getattr(where, name, None) for where in (module, config) for name in names)
        return next((value for value in found if value is not None), None)

    n_heads = said("num_attention_heads", "num_heads", "n_heads")
    head_dim = said("head_dim", "attention_head_size")
    if n_heads is None or (head_dim is None and said("hidden_size") is None):
        raise ValueError(
            f"{type(module).__name__} does not say num_attention_heads and head_dim; it must, for "
            "an attention to be made for it."
        )
    groups = getattr(module, "num_key_value_groups", None)
    own = said("num_key_value_heads") if groups is None else n_heads // groups
    return HeadShape(
        n_heads=n_heads,
        n_kv_heads=n_heads if own is None else own,
        head_dim=said("hidden_size") // n_heads if head_dim is None else head_dim,
        causal=_causal(module, None),
        config=config,
    )


def _causal(module: nn.Module, asked: bool | None) -> bool:
    causal = getattr(module, "is_causal", False) if asked is None else asked
    return bool(causal) and getattr(module.config, "is_causal", True) is not False


def _check_name(name: str) -> None:
    if name not in _factories:
        known = ", ".join(map(repr, _factories)) or "none yet"
        raise ValueError(f"name is {name!r}; it must be registered, as these are: {known}.")


def visible_keys(
    batch_size: int,
    q_length: int,
    kv_length: int,
    q_offset: int | Tensor = 0,
    kv_offset: int | Tensor = 0,
    mask_function: Callable[..., Any] | None = None,
    attention_mask: Tensor | None = None,
    device: torch.device | str | None = None,
    **_: Any,
) -> Tensor | None:
    """Which keys are real, (batch, keys) bool up to the last query's; None where all keys are.

    mask_function: the order that transformers asks for, causal when None. The room of a static
    cache behind the last query is left off. Raises ValueError for masks that say more than padding,
    causality and a sliding window, such as packed sequences.
    """
    keys = int(kv_length)
    if mask_function is None or _is_causal(mask_function):
        keys = min(keys, int(q_offset) + q_length - int(kv_offset))
    real = None if attention_mask is None else attention_mask[:, -keys:].bool()
    if keys == kv_length and (real is None or (real.shape[1] == keys and bool(real.all()))):
        return None
    if real is None:
        return torch.ones(batch_size, keys, dtype=torch.bool, device=device)
    return real


def _is_causal(mask_function: Callable[..., Any]) -> bool:
    """Whether a mask of transformers is causal; ValueError where it is not both ways either."""
    masking = installed("transformers.masking_utils", extra="transformers")
    cells = [cell.cell_contents for cell in getattr(mask_function, "__closure__", None) or ()]
    parts = next((one for one in cells if isinstance(one, tuple)), ())  # what it is joined from
    if len(parts) == 2 and getattr(parts[0], "__qualname__", "").startswith("sliding_window_"):
        mask_function = parts[1]
    if mask_function is masking.causal_mask_function:
        return True
    if mask_function is masking.bidirectional_mask_function:
        return False
    raise ValueError(
        "the model asks for a mask of its own, as for packed sequences or chunks; a frugal "
        "attention takes padding, causal order and a sliding window alone."
    )


def _interface(name: str) -> Callable[..., tuple[Tensor, None]]:
    """The function that transformers calls for attention under this name."""

    def attention(
        module: nn.Module,
        query: Tensor,
        key: Tensor,
        value: Tensor,
        attention_mask: Tensor | None,
        scaling: float | None = None,
        dropout: float = 0.0,
        is_causal: bool | None = None,
        sliding_window: int | None = None,
        position_bias: Tensor | None = None,
        **asked: Any,
    ) -> tuple[Tensor, None]:
        _refuse(module, asked)
        attend = _held(module, name, query).attend
        if attention_mask is not None and attention_mask.ndim == 2:
            key, value = (x[:, :, : attention_mask.shape[1]] for x in (key, value))
        options: dict[str, Any] = {"causal": _causal(module, is_causal)}
        if attention_mask is not None:
            options |= _as_option(attention_mask, key)
        if position_bias is not None:
            options["bias"] = position_bias
        if sliding_window is not None:
            options |= _window(attend, query, key, sliding_window, options)
        if dropout:
            options |= _dropout(attend, dropout)
        if scaling is not None:
            usual = scaling * math.sqrt(query.shape[-1])
            query = query if math.isclose(usual, 1.0) else query * usual
        out = attend_grouped(attend, query, key, value, check_options(attend, options))
        return out.transpose(1, 2).contiguous(), None

    return attention


def _refuse(module: nn.Module, asked: dict[str, Any]) -> None:
    config = getattr(module, "config", None)
    given = {"output_attentions": getattr(config, "output_attentions", False), **asked}
    for option in REFUSED:
        if given.get(option) is not None and given[option] is not False:
            why = (
                "no weights are kept; frugal.attention.recording shows those of frugal's own models"
                if option == "output_attentions"
                else "a frugal attention has none"
            )
            raise ValueError(f"{option} is given; it must be left out: {why}.")


def _held(module: nn.Module, name: str, query: Tensor) -> Held:
    """The attention of a module; a new one if the model has changed over to another name."""
    held = module._modules.get("frugal")
    if isinstance(held, Held) and held.name == name:
        return held
    held = _attach(module, name, 0)
    held.settle()
    if any(True for _ in held.parameters()):
        del module._modules["frugal"]
        raise ValueError(
            f"{name!r} learns parameters, and the model was built without them; call "
            f"frugal.adapters.transformers.use(model, {name!r}) before an optimizer is made."
        )
    return held.to(query.device)


def _as_option(mask: Tensor, key: Tensor) -> dict[str, Any]:
    """The mask of a model as an option of an attention."""
    if mask.ndim == 2:
        if mask.shape[1] != key.shape[2]:
            raise ValueError(
                f"attention_mask has {mask.shape[1]} places and there are {key.shape[2]} keys; it "
                "must have one for each."
            )
        return {"padding": mask.bool()}
    if mask.dtype != torch.bool:
        raise ValueError(
            f"attention_mask has dtype {mask.dtype} and shape {tuple(mask.shape)}; it must be "
            "(batch, keys), or boolean with True = may attend."
        )
    return {"mask": mask[..., : key.shape[2]], "causal": False}  # the order is in the mask


def _window(
    attend: Attend, query: Tensor, key: Tensor, sliding_window: int, options: dict[str, Any]
) -> dict[str, Any]:
    """What makes an attention keep to the window of a model, in which a token counts itself."""
    causal = options["causal"]
    reach = sliding_window - 1 if causal else sliding_window  # how transformers counts both
    keys = key.shape[2]
    if keys <= reach + 1 or "mask" in options:
        return {}
    if isinstance(attend, PatternAttention) and attend.name == "window":
        if attend.options["window"] <= reach:
            return {}
        raise ValueError(
            f"window is {attend.options['window']} and the model's sliding_window is "
            f"{sliding_window}; window must be at most {reach}, or sliding_window None."
        )
    takes = options_of(attend)
    if takes is not None and "mask" not in takes:
        raise ValueError(
            f"sliding_window is {sliding_window} and there are {keys} keys; {name_of(attend)} "
            "takes no mask and would see beyond: set sliding_window=None in the model's "
            "configuration."
        )
    place = torch.arange(keys, device=key.device)
    far = (place[keys - query.shape[2] :, None] - place).abs() > reach
    return {"mask": ~far}


def _dropout(attend: Attend, dropout: float) -> dict[str, Any]:
    """Dropout of attention weights, for an attention that takes it."""
    takes = options_of(attend)
    if takes is None or "dropout" in takes:
        return {"dropout": dropout}
    why = getattr(attend, "refuses", {}).get("dropout") or takes_only(attend)
    raise ValueError(
        f"attention dropout is {dropout}; it must be 0 in the model's configuration: {why}."
    )
