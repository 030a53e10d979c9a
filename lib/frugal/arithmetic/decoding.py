"""What writing N tokens costs, by arithmetic: all the work, and the steps that must wait.

Two counts tell decoders apart (kasai2021deep, table 1). *Work* is every operation, whoever does
it: it sets the throughput of a busy processor. *Parallel time* counts only what cannot be done at
the same time, on a processor with room for all positions at once: it sets the latency of one
request. An encoder layer treats N positions together; an autoregressive decoder layer is called N
times, one after the other; a non-autoregressive one T times.

Conventions are those of `frugal.arithmetic.transformer`: one multiply-add is two FLOPs, matrix
products only.
Chapter: decoding-in-parallel.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class TranslationShape:
    """A source and a target of `length` tokens each, and the model that turns one into the other.

    iterations: parallel passes of a non-autoregressive decoder; None for an autoregressive one,
    which writes one token a step with a cache of keys and values.
    """

    length: int
    n_encoder_layers: int
    n_decoder_layers: int
    iterations: int | None = None
    d_model: int = 64
    d_ff: int = 256

    def __post_init__(self) -> None:
        for name in ("length", "n_encoder_layers", "n_decoder_layers", "d_model", "d_ff"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} is {getattr(self, name)}; it must be at least 1.")
        if self.iterations is not None and self.iterations < 1:
            raise ValueError(f"iterations is {self.iterations}; it must be at least 1, or None.")

    @property
    def steps(self) -> int:
        """Decoder calls that wait for one another: N, or T."""
        return self.length if self.iterations is None else self.iterations


def layer_calls(shape: TranslationShape) -> int:
    """Layers run one after the other: L_E + L_D·N autoregressive, else L_E + L_D·T."""
    return shape.n_encoder_layers + shape.n_decoder_layers * shape.steps


def work(shape: TranslationShape) -> int:
    """Units of the paper's table 1, N² each: L_E·N² + L_D·N², or L_E·N² + L_D·T·N².

    Only attention counts there, as one unit for each pair of positions compared; a cached
    autoregressive layer compares about as many pairs in all its N steps as an encoder layer in one.
    """
    passes = 1 if shape.iterations is None else shape.iterations
    layers = shape.n_encoder_layers + shape.n_decoder_layers * passes
    return layers * shape.length**2


def parallel_time(shape: TranslationShape) -> int:
    """Units of the paper's table 1: L_E·N + L_D·N², or L_E·N + L_D·T·N.

    With all positions side by side a layer takes N units, one for each position that a query
    compares itself with.
    """
    return layer_calls(shape) * shape.length


def translation_flops(shape: TranslationShape, *, source_length: int | None = None) -> int:
    """FLOPs of the matrix products in all layers, as the library runs them.

    With a source of N_s tokens (N when source_length is None), an encoder layer takes
    8N_s·d² + 4N_s²·d + 4N_s·d·d_ff. A decoder layer has cross-attention beside that: 4Nd² for
    queries and output, 4N·N_s·d for the comparisons, and 4N_s·d² once for the memory. An
    autoregressive layer with a cache does the same sums except that its token t looks back at t
    tokens, 2N(N+1)d in all. A non-autoregressive layer pays everything T times.
    """
    m = shape.length if source_length is None else source_length
    if m < 1:
        raise ValueError(f"source_length is {m}; it must be at least 1.")
    n, d = shape.length, shape.d_model
    each = 8 * d * d + 4 * d * shape.d_ff  # projections and feed-forward of a token
    tokens = n * each
    cross = 4 * n * d * d + 4 * n * m * d + 4 * m * d * d
    encoder = shape.n_encoder_layers * (m * each + 4 * m * m * d)
    if shape.iterations is None:
        return encoder + shape.n_decoder_layers * (tokens + cross + 2 * n * (n + 1) * d)
    passes = shape.n_decoder_layers * shape.iterations
    return encoder + passes * (tokens + cross + 4 * n * n * d)
