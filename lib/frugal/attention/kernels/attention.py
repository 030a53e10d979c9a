"""Linear attention: softmax's weights replaced by products of features.

If the weight of key j for query i is φ(q_i)·φ(k_j), the sum over keys can be taken first:

    o_i = Σ_j (φ(q_i)·φ(k_j)) v_j / Σ_j φ(q_i)·φ(k_j)
        = φ(q_i)·(Σ_j φ(k_j) v_jᵀ) / φ(q_i)·(Σ_j φ(k_j)).

The sums have the size of the features, not of the sequence: N tokens cost a constant each. The
causal form sums up to each token; `scan` does that in chunks.

Sources: katharopoulos2020linear; choromanski2021performer and `features` for φ. Chapter: kernels.
Cost for N tokens, m features, values of d numbers: 4·N·m·d FLOPs per head, m·d numbers of state.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import ClassVar

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float
from torch import Tensor

from frugal.attention.cache import KeyValueCache
from frugal.attention.contract import Attention, rescaled
from frugal.attention.groups import in_turns, repeated
from frugal.attention.kernels.features import (
    Continues,
    FavorFeatures,
    Prepared,
    Prepares,
    RandomFourierFeatures,
    check_floor,
    elu_features,
)
from frugal.attention.kernels.redrawing import Redrawn
from frugal.attention.kernels.scan import CausalScan, bounded, normaliser, sum_dtype
from frugal.attention.kernels.state import KernelState
from frugal.checks import autocast_kind, check_dtypes, check_head_shapes, check_heads, check_padding
from frugal.telling import told

__all__ = [
    "FavorFeatures",
    "KernelAttention",
    "RandomFourierFeatures",
    "elu_features",
    "kernel_weights",
    "linear_attention",
]

RUN = 1024
"""Keys that a GPU sums in one product."""


def linear_attention(
    phi_q: Float[Tensor, "batch heads queries features"],
    phi_k: Float[Tensor, "batch heads keys features"],
    v: Float[Tensor, "batch heads keys value_dim"],
    *,
    causal: bool = False,
    padding: Bool[Tensor, "batch keys"] | None = None,
    log_decay: Float[Tensor, "batch heads keys"] | None = None,
    floor: float | int | None = None,
) -> Float[Tensor, "batch heads queries value_dim"]:
    """The sums above, divided by their normaliser.

    causal: query i sums keys up to its own place, the last query aligned with the last key.
    padding: True = real key. log_decay: when causal, what was summed before key i is multiplied by
    exp(log_decay) when i joins; at most 0, and -inf forgets all of it. floor: a normaliser below it
    is replaced by it. Features must not be negative unless there is a floor, since they could sum
    to 0; where all of them are 0 the output is 0.

    Sums are taken in float32 (float64 for float64 input), whatever the input. Raises ValueError for
    shapes that do not fit, for what is not floating point and, on the CPU and uncompiled, for
    negative features.

    Memory beside the output: a state of features x (value_dim + 1) for every 512 tokens.
    """
    check_head_shapes(phi_q, phi_k, v)
    check_dtypes(v=v)
    _check(phi_q, phi_k, causal, padding, log_decay, floor)
    if padding is not None:
        phi_k = phi_k.masked_fill(~padding[:, None, :, None], 0.0)
    queries, keys = phi_q.shape[2], phi_k.shape[2]
    floor = None if floor is None else float(floor)
    empty = 0 in v.shape[:2]  # a batch of none: the sums without a scan have its shape
    if causal and not empty and not (queries == 1 and log_decay is None):
        # a scan has a query at every key; the sums do not care about those that came before
        if queries < keys:  # padding by nothing would still copy
            phi_q = F.pad(phi_q, (0, 0, keys - queries, 0))
        return CausalScan.apply(phi_q, phi_k, v, log_decay, floor)[:, :, keys - queries :]
    with torch.autocast(autocast_kind(v.device), enabled=False):
        q, k, values = (x.to(sum_dtype(v)) for x in (phi_q, phi_k, v))
        total = q @ k.sum(-2).unsqueeze(-1)  # (batch, heads, queries, 1)
        out = q @ _state_of(k, values) / normaliser(total, floor)
    return out.to(v.dtype)


def _state_of(
    k: Float[Tensor, "batch heads keys features"], v: Float[Tensor, "batch heads keys value_dim"]
) -> Float[Tensor, "batch heads features value_dim"]:
    """Σ_j φ(k_j) v_jᵀ. A GPU takes it in runs: few heads with one long sum each leave it idle."""
    runs = k.shape[2] // RUN
    if _on_cpu(k) or torch.compiler.is_compiling() or runs < 2:
        return k.mT @ v
    first_k, first_v = (x[:, :, : runs * RUN].unflatten(2, (runs, RUN)) for x in (k, v))
    total = (first_k.mT @ first_v).sum(2)  # over the runs
    if k.shape[2] == runs * RUN:
        return total
    return total + k[:, :, runs * RUN :].mT @ v[:, :, runs * RUN :]


def _on_cpu(x: Tensor) -> bool:
    return x.device.type == "cpu"


def kernel_weights(
    phi_q: Float[Tensor, "batch heads queries features"],
    phi_k: Float[Tensor, "batch heads keys features"],
    *,
    causal: bool = False,
    padding: Bool[Tensor, "batch keys"] | None = None,
    log_decay: Float[Tensor, "batch heads keys"] | None = None,
    floor: float | int | None = None,
) -> Float[Tensor, "batch heads queries keys"]:
    """The matrix that `linear_attention` never makes, with the same arguments: for looking at."""
    check_head_shapes(phi_q, phi_k, phi_k)
    _check(phi_q, phi_k, causal, padding, log_decay, floor)
    products = phi_q @ phi_k.mT
    queries, keys = products.shape[-2:]
    if log_decay is not None:
        total = bounded(log_decay).cumsum(-1)
        gap = total[..., keys - queries :, None] - total[..., None, :]
        products = products * gap.clamp(max=0).exp()  # above 0 only where causality hides it
    if causal:
        products = products.tril(keys - queries)
    if padding is not None:
        products = products.masked_fill(~padding[:, None, None, :], 0.0)
    return products / normaliser(products.sum(-1, keepdim=True), floor)


class KernelAttention(Attention):
    """An attention callable on features, for `MultiHeadAttention(attend=...)`.

    features: φ, any callable on (batch, heads, length, head_dim) whose results are not negative,
    such as `elu_features`; or one that `Prepares` both together, as `FavorFeatures(head_dim, 64)`.
    """

    refuses: ClassVar = {
        "mask": "linear attention never makes the matrix that a mask would cut; use causal or "
        "padding",
        "bias": "linear attention never makes the scores that a bias would be added to",
        "scale": "these features are not of scores, which a scale could multiply",
        "dropout": "linear attention never makes the weights of which some could go",
    }
    groups: ClassVar = "itself"

    def __init__(self, features: Callable[[Tensor], Tensor] = elu_features) -> None:
        super().__init__()
        self.features = features

    def extra_repr(self) -> str:
        return told(self, "features")

    def forward(
        self,
        q: Float[Tensor, "batch heads queries head_dim"],
        k: Float[Tensor, "batch kv_heads keys head_dim"],
        v: Float[Tensor, "batch kv_heads keys value_dim"],
        *,
        padding: Bool[Tensor, "batch keys"] | None = None,
        causal: bool = False,
        scale: float | int | None = None,
    ) -> Float[Tensor, "batch heads queries value_dim"]:
        """scale: of the softmax that the features estimate; other features take none.

        Raises ValueError as `linear_attention` does.
        """
        check_heads(q, k, v, grouped=True)
        q = self._rescaled(q, scale)
        drawn = {}
        if isinstance(self.features, Redrawn):
            drawn = {"vectors": self.features.vectors()}

        def found(q: Tensor, heads: slice | None = None) -> Tensor:
            prepared = self._prepare(q, k, padding, causal, **drawn)
            return linear_attention(v=v, causal=causal, padding=padding, **prepared._asdict())

        if q.shape[1] == k.shape[1]:
            return found(q)
        return in_turns(found, q, q.shape[1] // k.shape[1])  # one pass, with the same vectors

    @property
    def shifts(self) -> bool:
        """Whether the features say nothing of where a key stands, as those of this book."""
        return not isinstance(self.features, Prepares) or isinstance(self.features, Continues)

    def new_cache(self, capacity: int) -> KernelState | KeyValueCache:
        """The state that decoding goes on from, of constant size.

        It is keys and values where a state would not do: for features of your own that prepare
        queries and keys together and do not `Continues`, and for those that are drawn anew in
        training, which would be other features than those summed.
        """
        drawn_anew = (
            isinstance(self.features, Redrawn)
            and self.features.training
            and self.features.redraw_every is not None
        )
        together = isinstance(self.features, Prepares) and not isinstance(self.features, Continues)
        return KeyValueCache(capacity) if drawn_anew or together else KernelState(capacity)

    def step(
        self,
        q: Float[Tensor, "batch heads new head_dim"],
        k: Float[Tensor, "batch heads new head_dim"],
        v: Float[Tensor, "batch heads new value_dim"],
        state: KernelState,
        *,
        padding: Bool[Tensor, "batch keys"] | None = None,
        causal: bool = True,
        scale: float | int | None = None,
    ) -> Float[Tensor, "batch heads new value_dim"]:
        """The same as `forward` for the new positions of a text whose others are in the state.

        The state takes in the new ones: one token costs 4·m·d FLOPs per head, wherever it stands. A
        prompt may come at once, or in parts. padding: of all positions so far. Raises ValueError
        for a call that is not causal, for shapes that do not fit, for random vectors that have
        changed since the state began, and in the backward pass: a state has no gradient.
        """
        check_heads(q, k, v)
        q = self._rescaled(q, scale)
        if not causal:
            raise ValueError("causal is False; it must be True: a state holds the past alone.")
        if padding is not None:
            check_padding(padding, (k.shape[0], state.length + k.shape[2]))
            padding = padding.expand(k.shape[0], -1)[:, -k.shape[2] :]
        vectors = self.features.projection if isinstance(self.features, Redrawn) else None
        state.begin(k, v, vectors)
        with torch.no_grad(), torch.autocast(autocast_kind(q.device), enabled=False):
            if hasattr(self.features, "prepare_next"):
                found, past = self.features.prepare_next(q, k, past=state.past, padding=padding)
            else:
                wide_q, wide_k = q.to(sum_dtype(q)), k.to(sum_dtype(k))
                found, past = Prepared(self.features(wide_q), self.features(wide_k)), None
            _check(found.phi_q, found.phi_k, True, padding, found.log_decay, found.floor)
            if padding is not None:
                hidden = ~padding[:, None, :, None]
                found = found._replace(phi_k=found.phi_k.masked_fill(hidden, 0.0))
            out = state.add(found, v, past)
        return state.without_gradient(out, q, k, v)

    def weights(
        self,
        q: Tensor,
        k: Tensor,
        *,
        causal: bool = False,
        padding: Tensor | None = None,
        scale: float | int | None = None,
    ) -> Float[Tensor, "batch heads queries keys"]:
        """What each query gives to each key, by the features at hand: this is no training pass.

        Estimates by random features that may be negative are so here, too.
        """
        k = repeated(k, q.shape[1])
        check_heads(q, k, k)
        q = self._rescaled(q, scale)
        prepared = self._prepare(q, k, padding, causal)
        return kernel_weights(causal=causal, padding=padding, **prepared._asdict())

    def _rescaled(self, q: Tensor, scale: float | int | None) -> Tensor:
        if scale is not None and not getattr(self.features, "of_softmax", False):
            raise ValueError(f"scale is given; it must be None: {self.refuses['scale']}.")
        return rescaled(q, scale)

    def _prepare(
        self, q: Tensor, k: Tensor, padding: Tensor | None, causal: bool, **drawn: Tensor
    ) -> Prepared:
        if padding is not None:
            check_padding(padding, (k.shape[0], k.shape[2]))
            padding = padding.expand(k.shape[0], k.shape[2])
        # features are exponents: half precision would err by whole percents
        with torch.autocast(autocast_kind(q.device), enabled=False):
            if isinstance(self.features, Prepares):
                return self.features.prepare(q, k, causal=causal, padding=padding, **drawn)
            q, k = q.to(sum_dtype(q)), k.to(sum_dtype(k))
            return Prepared(self.features(q), self.features(k))


def _numbers_can_be_read(x: Tensor) -> bool:
    """Whether there are numbers in x, and a look at them costs no more than the look.

    A GPU would have to finish its work first, and a compiled graph would end there.
    """
    return x.numel() > 0 and x.device.type == "cpu" and not torch.compiler.is_compiling()


def _check(
    phi_q: Tensor,
    phi_k: Tensor,
    causal: bool,
    padding: Tensor | None,
    log_decay: Tensor | None,
    floor: float | int | None,
) -> None:
    check_dtypes(phi_q=phi_q)  # one by one: each may have a dtype of its own
    check_dtypes(phi_k=phi_k)
    if padding is not None:
        check_padding(padding, (phi_k.shape[0], phi_k.shape[2]))
    if causal and phi_q.shape[2] > phi_k.shape[2]:
        raise ValueError(
            f"phi_q has length {phi_q.shape[2]} and phi_k has {phi_k.shape[2]}; a causal query "
            "needs a key at its own place."
        )
    if log_decay is not None:
        if not causal:
            raise ValueError("log_decay is given without causal=True; only a past can fade.")
        if log_decay.shape != phi_k.shape[:3]:
            raise ValueError(
                f"log_decay has shape {tuple(log_decay.shape)}; it must be (batch, heads, keys), "
                f"here {tuple(phi_k.shape[:3])}."
            )
        if _numbers_can_be_read(log_decay):
            largest = log_decay.detach().amax()
            if ~(largest <= 0):  # NaN too
                has = "NaN" if largest.isnan() else "a value above 0"
                raise ValueError(f"log_decay has {has}; the past may fade but not grow.")
    if floor is not None:
        check_floor(floor)
        return
    if not _numbers_can_be_read(phi_q):
        return
    for name, features in (("phi_q", phi_q), ("phi_k", phi_k)):
        if features.detach().amin() < 0:
            raise ValueError(
                f"{name} has a negative feature; without a floor features must not be negative, "
                "or their sum may vanish."
            )
