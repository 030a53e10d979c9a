"""A chart of the kernels that convolutions learn, over training."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from jaxtyping import Float
from torch import Tensor

from frugal.show.charts import Chart, chart


def kernels_over_training(
    kernels: Mapping[int, Float[Tensor, "layers heads kernel_size"]],
) -> Chart:
    """A heat map of the kernels of a causal convolution, a row a head, and two controls.

    kernels: by updates made, the weights of all heads of all layers, each summing to 1, the last
    for the position itself. They choose the layer and the checkpoint.

    Raises ValueError when there are no kernels, or they have different shapes.
    """
    import altair as alt
    import pandas as pd

    shapes = {tuple(one.shape) for one in kernels.values()}
    if len(shapes) != 1:
        raise ValueError(
            f"kernels has {len(shapes)} different shapes; it must have one or more checkpoints of "
            "one shape."
        )
    layers, heads, kernel_size = shapes.pop()
    steps = sorted(kernels)
    # One row a head and checkpoint; the page spreads each over the distances.
    rows = pd.DataFrame(
        [
            (turn, step, layer + 1, head + 1, [round(w, 3) for w in kernel.flip(0).tolist()])
            for turn, step in enumerate(steps)
            for layer, of_layer in enumerate(kernels[step])
            for head, kernel in enumerate(of_layer)
        ],
        columns=["turn", "updates", "layer", "head", "weight"],
    )
    rows["distance"] = [list(range(kernel_size))] * len(rows)
    last = len(steps) - 1
    turn = alt.param(
        name="checkpoint",
        value=last,
        bind=alt.binding_radio(
            options=list(range(last + 1)), labels=[f"{step:,}" for step in steps], name="Updates "
        ),
    )
    layer = alt.param(
        name="layer", value=1, bind=alt.binding_range(min=1, max=layers, step=1, name="Layer ")
    )
    drawn = (
        alt.Chart(rows)
        .add_params(turn, layer)
        .transform_filter("datum.turn == checkpoint && datum.layer == layer")
        .transform_flatten(["distance", "weight"])
    )
    map_ = drawn.mark_rect().encode(
        x=alt.X(
            "distance:O",
            title="characters back",
            sort="descending",
            axis=alt.Axis(labelAngle=0),
        ),
        y=alt.Y("head:O", title="head"),
        color=alt.Color(
            "weight:Q",
            title="weight",
            scale=alt.Scale(domain=[0, 1], type="sqrt"),
            legend=alt.Legend(orient="bottom", format=".3~f"),
        ),
        tooltip=["updates:Q", "head:O", "distance:O", alt.Tooltip("weight:Q", format=".3f")],
    )
    said = (
        drawn.transform_aggregate(updates="min(updates)")
        .transform_calculate(words="'Layer ' + layer + ' after ' + datum.updates + ' updates'")
        .mark_text(align="left", baseline="bottom", dy=-6, fontWeight="bold")
        .encode(x=alt.value(0), y=alt.value(0), text="words:N")
    )
    return chart(
        (map_ + said).properties(width="container", height=24 * heads),
        alt=(
            f"A heat map of {heads} kernels with {kernel_size} weights each, over the distance to "
            f"the character they read, in layer 1 after {steps[-1]} updates. The layer, of "
            f"{layers}, can be chosen, and the moment, from {steps[0]} to {steps[-1]} updates."
        ),
    )


def kernels_of(state: Mapping[str, Tensor]) -> Float[Tensor, "layers heads kernel_size"]:
    """The kernels of every `LightweightConv` of a model, in order, from its weights."""
    scores = [value for name, value in state.items() if name.endswith(".scores")]
    if not scores:
        raise ValueError("state has no scores of a LightweightConv; it must have them.")
    return torch.stack(scores).softmax(-1)
