"""Feature maps φ whose products φ(q)·φ(k) stand for exp(q·k / √head_dim).

With q̂ = q / head_dim^¼ and k̂ = k / head_dim^¼ the softmax kernel exp(q̂·k̂) is an expectation over
random vectors ω with independent standard normal entries:

    exp(q̂·k̂) = E[exp(ω·q̂ - ‖q̂‖²/2) exp(ω·k̂ - ‖k̂‖²/2)]          positive features
             = exp(‖q̂‖²/2) E[cos ω·(q̂ - k̂)] exp(‖k̂‖²/2)         trigonometric features

A mean over m draws estimates either without bias. The positive estimate is never negative, and its
variance vanishes where the kernel is small; the trigonometric one errs most there, in both
directions. Drawing the ω orthogonal to each other leaves the mean and lowers the variance.

Sources: choromanski2021performer (positive, orthogonal), peng2021rfa (trigonometric).
Chapter: kernels.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple, Protocol, runtime_checkable

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float
from torch import Tensor

from frugal.attention.kernels.redrawing import Redrawn
from frugal.attention.kernels.scan import sum_dtype
from frugal.checks import at_least, between, check_generator


class Prepared(NamedTuple):
    """What `linear_attention` needs: features scaled so that nothing overflows.

    phi_q: (batch, heads, queries, features). phi_k: (batch, heads, keys, features). log_decay:
    (batch, heads, keys) or None. floor: the smallest normaliser, for features that may be negative.
    """

    phi_q: Tensor
    phi_k: Tensor
    log_decay: Tensor | None = None
    floor: float | None = None


@runtime_checkable
class Prepares(Protocol):
    """Features that see queries and keys together, so that one scale can be taken out of both."""

    def prepare(
        self, q: Tensor, k: Tensor, *, causal: bool = False, padding: Tensor | None = None
    ) -> Prepared: ...


@runtime_checkable
class Continues(Prepares, Protocol):
    """Features of a text that is read in parts, for decoding from a state."""

    def prepare_next(
        self, q: Tensor, k: Tensor, *, past: Tensor | None, padding: Tensor | None = None
    ) -> tuple[Prepared, Tensor]:
        """`prepare(causal=True)` for the next positions, and what the positions after them need.

        past: what the positions before gave, None at the start. padding: of these keys alone.
        """
        ...


def elu_features(x: Float[Tensor, "*batch head_dim"]) -> Float[Tensor, "*batch head_dim"]:
    """elu(x) + 1: positive, no randomness, and no attempt at softmax (katharopoulos2020linear).

    Below 0 that is exp(x), and computed so: (exp(x) - 1) + 1 would be 0 from x = -17 on.
    """
    if not torch.is_grad_enabled():  # to make a node of the graph takes longer than a short step
        return _EluPlusOne.forward(x)
    return _EluPlusOne.apply(x)


class _EluPlusOne(torch.autograd.Function):
    """By autograd's own rules the same takes up to ten times as long."""

    generate_vmap_rule = True

    @staticmethod
    def forward(x: Tensor) -> Tensor:
        return x.clamp(max=0).exp_().add_(x.clamp(min=0))

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Tensor], output: Tensor) -> None:
        ctx.save_for_backward(output)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> Tensor:
        (output,) = ctx.saved_tensors
        return output.clamp(max=1).mul_(grad)  # exp(x) below 0, 1 above


