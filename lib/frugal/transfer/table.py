"""The rows of the table, by name: what each changes of the vanilla model.

A new one is a file in `rows` and a line here. Source: narang2021modifications, table 1; what was
really run: the configurations published with it. Chapter: the-modification-zoo.
"""

from __future__ import annotations

from frugal.transfer.modification import Row, vanilla
from frugal.transfer.rows import (
    activations,
    convolutions,
    embeddings,
    evolved,
    experts,
    funnel,
    memory,
    norms,
    shapes,
    sharing,
    softmaxes,
    synthesizers,
    transparent,
    universal,
    weighted,
)

ROWS: dict[str, Row] = {
    "Vanilla Transformer": Row(vanilla),
    "GeLU": Row(activations.plain("gelu")),
    "Swish": Row(activations.plain("swish")),
    "ELU": Row(activations.plain("elu")),
    "GLU": Row(activations.gated("sigmoid")),
    "GeGLU": Row(activations.gated("gelu")),
    "ReGLU": Row(activations.gated("relu")),
    "SeLU": Row(activations.plain("selu")),
    "SwiGLU": Row(activations.gated("swish")),
    "LiGLU": Row(activations.gated("linear")),
    "Sigmoid": Row(activations.plain("sigmoid")),
    "Softplus": Row(activations.plain("softplus")),
    "RMS Norm": Row(norms.rms),
    "Rezero": Row(norms.rezero("none")),
    "Rezero + LayerNorm": Row(norms.rezero("layer")),
    "Rezero + RMS Norm": Row(norms.rezero("rms")),
    "Fixup": Row(norms.fixup, intended=norms.fixup_everywhere, confounded=norms.FIXUP),
    "24 layers, d_ff=1536, H=6": Row(shapes.deeper(2)),
    "18 layers, d_ff=2048, H=8": Row(shapes.deeper(3, 2)),
    "8 layers, d_ff=4608, H=18": Row(shapes.deeper(2, 3)),
    "6 layers, d_ff=6144, H=24": Row(shapes.deeper(1, 2)),
    "Block sharing": Row(sharing.blocks),
    "Block sharing + Factorized embeddings": Row(sharing.blocks_factorized),
    "Block sharing + Factorized & shared embeddings": Row(
        sharing.blocks_factorized_tied, parameters_note=sharing.ROUNDED
    ),
    "Encoder only block sharing": Row(sharing.encoder_blocks),
    "Decoder only block sharing": Row(sharing.decoder_blocks),
    "Factorized Embedding": Row(embeddings.factorized),
    "Factorized & shared embeddings": Row(embeddings.factorized_tied),
    "Tied encoder/decoder input embeddings": Row(embeddings.tied("inputs")),
    "Tied decoder input and output embeddings": Row(embeddings.tied("decoder")),
    "Untied embeddings": Row(embeddings.tied("none")),
    "Adaptive input embeddings": Row(embeddings.adaptive),
    "Adaptive softmax": Row(
        softmaxes.adaptive(narrow=True),
        intended=softmaxes.adaptive(narrow=True, share=None),
        confounded=softmaxes.OVERFLOW,
    ),
    "Adaptive softmax without projection": Row(
        softmaxes.adaptive(narrow=False),
        intended=softmaxes.adaptive(narrow=False, share=None),
        confounded=softmaxes.OVERFLOW,
    ),
    "Mixture of softmaxes": Row(softmaxes.mixture),
    "Transparent attention": Row(transparent.transparent),
    "Dynamic convolution": Row(
        convolutions.dynamic,
        intended=convolutions.dynamic_tied,
        confounded=convolutions.DYNAMIC,
    ),
    "Lightweight convolution": Row(
        convolutions.lightweight,
        intended=convolutions.lightweight_tied,
        confounded=convolutions.LIGHTWEIGHT,
    ),
    "Evolved Transformer": Row(evolved.evolved, ops_note=evolved.PADDED),
    "Synthesizer (dense)": synthesizers.row("dense"),
    "Synthesizer (dense plus)": synthesizers.row("dense", plus=True),
    "Synthesizer (dense plus alpha)": synthesizers.row("dense", plus=True, alpha=True),
    "Synthesizer (factorized)": synthesizers.row("factorized"),
    "Synthesizer (random)": synthesizers.row("random"),
    "Synthesizer (random plus)": synthesizers.row("random", plus=True),
    "Synthesizer (random plus alpha)": synthesizers.row("random", plus=True, alpha=True),
    "Universal Transformer": Row(
        universal.gated, intended=universal.halting, confounded=universal.GATED
    ),
    "Mixture of experts": Row(
        experts.mixture, intended=experts.mixture_repaired, confounded=experts.LATER
    ),
    "Switch Transformer": Row(
        experts.switch, intended=experts.switch_repaired, confounded=experts.SPELT
    ),
    "Funnel Transformer": Row(
        funnel.funnel,
        intended=funnel.funnel_repaired,
        confounded=funnel.RMS,
        ops_note=funnel.QUARTER,
    ),
    "Weighted Transformer": Row(
        weighted.weighted, intended=weighted.weighted_relative, confounded=weighted.POSITIONS
    ),
    "Product key memory": Row(memory.memory),
}
