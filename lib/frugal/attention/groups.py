"""Grouped heads: several query heads read one head of keys and values.

With G heads of keys for H heads of queries, query head h reads head h // (H / G): a cache of keys
and values is H / G times smaller, and so are their projections. G = 1 is multi-query attention.

An attention says by `groups` how it is brought to that:

- "itself": its `forward` takes fewer heads of keys and values than of queries;
- "in turns": its heads are all alike, so it is called H / G times, each time with one query head of
  every group and the same keys and values, which are not copied;
- "repeated": it treats the keys of every query head in another way (sorted, weighed, learned for
  each head), so each query head gets a copy of its keys and values.

Sources: shazeer2019mqa, ainslie2023gqa. Chapter: the-vanilla-transformer. Cost: the attention's
own; "in turns" is H / G calls of G heads each.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, Literal

import torch
from torch import Tensor

Groups = Literal["itself", "in turns", "repeated"]

BY_HEAD = ("mask", "bias")
"""Options that may hold a matrix of their own for each query head."""


def grouped(how: Groups) -> Callable[[Callable[..., Tensor]], Callable[..., Tensor]]:
    """Say of a function that is an attention how it is brought to grouped heads."""

    def mark(attend: Callable[..., Tensor]) -> Callable[..., Tensor]:
        setattr(attend, "groups", how)  # noqa: B010  a function has no such attribute, to a checker
        return attend

    return mark


def groups_of(attend: Callable[..., Tensor]) -> Groups:
    """What an attention says by `groups`; what says nothing gets repeated keys and values."""
    while isinstance(attend, partial):
        attend = attend.func
    return getattr(attend, "groups", "repeated")


def are_grouped(q: Tensor, k: Tensor) -> bool:
    """Whether k has fewer heads than q, and a whole number of query heads reads each of them."""
    if q.ndim != 4 or k.ndim != 4:
        return False
    heads, own = q.shape[1], k.shape[1]
    return 0 < own < heads and heads % own == 0


def repeated(x: Tensor, n_heads: int) -> Tensor:
    """(batch, n_kv_heads, length, width) to n_heads, each head as often as it is read: a copy."""
    times = n_heads // x.shape[1]
    if times == 1:
        return x
    return x[:, :, None].expand(-1, -1, times, -1, -1).flatten(1, 2)


def fold_groups(q: Tensor, n_kv_heads: int) -> Tensor:
    """(batch, heads, queries, width) to (batch, n_kv_heads, group·queries, width).

    The queries of a group then stand in one matrix, which meets the keys of the group in one
    product. `unfold_groups` takes it back.
    """
    return q.unflatten(1, (n_kv_heads, -1)).flatten(2, 3)


def unfold_groups(x: Tensor, n_heads: int) -> Tensor:
    """(batch, n_kv_heads, group·queries, width) to (batch, heads, queries, width)."""
    return x.unflatten(2, (n_heads // x.shape[1], -1)).flatten(1, 2)


def attend_grouped(
    attend: Callable[..., Tensor], q: Tensor, k: Tensor, v: Tensor, options: dict[str, Any]
) -> Tensor:
    """What `attend` finds, also where k and v have fewer heads than q.

    Heads that do not divide each other reach `attend` as they are; it says what does not fit.
    """
    how = groups_of(attend)
    if how == "itself" or not are_grouped(q, k) or k.shape[1] != v.shape[1]:
        return attend(q, k, v, **options)
    if how == "repeated":
        return attend(q, *(repeated(x, q.shape[1]) for x in (k, v)), **options)
    group = q.shape[1] // k.shape[1]

    def found(q: Tensor, heads: slice) -> Tensor:
        return attend(q, k, v, **_of_heads(options, heads))

    return in_turns(found, q, group)


def in_turns(found: Callable[[Tensor, slice], Tensor], q: Tensor, group: int) -> Tensor:
    """found(q, heads) for one query head of every group after the other, put back in order."""
    turns = [slice(turn, None, group) for turn in range(group)]
    outs = [found(q[:, heads], heads) for heads in turns]
    return torch.stack(outs, dim=2).flatten(1, 2)  # (batch, n_kv_heads·group, queries, width)


def _of_heads(options: dict[str, Any], heads: slice) -> dict[str, Any]:
    """The options for some of the query heads."""
    chosen = dict(options)
    for name in BY_HEAD:
        x = options.get(name)
        if x is not None and x.ndim >= 3 and x.shape[-3] > 1:
            chosen[name] = x[..., heads, :, :]
    return chosen
