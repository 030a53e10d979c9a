"""Any attention of the library where torch has `nn.MultiheadAttention`.

    replace_attention(encoder, lambda index, shape: PatternAttention("window", window=128))

puts one into every layer of an `nn.TransformerEncoder`, or of any model that has torch's layers,
with their weights. Torch's conventions are kept: three tensors in and two out, masks in which True
means *must not attend*, `batch_first`. Torch's fused path for evaluation computes full attention,
whatever a layer holds; a layer of this module keeps torch from taking it.
Chapter: in-your-own-model.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from frugal.adapters.shape import HeadShape, MakeAttend, check_factory, make, placed
from frugal.attention.contract import Attend
from frugal.attention.recording import recording
from frugal.attention.softmax import MultiHeadAttention, softmax_attention

Where = Callable[[str, nn.Module], bool]
"""where(name, module): whether torch's layer of that name in a model is to be replaced."""


class MultiheadAttention(nn.Module):
    """`MultiHeadAttention` with the arguments, masks and results of `nn.MultiheadAttention`.

    heads: the layer that does the work. batch_first: (batch, length, d_model) instead of torch's
    own (length, batch, d_model). What it cannot do raises ValueError in one sentence when it is
    called.
    """

    in_proj_bias = None  # torch reads it, and leaves its fused path alone where there is none
    _qkv_same_embed_dim = True

    def __init__(self, heads: MultiHeadAttention, *, batch_first: bool = True) -> None:
        super().__init__()
        self.heads, self.batch_first = heads, batch_first

    @classmethod
    def from_torch(
        cls, module: nn.MultiheadAttention, attend: Attend = softmax_attention
    ) -> MultiheadAttention:
        """In place of torch's layer: its weights, copied, its dropout and its order of axes.

        Raises ValueError as `MultiHeadAttention.from_torch` does.
        """
        heads = MultiHeadAttention.from_torch(module, attend)
        return cls(heads, batch_first=module.batch_first).train(module.training)

    @property
    def embed_dim(self) -> int:
        return self.heads.to_q.in_features

    @property
    def num_heads(self) -> int:
        return self.heads.n_heads

    def extra_repr(self) -> str:
        return f"batch_first={self.batch_first}"

    def forward(
        self,
        query: Tensor,
        key: Tensor,
        value: Tensor,
        key_padding_mask: Tensor | None = None,
        need_weights: bool = True,
        attn_mask: Tensor | None = None,
        average_attn_weights: bool = True,
        is_causal: bool = False,
    ) -> tuple[Tensor, Tensor | None]:
        """The output, and the weights if asked for, (batch, queries, keys) or one for each head.

        key_padding_mask: (batch, keys), True = no real key; or floats, 0 and -inf. attn_mask:
        (queries, keys) or (batch·heads, queries, keys), True = must not attend; or floats, which
        are added to the scores. is_causal: attn_mask is the causal mask, and is not read. key and
        value must be the same tensor. The weights have no gradient.
        """
        if query.is_nested:
            raise ValueError(
                "query is a nested tensor; it must be a padded one: set use_nested_tensor=False on "
                "the nn.TransformerEncoder, as replace_attention does."
            )
        if value is not key:
            raise ValueError("value is another tensor than key; both must be the same one.")
        x, context = query, None if key is query else key
        if not self.batch_first:
            x, context = (y if y is None else y.transpose(0, 1) for y in (x, context))
        options: dict[str, Any] = {"causal": is_causal, "padding": _padding(key_padding_mask)}
        if attn_mask is not None and not is_causal:
            options |= _scores(attn_mask, self.num_heads)
        weights = None
        if need_weights:
            with recording(self.heads) as recorder:
                out = self.heads(x, context, **options)
            weights = recorder.weights[""]
            weights = weights.mean(1) if average_attn_weights else weights
        else:
            out = self.heads(x, context, **options)
        return out if self.batch_first else out.transpose(0, 1), weights


def replace_attention(
    model: nn.Module, make_attend: MakeAttend, *, where: Where | None = None
) -> nn.Module:
    """Put `MultiheadAttention` in place of torch's layers, in a model and in place; returns it.

    make_attend(index, shape) -> the attention of the layer `index`, counted among those that are
    replaced. where(name, module): which layers; all but the cross-attention of
    `nn.TransformerDecoderLayer` when None. Weights are copied and become new parameters, so an
    optimizer has to be made again. Raises ValueError where no layer is found, and for a layer that
    `MultiHeadAttention` has no place for; then nothing is changed.
    """
    check_factory(make_attend)
    chosen = {}
    for name, module in model.named_modules():
        if isinstance(module, nn.MultiheadAttention) and (where or _of_its_own)(name, module):
            chosen[module] = _replacement(module, make_attend, len(chosen))
    if not chosen or model in chosen:
        raise ValueError(
            f"model is {type(model).__name__}; it must be a module with nn.MultiheadAttention in "
            "it that is to be replaced."
        )
    for parent in list(model.modules()):
        for place, child in list(parent.named_children()):
            if child in chosen:
                setattr(parent, place, chosen[child])
        if isinstance(parent, nn.TransformerEncoder):
            parent.use_nested_tensor = False
    return model


def _of_its_own(name: str, module: nn.Module) -> bool:
    return not name.endswith("multihead_attn")


def _replacement(
    module: nn.MultiheadAttention, make_attend: MakeAttend, index: int
) -> MultiheadAttention:
    n_heads = module.num_heads
    shape = HeadShape(n_heads=n_heads, n_kv_heads=n_heads, head_dim=module.head_dim)
    made = MultiheadAttention.from_torch(module, make(make_attend, index, shape))
    return placed(made, module.out_proj.weight)


def _padding(mask: Tensor | None) -> Tensor | None:
    """Torch's mask of keys, True or -inf where there is none, as ours: True = real key."""
    if mask is None or mask.dtype == torch.bool:
        return None if mask is None else ~mask
    hidden = mask.isneginf()
    may_look = mask.device.type == "cpu" and not torch.compiler.is_compiling()
    if may_look and not bool((hidden | (mask == 0)).all()):
        raise ValueError("key_padding_mask has other numbers; they must be 0 and -inf.")
    return ~hidden


def _scores(mask: Tensor, n_heads: int) -> dict[str, Tensor]:
    """Torch's attn_mask as our mask and, where it holds numbers to add, bias."""
    if mask.ndim == 3:
        mask = mask.unflatten(0, (-1, n_heads))  # (batch, heads, queries, keys)
    if mask.dtype == torch.bool:
        return {"mask": ~mask}
    hidden = mask.isneginf()
    added = mask.masked_fill(hidden, 0.0)
    options = {"mask": ~hidden} if bool(hidden.any()) else {}
    return options | ({"bias": added} if bool((added != 0).any()) else {})