def gaussian_projection(
    n_features: int,
    head_dim: int,
    *,
    orthogonal: bool = True,
    generator: torch.Generator | None = None,
    device: torch.device | str | None = None,
    dtype: torch.dtype = torch.float32,
) -> Float[Tensor, "n_features head_dim"]:
    """Random vectors ω as rows, each with independent standard normal entries.

    orthogonal: rows are orthogonal within blocks of head_dim rows, and have the lengths of
    independent normal vectors, so that each alone is distributed as before. Half precision is drawn
    in float32.
    """
    at_least(1, n_features=n_features, head_dim=head_dim)
    check_generator(generator)
    drawn_in = torch.promote_types(dtype, torch.float32)
    options = {"generator": generator, "device": device, "dtype": drawn_in}
    rows = torch.randn(n_features, head_dim, **options)
    if not orthogonal:
        return rows.to(dtype)
    blocks = math.ceil(n_features / head_dim)
    q, r = torch.linalg.qr(torch.randn(blocks, head_dim, head_dim, **options))
    # QR fixes signs in its own way; with these signs every direction is equally likely
    q = q * r.diagonal(dim1=-2, dim2=-1).sign()[:, None, :]
    directions = q.mT.reshape(blocks * head_dim, head_dim)[:n_features]
    return (directions * rows.norm(dim=-1, keepdim=True)).to(dtype)


def positive_features(
    x: Float[Tensor, "*batch head_dim"], projection: Float[Tensor, "n_features head_dim"]
) -> Float[Tensor, "*batch n_features"]:
    """exp(ω·x - ‖x‖²/2) / √m for x over head_dim^¼ (choromanski2021performer, lemma 1)."""
    return _log_positive(x, projection).exp() / math.sqrt(len(projection))


def trigonometric_features(
    x: Float[Tensor, "*batch head_dim"], projection: Float[Tensor, "n_features head_dim"]
) -> Float[Tensor, "*batch twice_n_features"]:
    """exp(‖x‖²/2) (sin ω·x, cos ω·x) / √m for x over head_dim^¼: two features a row of ω."""
    x = _scaled(x)
    size = x.square().sum(-1, keepdim=True).div(2).exp()
    return waves(angles(x, projection)) * size


class RandomVectors(Redrawn):
    """A buffer of random vectors as rows, `projection`, and when they are drawn anew.

    head_dim: width of queries and keys. n_features: m, the rows. orthogonal: see
    `gaussian_projection`. redraw_every: draw new vectors at every so many training passes (see
    `Redrawn`), None to keep them. generator: of the first draw, on the CPU; torch's own draws later
    ones, so that a replay of the pass finds the same. of_softmax: whether products of the features
    estimate exp(q·k / √head_dim).
    """

    of_softmax = False

    def __init__(
        self,
        head_dim: int,
        n_features: int = 64,
        *,
        orthogonal: bool = True,
        redraw_every: int | None = None,
        generator: torch.Generator | None = None,
    ) -> None:
        drawn = gaussian_projection(
            n_features, head_dim, orthogonal=orthogonal, generator=generator
        )
        super().__init__(drawn, redraw_every)
        self.orthogonal = orthogonal

    def draw(self, generator: torch.Generator | None = None) -> Tensor:
        """New vectors of the same shape, dtype and place."""
        return gaussian_projection(
            *self.projection.shape,
            orthogonal=self.orthogonal,
            generator=generator,
            device=self.projection.device,
            dtype=self.projection.dtype,
        )

    def check_width(self, x: Tensor) -> None:
        if x.shape[-1] != self.projection.shape[1]:
            raise ValueError(
                f"x has head_dim {x.shape[-1]}; these features are for {self.projection.shape[1]}."
            )


