"""Shifted windows against Hugging Face's Swin with equal weights, and against the definition."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from frugal.attention.recording import recording
from frugal.attention.swin import (
    PatchMerging,
    ShiftedWindowAttention,
    SwinBlock,
    SwinEncoder,
    join_windows,
    relative_index,
    shifted_window_mask,
    split_windows,
)


def randomise(module, seed=0):
    """Weights that leave no term of the computation at zero."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.copy_(torch.randn(parameter.shape, generator=generator) * 0.3)
    return module


def by_definition(layer, x):
    """Every pair of tokens of the picture, with the paper's windows, one query at a time.

    Windows are cut by lines at multiples of the window from -shift on: no roll, no padding.
    """
    height, width, d_model = x.shape
    window, n_heads = layer.window, layer.attention.n_heads
    head_dim = d_model // n_heads
    shifts = [layer.shift if size > window else 0 for size in (height, width)]

    def cell(row, column):
        # where rows are shifted, the first window holds only shift rows of the picture
        lift = [window - shift if shift else 0 for shift in shifts]
        return (row + lift[0]) // window, (column + lift[1]) // window

    q, k, v = (
        part(x) for part in (layer.attention.to_q, layer.attention.to_k, layer.attention.to_v)
    )
    out = torch.zeros(height, width, d_model)
    places = [(row, column) for row in range(height) for column in range(width)]
    for a in places:
        for head in range(n_heads):
            part = slice(head * head_dim, (head + 1) * head_dim)
            total = 0.0
            for b in places:
                if cell(*a) != cell(*b):
                    continue
                offset = (a[0] - b[0] + window - 1) * (2 * window - 1) + a[1] - b[1] + window - 1
                score = q[a][part] @ k[b][part] / math.sqrt(head_dim)
                weight = math.exp(score + layer.bias_table[offset, head])
                out[a][part] += weight * v[b][part]
                total += weight
            out[a][part] /= total
    return layer.attention.to_out(out)


@settings(deadline=None, max_examples=20)
@given(
    height=st.integers(1, 6),
    width=st.integers(1, 6),
    window=st.integers(1, 4),
    shift=st.integers(0, 3),
    seed=st.integers(0, 1000),
)
def test_equals_the_definition_on_any_picture(height, width, window, shift, seed):
    layer = randomise(ShiftedWindowAttention(4, 2, window, min(shift, window - 1)), seed)
    x = torch.randn(2, height, width, 4, generator=torch.Generator().manual_seed(seed))
    with torch.no_grad():
        out = layer(x)
        for picture, result in zip(x, out, strict=True):
            torch.testing.assert_close(result, by_definition(layer, picture), atol=1e-5, rtol=1e-5)


def hugging_face(d_model, n_heads, window, shift, size):
    pytest.importorskip("transformers")
    from transformers import SwinConfig
    from transformers.models.swin.modeling_swin import SwinLayer

    config = SwinConfig(window_size=window, mlp_ratio=4.0, attn_implementation="eager")
    return randomise(SwinLayer(config, d_model, (size, size), n_heads, shift_size=shift)).eval()


def copy_block(ours, theirs):
    """The weights of a Hugging Face SwinLayer, in our block."""
    pairs = [
        (ours.attention_norm, theirs.layernorm_before),
        (ours.feed_forward_norm, theirs.layernorm_after),
        (ours.attention.attention.to_q, theirs.attention.q_proj),
        (ours.attention.attention.to_k, theirs.attention.k_proj),
        (ours.attention.attention.to_v, theirs.attention.v_proj),
        (ours.attention.attention.to_out, theirs.attention.o_proj),
        (ours.feed_forward.inner, theirs.mlp.fc1),
        (ours.feed_forward.outer, theirs.mlp.fc2),
    ]
    for mine, other in pairs:
        mine.load_state_dict(other.state_dict())
    with torch.no_grad():
        table = theirs.attention.relative_position_bias.relative_position_bias_table
        ours.attention.bias_table.copy_(table)


