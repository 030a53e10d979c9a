"""What a Transformer costs, by arithmetic: FLOPs, bytes, parameters, and a least time.

Every number is a count for a stack of standard layers (self-attention and a two-matrix
feed-forward block, as in `vaswani2017attention`). Embeddings and the output layer are left out,
because they do not depend on how tokens interact.

Conventions, used everywhere in the book:

- One multiply-add is two FLOPs. Only matrix products are counted, unless an operation says more.
- Bytes moved are the least possible: each operand is read once, each result written once.
- `length` is N, `d_model` is d. The interactive cost explorer computes the same formulas in
  the browser; a test compares the two.

Chapter: where-the-cost-is.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

Mode = Literal["forward", "training", "decoding"]
"""`forward`: all N tokens once. `training`: forward and backward. `decoding`: one new token
that reads a cache of N keys and values."""

SOFTMAX_FLOPS = 5
"""Per score: running maximum, subtraction, exponential, sum, division."""

SOFTMAX_BACKWARD_FLOPS = 4
"""Per score: product with the gradient, sum, subtraction, product with the weight."""

BYTES_OF_STATISTIC = 4
"""A fused kernel keeps the log-sum-exp of each row in float32."""

TRAINING_BYTES_PER_PARAMETER = 16
"""Adam, in float32: weight, gradient, two moments of 4 bytes each. In bfloat16: weight and gradient
of 2 bytes, and a float32 copy of the weight and two moments of 4 bytes each. Both are 16."""


@dataclass(frozen=True, kw_only=True)
class TransformerShape:
    """The sizes that decide what a stack of Transformer layers costs.

    Raises ValueError when a size is below 1, or when the heads do not divide the width.
    """

    length: int
    """N: tokens in a sequence; when decoding, tokens in the cache."""
    d_model: int
    n_heads: int
    n_layers: int
    d_ff: int
    batch: int = 1
    bytes_per_number: int = 4
    """4 for float32, 2 for bfloat16."""
    n_kv_heads: int | None = None
    """Heads of keys and values, which several query heads share; n_heads when None."""

    def __post_init__(self) -> None:
        for name in ("length", "d_model", "n_heads", "n_layers", "d_ff", "batch"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} is {getattr(self, name)}; it must be 1 or more.")
        if self.bytes_per_number not in (2, 4):
            raise ValueError(
                f"bytes_per_number is {self.bytes_per_number}; "
                "it must be 2 (bfloat16) or 4 (float32)."
            )
        if self.d_model % self.n_heads:
            raise ValueError(
                f"d_model is {self.d_model} and n_heads is {self.n_heads}; "
                "n_heads must divide d_model."
            )
        if self.n_kv_heads is not None and not (
            self.n_kv_heads >= 1 and self.n_heads % self.n_kv_heads == 0
        ):
            raise ValueError(
                f"n_kv_heads is {self.n_kv_heads}; it must be 1 or more and divide "
                f"n_heads, {self.n_heads}."
            )

    @property
    def kv_width(self) -> int:
        """Width of all heads of keys together, and of values: d when no heads share them."""
        own = self.n_heads if self.n_kv_heads is None else self.n_kv_heads
        return own * self.head_dim

    @property
    def head_dim(self) -> int:
        """Width of one head."""
        return self.d_model // self.n_heads


@dataclass(frozen=True, kw_only=True)
class Flops:
    """FLOPs of the whole stack, by the part that spends them."""

    projections: int
    """Queries, keys, values and the output matrix."""
    scores: int
    """QKᵀ."""
    weighted_sum: int
    """Weights times values."""
    feed_forward: int

    @property
    def attention(self) -> int:
        """The part that grows with N²: scores and weighted sum."""
        return self.scores + self.weighted_sum

    @property
    def total(self) -> int:
        return self.projections + self.attention + self.feed_forward

    @property
    def attention_share(self) -> float:
        """Scores and weighted sum as a fraction of everything."""
        return self.attention / self.total


@dataclass(frozen=True, kw_only=True)
class Parameters:
    """Numbers learned by the whole stack, biases and norms included."""

    attention: int
    feed_forward: int
    norms: int

    @property
    def total(self) -> int:
        return self.attention + self.feed_forward + self.norms


@dataclass(frozen=True, kw_only=True)
class Memory:
    """Bytes held at once by the whole stack, by what they hold."""

    parameters: int
    """Weights; in training also gradients and the two moments of Adam."""
    naive_scores: int
    """The attention weights of softmax(QKᵀ): those of one layer in a forward pass or a decoding
    step, those of every layer in training, where the backward pass needs them."""
    fused_scores: int
    """What a fused (flash-like) kernel keeps in their place: one statistic a row."""
    cache: int
    """Keys and values of every layer for N tokens, which decoding keeps."""


@dataclass(frozen=True, kw_only=True)
class Operation:
    """One step of a layer: what it computes and what it moves."""

    name: str
    flops: int
    bytes: int

    @property
    def intensity(self) -> float:
        """FLOPs for each byte moved between memory and processor."""
        return self.flops / self.bytes


@dataclass(frozen=True, kw_only=True)
class Machine:
    """A processor as the roofline model sees it: a peak of arithmetic and a peak of memory traffic
    (`williams2009roofline`)."""

    name: str
    flops_fp32: float
    """Peak FLOP/s in float32."""
    flops_bf16: float
    """Peak FLOP/s in bfloat16."""
    bandwidth: float
    """Peak bytes/s between main memory and processor."""
    source: str
    """Where these numbers come from."""
    capacity: float | None = None
    """Bytes of main memory, where they are stated."""

    def __post_init__(self) -> None:
        for name in ("flops_fp32", "flops_bf16", "bandwidth"):
            if not getattr(self, name) > 0:
                raise ValueError(f"{name} is {getattr(self, name)}; it must be above 0.")

    def peak(self, bytes_per_number: int) -> float:
        """Peak FLOP/s for numbers of that size (2: bfloat16, 4: float32)."""
        return self.flops_bf16 if bytes_per_number == 2 else self.flops_fp32

    def ridge(self, bytes_per_number: int) -> float:
        """The intensity (FLOP/byte) above which arithmetic, not memory, is the limit."""
        return self.peak(bytes_per_number) / self.bandwidth


CPU_CORE = Machine(
    name="one CPU core",
    flops_fp32=90e9,
    flops_bf16=90e9,
    bandwidth=23e9,
    source="measured: matrix product and copy in float32, one thread",
)
A100 = Machine(
    name="A100 80GB SXM",
    flops_fp32=19.5e12,
    flops_bf16=312e12,
    bandwidth=2.039e12,
    source="NVIDIA A100 Tensor Core GPU data sheet: FP32, BF16 dense, 80GB SXM",
    capacity=80e9,
)
H100 = Machine(
    name="H100 SXM",
    flops_fp32=67e12,
    flops_bf16=989e12,
    bandwidth=3.35e12,
    source="NVIDIA H100 Tensor Core GPU data sheet: FP32, BF16 dense (half the sparse figure), SXM",
    capacity=80e9,
)
MACHINES = (CPU_CORE, A100, H100)


def flops(shape: TransformerShape, mode: Mode = "forward") -> Flops:
    """FLOPs of the stack in one forward pass, training step, or decoding step.

    A layer spends, per sequence, 8Nd² on projections, 2N²d on scores, 2N²d on the weighted sum and
    4N·d·d_ff on the feed-forward block. A backward pass costs twice its forward pass. A decoding
    step has one query, so one factor N goes. Where heads share keys and values of d_kv numbers in
    all, projections cost 4Nd² + 4N·d·d_kv; the rest stays, since every query head still compares.
    """
    _check(mode)
    queries = 1 if mode == "decoding" else shape.length
    passes = 3 if mode == "training" else 1
    times = passes * shape.n_layers * shape.batch * queries
    return Flops(
        projections=times * 4 * shape.d_model * (shape.d_model + shape.kv_width),
        scores=times * 2 * shape.length * shape.d_model,
        weighted_sum=times * 2 * shape.length * shape.d_model,
        feed_forward=times * 4 * shape.d_model * shape.d_ff,
    )


def crossover_length(d_model: int, d_ff: int) -> int:
    """The N at which attention (4N²d) costs as much as all the rest (8Nd² + 4N·d·d_ff).

    It is 2d + d_ff, so 6d for the usual d_ff = 4d, in every mode.
    """
    return 2 * d_model + d_ff


def parameters(shape: TransformerShape) -> Parameters:
    """Learned numbers of the stack: equal to `nn.TransformerEncoderLayer`'s, times the layers."""
    d, d_ff, d_kv = shape.d_model, shape.d_ff, shape.kv_width
    return Parameters(
        attention=shape.n_layers * 2 * (d * d + d + d * d_kv + d_kv),
        feed_forward=shape.n_layers * (2 * d * d_ff + d_ff + d),
        norms=shape.n_layers * 2 * 2 * d,
    )