class _SoftmaxFeatures(RandomVectors):
    """Random features of the softmax kernel; attention gets them on scales that cannot overflow."""

    of_softmax = True

    def prepare(
        self,
        q: Float[Tensor, "batch heads queries head_dim"],
        k: Float[Tensor, "batch heads keys head_dim"],
        *,
        causal: bool = False,
        padding: Bool[Tensor, "batch keys"] | None = None,
        vectors: Float[Tensor, "n_features head_dim"] | None = None,
    ) -> Prepared:
        """Features of at most 1 in size, whatever the norms of q and k.

        A factor for each query cancels between numerator and normaliser, and so does one for all
        keys of a query. The keys' factor is their largest feature. When causal it is the largest
        *so far*, and a decay takes over what was summed on the old scale: a factor from all keys
        would let later keys decide which earlier ones round to 0. vectors: of this pass, those of
        the buffer by default.
        """
        self.check_width(q)
        vectors = self.projection if vectors is None else vectors
        if causal:
            return self._so_far(q, k, padding, vectors, None)[0]
        return self._at_once(q, k, padding, vectors)

    def prepare_next(
        self,
        q: Float[Tensor, "batch heads length head_dim"],
        k: Float[Tensor, "batch heads length head_dim"],
        *,
        past: Float[Tensor, "batch heads"] | None,
        padding: Bool[Tensor, "batch length"] | None = None,
    ) -> tuple[Prepared, Tensor]:
        """See `Continues`. past: the logarithm of the largest feature so far."""
        self.check_width(q)
        return self._so_far(q, k, padding, self.projection, past)

    def _at_once(self, q: Tensor, k: Tensor, padding: Tensor | None, vectors: Tensor) -> Prepared:
        """All keys on one scale."""
        raise NotImplementedError

    def _so_far(
        self, q: Tensor, k: Tensor, padding: Tensor | None, vectors: Tensor, past: Tensor | None
    ) -> tuple[Prepared, Tensor]:
        """Each key on the scale of those up to it, after the `past`; and the scale at the end."""
        raise NotImplementedError


class FavorFeatures(_SoftmaxFeatures):
    """Positive orthogonal random features: FAVOR+, the features of the Performer.

    The arguments are those of `RandomVectors`; the variance falls as 1 / n_features, and grows
    quickly with the norms of q and k. `features(x)` gives φ(x), whose products estimate
    exp(q·k / √head_dim); `prepare` what attention uses, which differs by factors that cancel.

    Where the norms are so large that no feature is large for both the query and a key, every
    product underflows and the row becomes 0: some rows do from about 15 times unit normal entries
    at head_dim 16 on.
    """

    def forward(self, x: Float[Tensor, "*batch head_dim"]) -> Float[Tensor, "*batch n_features"]:
        self.check_width(x)
        return positive_features(x, self.projection)

    def _at_once(self, q: Tensor, k: Tensor, padding: Tensor | None, vectors: Tensor) -> Prepared:
        return Prepared(
            self._of_queries(q, vectors), _on_one_scale(self._logs(k, vectors, padding))
        )

    def _so_far(
        self, q: Tensor, k: Tensor, padding: Tensor | None, vectors: Tensor, past: Tensor | None
    ) -> tuple[Prepared, Tensor]:
        logs = self._logs(k, vectors, padding)
        phi_k, log_decay, past = _on_largest_scale(logs, logs.detach().amax(-1), past)
        return Prepared(self._of_queries(q, vectors), phi_k, log_decay), past

    @staticmethod
    def _of_queries(q: Tensor, vectors: Tensor) -> Tensor:
        logs = angles(_scaled(q), vectors)  # ‖q‖²/2 is a factor of the query alone
        return (logs - logs.detach().amax(-1, keepdim=True)).exp()

    @staticmethod
    def _logs(k: Tensor, vectors: Tensor, padding: Tensor | None) -> Tensor:
        return _hidden(_log_positive(k, vectors), padding)