@pytest.mark.parametrize("shift", [0, 2])
def test_block_equals_hugging_face(generator, shift):
    theirs = hugging_face(12, 3, 4, shift, 8)
    ours = SwinBlock(12, 3, 4, shift)
    copy_block(ours, theirs)
    x = torch.randn(2, 8, 8, 12, generator=generator, requires_grad=True)
    expected = theirs(x.flatten(1, 2), (8, 8))[0].unflatten(1, (8, 8))
    out = ours(x)
    torch.testing.assert_close(out, expected, atol=1e-5, rtol=0)
    grads = [torch.autograd.grad(y.square().sum(), x)[0] for y in (out, expected)]
    torch.testing.assert_close(*grads, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("size", [(6, 8), (5, 7)])
def test_patch_merging_equals_hugging_face(generator, size):
    pytest.importorskip("transformers")
    from transformers.models.swin.modeling_swin import SwinPatchMerging

    theirs, ours = randomise(SwinPatchMerging(6)), PatchMerging(6)
    ours.load_state_dict(theirs.state_dict())
    x = torch.randn(2, *size, 6, generator=generator)
    out = ours(x)
    assert out.shape == (2, math.ceil(size[0] / 2), math.ceil(size[1] / 2), 12)
    expected = theirs(x.flatten(1, 2), size)
    torch.testing.assert_close(out.flatten(1, 2), expected, atol=1e-5, rtol=0)


def reached(network, size=8):
    """Which tokens of the picture the first token's output depends on."""
    x = torch.randn(1, size, size, 4, generator=torch.Generator().manual_seed(0))
    x.requires_grad_()
    randomise(network)(x)[0, 0, 0].sum().backward()
    return x.grad.abs().sum(-1)[0] > 0


def test_without_a_shift_windows_never_meet():
    blocks = [ShiftedWindowAttention(4, 1, 4, 0) for _ in range(3)]
    seen = reached(torch.nn.Sequential(*blocks))
    assert seen[:4, :4].all()
    assert seen.sum() == 16


def test_with_a_shift_two_layers_reach_the_next_window():
    # The shifted layer gives token (0, 0) the 2 x 2 corner only; the layer before it spread the
    # window over that corner. In the other order a token in the middle reads four windows.
    seen = reached(torch.nn.Sequential(*(ShiftedWindowAttention(4, 1, 4, s) for s in (2, 0))))
    assert seen[:6, :6].all()
    assert seen.sum() == 36


def test_the_roll_brings_no_opposite_edges_together():
    seen = reached(ShiftedWindowAttention(4, 1, 4, 2))
    assert seen[:2, :2].all()
    assert seen.sum() == 4


def test_padding_is_seen_by_nobody():
    mask = shifted_window_mask(6, 8, window=4, shift=(2, 2))
    assert mask.shape == (4, 16, 16)
    unseen = join_windows((~mask.any(1)).float()[..., None], 4, 8, 8)[0, :, :, 0].bool()
    # rows 6 and 7 are padding; the roll by 2 put them in places 4 and 5
    assert unseen.nonzero()[:, 0].unique().tolist() == [4, 5]
    assert unseen.sum() == 2 * 8
    assert shifted_window_mask(8, 8, window=4, shift=(0, 0)) is None


def test_windows_split_and_join(generator):
    x = torch.randn(2, 6, 9, 5, generator=generator)
    windows = split_windows(x, 3)
    assert windows.shape == (12, 9, 5)
    assert windows[1].equal(x[0, :3, 3:6].flatten(0, 1))
    assert join_windows(windows, 3, 6, 9).equal(x)


def test_relative_index_counts_every_offset():
    index = relative_index(3)
    assert index.unique().tolist() == list(range(25))
    assert (index.diagonal() == 12).all()
    assert index[0, 1] != index[1, 0]


def test_encoder_shapes_and_shifts(generator):
    encoder = SwinEncoder(4, 1, 4, depths=(2, 1))
    x = torch.randn(2, 8, 6, 4, generator=generator)
    with recording(encoder) as recorder:
        assert encoder(x).shape == (2, 4, 3, 8)
    assert [tuple(w.shape) for w in recorder.weights.values()] == [
        (8, 1, 16, 16),
        (8, 1, 16, 16),
        (2, 2, 16, 16),
    ]
    shifts = [part.attention.shift for part in encoder.parts if isinstance(part, SwinBlock)]
    assert shifts == [0, 2, 0]
    assert SwinEncoder(4, 1, 4, depths=(2,), shift=0).parts[1].attention.shift == 0


BAD = {
    "window is 0": lambda: ShiftedWindowAttention(4, 2, 0),
    "shift is 4": lambda: ShiftedWindowAttention(4, 2, 4, 4),
    "shift is -1": lambda: ShiftedWindowAttention(4, 2, 4, -1),
    "n_heads is 3": lambda: ShiftedWindowAttention(4, 3, 4),
    "x has shape (2, 16, 4)": lambda: ShiftedWindowAttention(4, 2, 4)(torch.randn(2, 16, 4)),
    "x has shape (2, 4, 4, 3)": lambda: ShiftedWindowAttention(4, 2, 4)(torch.randn(2, 4, 4, 3)),
    "x has shape (2, 0, 4, 4)": lambda: ShiftedWindowAttention(4, 2, 4)(torch.randn(2, 0, 4, 4)),
    "x is 4 x 5": lambda: split_windows(torch.randn(1, 4, 5, 2), 2),
    "depths is ()": lambda: SwinEncoder(4, 1, 4, depths=()),
    "depths[1] is 0; it must be": lambda: SwinEncoder(4, 1, 4, depths=(2, 0)),
}


@pytest.mark.parametrize("sentence", BAD)
@pytest.mark.usefixtures("unchecked")
def test_bad_input_gets_one_sentence(sentence):
    with pytest.raises(ValueError, match=r"^[^\n]*\.$") as caught:
        BAD[sentence]()
    assert sentence in str(caught.value)
