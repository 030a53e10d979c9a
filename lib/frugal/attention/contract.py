"""What an attention is: a callable on heads, and what it does with an option it cannot take.

    (q, k, v, *, mask=None, padding=None, causal=False, bias=None, scale=None, dropout=0.0) -> out

on (batch, heads, length, head_dim). mask: boolean, True = may attend, broadcast to (batch, heads,
queries, keys). padding: boolean (batch, keys), True = real key. causal: query i sees keys up to its
own place, the last query aligned with the last key. bias: added to the scores, broadcast as a mask
is. scale: the scores are scale·q kᵀ; 1 / √head_dim when None. dropout: the share of the weights
that are dropped, the others scaled up; given in training alone. An attention takes each of these or
refuses it in one sentence; it never passes over one.

k and v may have fewer heads than q (`groups`). What is an `Attention` takes them; another callable
does where `attend_grouped` calls it, as `MultiHeadAttention` does.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, ClassVar

from torch import Tensor, nn

from frugal.attention.cache import KeyValueCache, State
from frugal.attention.groups import Groups, are_grouped, attend_grouped
from frugal.checks import (
    check_called,
    check_options,
    check_scale,
    name_of,
    options_of,
    takes_only,
)

Attend = Callable[..., Tensor]


class Attention(nn.Module):
    """A module that is an attention. Its `forward` names the options that it takes, and no others.

    refuses: for an option of the protocol that it cannot take, the reason; the sentence quotes it.
    groups: how it is brought to fewer heads of keys than of queries, see `frugal.attention.groups`.
    shifts: a text that begins later gets the same, what stands in front of it being hidden by
    `padding`: where a token stands counts for nothing but its distance to others. Prompts of
    several lengths are then continued as one batch.
    """

    refuses: ClassVar[Mapping[str, str]] = {}
    groups: ClassVar[Groups] = "repeated"
    shifts: bool = False

    def new_cache(self, capacity: int) -> KeyValueCache | State:
        """What a decoder must remember of earlier positions: all keys and values, if not less."""
        return KeyValueCache(capacity)

    def __call__(self, q: Tensor, k: Tensor, v: Tensor, **options: Any) -> Tensor:
        options = check_options(self, options)
        if self.groups != "itself" and are_grouped(q, k):
            return attend_grouped(self, q, k, v, options)
        return super().__call__(q, k, v, **options)


def check_attend(attend: Any, *, takes: str | None = None) -> None:
    """One sentence for what is no attention, or for one that does not take the option `takes`."""
    check_called("attend", attend, ("q", "k", "v"))
    options = options_of(attend)
    if takes is not None and options is not None and takes not in options:
        why = getattr(attend, "refuses", {}).get(takes) or takes_only(attend)
        raise ValueError(f"attend is {name_of(attend)}; it must be one that takes {takes}: {why}.")


def rescaled(q: Tensor, scale: float | int | None) -> Tensor:
    """q for what divides its scores by √head_dim, so that they come out as scale·q kᵀ."""
    check_scale(scale)
    return q if scale is None else q * (scale * q.shape[-1] ** 0.5)