class RandomFourierFeatures(_SoftmaxFeatures):
    """Trigonometric random features of the softmax kernel: unbiased, and unfit for attention.

    The arguments are those of `RandomVectors`; n_features random vectors give twice as many
    features. Their products may be negative, and so may the normaliser: one below `floor` is
    replaced by it.
    """

    def __init__(
        self, head_dim: int, n_features: int = 64, *, floor: float | int = 1e-3, **options: Any
    ) -> None:
        super().__init__(head_dim, n_features, **options)
        self.floor = check_floor(floor)

    def forward(
        self, x: Float[Tensor, "*batch head_dim"]
    ) -> Float[Tensor, "*batch twice_n_features"]:
        self.check_width(x)
        return trigonometric_features(x, self.projection)

    def _at_once(self, q: Tensor, k: Tensor, padding: Tensor | None, vectors: Tensor) -> Prepared:
        k = _scaled(k)
        size = _on_one_scale(self._logs(k, padding), cancels=False)
        return self._prepared(q, k, vectors, size, None)

    def _so_far(
        self, q: Tensor, k: Tensor, padding: Tensor | None, vectors: Tensor, past: Tensor | None
    ) -> tuple[Prepared, Tensor]:
        k = _scaled(k)
        logs = self._logs(k, padding)
        size, log_decay, past = _on_largest_scale(logs, logs.amax(-1), past)
        return self._prepared(q, k, vectors, size, log_decay), past

    def _prepared(
        self, q: Tensor, k: Tensor, vectors: Tensor, size: Tensor, log_decay: Tensor | None
    ) -> Prepared:
        phi_q = waves(angles(_scaled(q), vectors))
        return Prepared(phi_q, waves(angles(k, vectors)) * size, log_decay, self.floor)

    @staticmethod
    def _logs(k: Tensor, padding: Tensor | None) -> Tensor:
        return _hidden(k.square().sum(-1, keepdim=True) / 2, padding)


def check_floor(floor: float | int) -> float:
    """The floor, or one sentence when it is not above 0."""
    between(0, math.inf, floor=floor, why=": it is a smallest normaliser")
    return float(floor)


def _scaled(x: Tensor) -> Tensor:
    """x / head_dim^¼, which shares the 1 / √head_dim of attention between queries and keys."""
    return x.to(sum_dtype(x)) * x.shape[-1] ** -0.25


def _log_positive(x: Tensor, projection: Tensor) -> Tensor:
    x = _scaled(x)
    return angles(x, projection) - x.square().sum(-1, keepdim=True) / 2


def angles(
    x: Float[Tensor, "*batch head_dim"], projection: Float[Tensor, "m head_dim"]
) -> Float[Tensor, "*batch m"]:
    """ω·x for every row of the projection, in the dtype of x."""
    return x @ projection.to(x.dtype).mT


def waves(angles: Float[Tensor, "*batch m"]) -> Float[Tensor, "*batch twice_m"]:
    """(sin, cos) of every angle, over √m."""
    return torch.cat([angles.sin(), angles.cos()], -1) / math.sqrt(angles.shape[-1])


def _hidden(logs: Tensor, padding: Tensor | None) -> Tensor:
    """Logarithms of (batch, heads, keys, n), of 0 for padded keys."""
    return logs if padding is None else logs.masked_fill(~padding[:, None, :, None], -torch.inf)


def _on_one_scale(logs: Tensor, *, cancels: bool = True) -> Tensor:
    """exp(logs) over its largest value; the scale has no gradient where it `cancels`, which it does
    not beside a floor."""
    scale = (logs.detach() if cancels else logs).amax(-1).amax(-1, keepdim=True)
    return (logs - _finite(scale)[..., None]).exp()


def _on_largest_scale(
    logs: Tensor, largest: Tensor, past: Tensor | None
) -> tuple[Tensor, Tensor, Tensor]:
    """exp(logs) over its largest value so far, the logarithm of the change, and the last scale.

    largest: of each key, (batch, heads, keys). past: the scale before the first, (batch, heads).
    """
    scale = largest.cummax(-1).values
    before = F.pad(scale[..., :-1], (1, 0), value=-torch.inf)
    if past is not None:
        scale = torch.maximum(scale, past[..., None])
        before = torch.maximum(before, past[..., None])
    # nothing was summed yet where `before` is minus infinity
    log_decay = torch.where(before.isinf(), 0.0, before - _finite(scale))
    return (logs - _finite(scale)[..., None]).exp(), log_decay, scale[..., -1]


def _finite(scale: Tensor) -> Tensor:
    """The scale, or 0 where there is no real key to give one."""
    return scale.masked_fill(scale == -torch.inf, 0.0)
