"""What a factory of attentions is told about the layer that it makes one for.

Chapter: in-your-own-model.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from torch import Tensor, nn

from frugal.attention.contract import Attend, check_attend
from frugal.checks import check_called


@dataclass(frozen=True)
class HeadShape:
    """The heads of one attention layer, wherever it comes from.

    n_heads, head_dim: of the queries. n_kv_heads: heads of keys and values, as many or fewer.
    causal: whether the layer asks for causal attention. config: the other library's description of
    the model, or None. A factory that reads n_heads, head_dim and d_model alone serves
    `TransformerConfig(make_attend=...)`, too.
    """

    n_heads: int
    n_kv_heads: int
    head_dim: int
    causal: bool = False
    config: Any = None

    @property
    def d_model(self) -> int:
        """Width of all query heads together."""
        return self.n_heads * self.head_dim


MakeAttend = Callable[[int, HeadShape], Attend]
"""make_attend(index, shape) -> an attention callable for the layer `index`, 0 first."""


def make(make_attend: MakeAttend, index: int, shape: HeadShape) -> Attend:
    """The attention of one layer. Raises ValueError where the factory makes none."""
    attend = make_attend(index, shape)
    check_attend(attend)
    return attend


def placed(module: nn.Module, like: Tensor) -> nn.Module:
    """The module where `like` is, in its dtype; what is there already stays as it is."""
    held = [*module.parameters(), *module.buffers()]
    if any(x.device != like.device or x.dtype != like.dtype for x in held):
        return module.to(like.device, like.dtype)
    return module


def check_factory(make_attend: Any) -> None:
    """One sentence for what cannot be called as make_attend(index, shape)."""
    check_called("make_attend", make_attend, ("index", "shape"))
