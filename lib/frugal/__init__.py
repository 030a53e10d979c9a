"""Efficient Transformers, each method small and tested: the library of the book.

Three questions name its folders. Which interactions are needed? `attention`, `mixing`. How many
representations? `tokens`. All layers and parameters, all the time? `depth`, `feedforward`.

The names that a model of your own needs first are here, too: `from frugal import Decoder`. Each is
imported on first use, so `import frugal` alone takes no time and no torch. Public is what a module
or a package defines, or lists in `__all__`, under a name without a leading underscore; a public
name that moves keeps its old address for one release.
"""

from __future__ import annotations

from frugal.lazily import on_first_use
from frugal.moved import forward

_HOME = {
    "AdaptiveSpan": "attention.span",
    "Decoder": "model",
    "DynamicConv": "mixing.convolution",
    "Encoder": "model",
    "EncoderDecoder": "model",
    "EntmaxAttention": "attention.entmax",
    "FavorFeatures": "attention.kernels",
    "FourierMixing": "mixing.fourier",
    "KernelAttention": "attention.kernels",
    "LightweightConv": "mixing.convolution",
    "LinformerAttention": "attention.linformer",
    "LshAttention": "attention.lsh",
    "MultiHeadAttention": "attention.softmax",
    "PatternAttention": "attention.patterns",
    "RandomFeatureAttention": "attention.kernels",
    "RelativeAttention": "attention.relative",
    "ShiftedWindowAttention": "attention.swin",
    "SinkhornAttention": "attention.sinkhorn",
    "SwitchFeedForward": "feedforward.experts",
    "Synthesizer": "mixing.synthesizer",
    "TransformerConfig": "model",
    "__version__": "version",
    "attention_weights": "attention.softmax",
    "compare": "measure",
    "generate": "decoding",
    "linear_attention": "attention.kernels",
    "lsh_attention": "attention.lsh",
    "sliding_window_attention": "attention.patterns",
    "softmax_attention": "attention.softmax",
    "train": "training",
    "translate": "decoding",
}
"""Where each name lives. `__init__.pyi` says the same to type checkers."""

__all__ = sorted(_HOME)

forward()

__getattr__, __dir__ = on_first_use(__name__, _HOME)