def memory(shape: TransformerShape, mode: Mode = "forward") -> Memory:
    """Bytes of weights, attention weights and cache (see `Memory`). Other activations are not
    counted: they grow with N, not N²."""
    _check(mode)
    queries = 1 if mode == "decoding" else shape.length
    layers_kept = shape.n_layers if mode == "training" else 1
    rows = layers_kept * shape.batch * shape.n_heads * queries
    training = mode == "training"
    per_parameter = TRAINING_BYTES_PER_PARAMETER if training else shape.bytes_per_number
    numbers = 2 * shape.n_layers * shape.batch * shape.length * shape.kv_width
    return Memory(
        parameters=parameters(shape).total * per_parameter,
        naive_scores=rows * shape.length * shape.bytes_per_number,
        fused_scores=rows * BYTES_OF_STATISTIC,
        cache=numbers * shape.bytes_per_number if mode == "decoding" else 0,
    )


def operations(shape: TransformerShape, mode: Mode = "forward") -> tuple[Operation, ...]:
    """The steps of **one layer**, each with its FLOPs and the least bytes it can move.

    Named `projections`, `scores`, `softmax`, `weighted sum`, `fused attention` (which
    takes the place of the three before it) and `feed-forward`. Biases, norms and activation
    functions are taken as fused into their neighbours.

    In training every matrix product is done three times (result, and the gradients of both
    operands). A fused kernel also computes the scores a second time: seven products of N²d where
    the naive form needs six.
    """
    _check(mode)
    d, d_ff, d_kv, batch = shape.d_model, shape.d_ff, shape.kv_width, shape.batch
    queries = batch * (1 if mode == "decoding" else shape.length)  # tokens that ask
    keys = batch * shape.length  # tokens that are asked
    pairs = queries * shape.length
    scores = pairs * shape.n_heads
    training = mode == "training"
    passes = 3 if training else 1

    def operation(name: str, count: int, numbers: int) -> Operation:
        return Operation(name=name, flops=count, bytes=numbers * shape.bytes_per_number)

    softmax = SOFTMAX_FLOPS + (SOFTMAX_BACKWARD_FLOPS if training else 0)
    return (
        # x in and q, k, v out; the heads' result in and the layer's out; four matrices
        operation(
            "projections",
            passes * 4 * queries * d * (d + d_kv),
            passes * (queries * (4 * d + 2 * d_kv) + 2 * d * (d + d_kv)),
        ),
        operation("scores", passes * 2 * pairs * d, passes * (queries * d + keys * d_kv + scores)),
        # forward: scores in, weights out; backward: weights and a gradient in, a gradient out
        operation("softmax", softmax * scores, (5 if training else 2) * scores),
        operation(
            "weighted sum", passes * 2 * pairs * d, passes * (queries * d + keys * d_kv + scores)
        ),
        # forward: q, k, v in, result out; backward: those and a gradient in, three gradients out
        operation(
            "fused attention",
            (14 if training else 4) * pairs * d + softmax * scores,
            (6 if training else 2) * (queries * d + keys * d_kv),
        ),
        operation(
            "feed-forward",
            passes * 4 * queries * d * d_ff,
            passes * (2 * queries * (d + d_ff) + 2 * d * d_ff),
        ),
    )


def roofline_seconds(operation: Operation, machine: Machine, bytes_per_number: int) -> float:
    """The least seconds the operation can take there: the slower of computing and moving."""
    computing = operation.flops / machine.peak(bytes_per_number)
    moving = operation.bytes / machine.bandwidth
    return max(computing, moving)


def layer_seconds(
    shape: TransformerShape, machine: Machine, mode: Mode = "forward", *, fused: bool
) -> float:
    """The least seconds of one layer, one operation after the other, with the three steps of
    attention apart or fused."""
    skipped = ("scores", "softmax", "weighted sum") if fused else ("fused attention",)
    return sum(
        roofline_seconds(operation, machine, shape.bytes_per_number)
        for operation in operations(shape, mode)
        if operation.name not in skipped
    )


def _check(mode: str) -> None:
    if mode not in get_args(Mode):
        raise ValueError(f"mode is {mode!r}; it must be one of {', '.join(get_args(Mode))}.")
