"""Charts of the kernels that convolutions learn: over training, and at each place of a text."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from jaxtyping import Float
from torch import Tensor

from frugal.show.charts import Chart, chart


def kernels_over_training(
    kernels: Mapping[int, Float[Tensor, "layers heads kernel_size"]],
) -> Chart:
    """A heat map of the kernels of a causal convolution, a row a head, with two sliders.

    kernels: by updates made, the weights of all heads of all layers, each summing to 1, the last
    for the position itself. The sliders choose the layer and the checkpoint.

    Raises ValueError when there are no kernels, or they have different shapes.
    """
    import altair as alt
    import pandas as pd

    shapes = {tuple(one.shape) for one in kernels.values()}
    if len(shapes) != 1:
        raise ValueError(
            f"kernels has {len(shapes)} different shapes; it needs one or more checkpoints of one "
            "shape."
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
        bind=alt.binding_range(min=0, max=last, step=1, name="Checkpoint "),
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
            legend=alt.Legend(orient="top", format=".3~f"),
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
            f"the character they read, in layer 1 after {steps[-1]} updates. Sliders choose "
            f"the layer, of {layers}, and the checkpoint, from {steps[0]} to {steps[-1]} updates."
        ),
    )


def kernels_in_text(
    characters: Sequence[str], weights: Float[Tensor, "layers length heads kernel_size"]
) -> Chart:
    """The kernels that a causal dynamic convolution computes at one place of a text.

    characters: what stands at each place. weights: of every layer, place and head, as from
    `DynamicConv.weights`. Sliders choose the place and the layer; a row of the heat map is a head,
    and a column one of the characters that it reads, which stands below.

    Raises ValueError when characters and weights are of different lengths.
    """
    import altair as alt
    import pandas as pd

    layers, length, _heads, kernel_size = weights.shape
    if length != len(characters):
        raise ValueError(
            f"characters has {len(characters)} places and weights {length}; they need as many."
        )
    shown = ["␣" if one.isspace() else one for one in characters]
    rows = pd.DataFrame(
        [
            (place + 1, layer + 1, head + 1, [round(w, 3) for w in kernel.flip(0).tolist()])
            for layer, of_layer in enumerate(weights)
            for place, of_place in enumerate(of_layer)
            for head, kernel in enumerate(of_place)
        ],
        columns=["place", "layer", "head", "weight"],
    )
    rows["distance"] = [list(range(kernel_size))] * len(rows)
    text = pd.DataFrame({"at": range(1, length + 1), "character": shown})
    start = min(length, max(kernel_size, length // 2))
    place = alt.param(
        name="place",
        value=start,
        bind=alt.binding_range(min=1, max=length, step=1, name="Place in the text "),
    )
    layer = alt.param(
        name="layer", value=1, bind=alt.binding_range(min=1, max=layers, step=1, name="Layer ")
    )
    columns = alt.X(
        "distance:O",
        title="characters back",
        sort="descending",
        axis=alt.Axis(labelAngle=0),
        scale=alt.Scale(domain=list(range(kernel_size - 1, -1, -1))),
    )
    map_ = (
        alt.Chart(rows)
        .transform_filter("datum.place == place && datum.layer == layer")
        .transform_flatten(["distance", "weight"])
        .mark_rect()
        .encode(
            x=columns,
            y=alt.Y("head:O", title="head"),
            color=alt.Color(
                "weight:Q",
                title="weight",
                scale=alt.Scale(domain=[0, 1], type="sqrt"),
                legend=alt.Legend(orient="top", format=".3~f"),
            ),
            tooltip=["head:O", "distance:O", alt.Tooltip("weight:Q", format=".3f")],
        )
        .properties(height=24 * weights.shape[2])
    )
    read = (
        alt.Chart(text)
        .transform_calculate(distance="place - datum.at")
        .transform_filter(f"datum.distance >= 0 && datum.distance < {kernel_size}")
        .mark_text(fontSize=15, fontWeight="bold")
        .encode(
            x=columns.copy(deep=True).axis(None),
            text="character:N",
        )
        .properties(height=24)
    )
    return chart(
        alt.vconcat(map_, read, spacing=4).add_params(place, layer).resolve_scale(x="independent"),
        alt=(
            f"A heat map of the kernels that {weights.shape[2]} heads compute at place {start} of "
            f"a text of {length} characters, over the {kernel_size} latest characters, which stand "
            f"below. Sliders choose the place and the layer, of {layers}."
        ),
    )


def kernels_of(state: Mapping[str, Tensor]) -> Float[Tensor, "layers heads kernel_size"]:
    """The kernels of every `LightweightConv` of a model, in order, from its weights."""
    scores = [value for name, value in state.items() if name.endswith(".scores")]
    if not scores:
        raise ValueError("state has no scores of a LightweightConv; give a model's state_dict.")
    return torch.stack(scores).softmax(-1)
