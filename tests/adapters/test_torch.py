"""The library's attentions where torch's own layer stands: the same numbers, masks and results."""

import copy

import pytest
import torch
from torch import nn
from torch._subclasses.fake_tensor import FakeTensorMode

from frugal.adapters.torch import MultiheadAttention, replace_attention
from frugal.attention.kernels import FavorFeatures, KernelAttention
from frugal.attention.linformer import LinformerAttention
from frugal.attention.lsh import LshAttention
from frugal.attention.patterns import PatternAttention
from frugal.attention.relative import RelativeAttention
from frugal.attention.sinkhorn import SinkhornAttention
from frugal.attention.softmax import MultiHeadAttention, softmax_attention
from frugal.attention.span import AdaptiveSpan
from tests.devices import Place, WithoutDriver, on, rows

WIDTH, HEADS, LENGTH = 32, 4, 12
FACTORIES = {
    "softmax": lambda index, shape: softmax_attention,
    "window": lambda index, shape: PatternAttention("window", window=3),
    "favor": lambda index, shape: KernelAttention(FavorFeatures(shape.head_dim, 16)),
    "span": lambda index, shape: AdaptiveSpan(shape.n_heads, 16, 4),
    "lsh": lambda index, shape: LshAttention(4, 2, seed=1),
    "linformer": lambda index, shape: LinformerAttention(shape.n_heads, LENGTH, 4),
    "sinkhorn": lambda index, shape: SinkhornAttention(
        shape.n_heads, shape.head_dim, block_size=4, max_blocks=8
    ),
    "relative": lambda index, shape: RelativeAttention(shape.n_heads, shape.d_model),
}


def full(index, shape):
    return softmax_attention


@pytest.fixture(autouse=True)
def seeded():
    torch.manual_seed(0)


def stack(**options) -> nn.TransformerEncoder:
    given = {"dropout": 0.0, "batch_first": True} | options
    nested = {"enable_nested_tensor": given["batch_first"] and not given.get("norm_first", False)}
    layer = nn.TransformerEncoderLayer(WIDTH, HEADS, 48, **given)
    return nn.TransformerEncoder(layer, 2, **nested)


def padded() -> torch.Tensor:
    padding = torch.zeros(3, LENGTH, dtype=torch.bool)
    padding[0, -4:] = True
    return padding


# --- weights -----------------------------------------------------------------------------------


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("batch_first", [True, False])
def test_the_copied_layer_gives_what_torch_gives(batch_first, bias):
    theirs = nn.MultiheadAttention(WIDTH, HEADS, bias=bias, batch_first=batch_first)
    if bias:  # torch starts them at 0
        nn.init.normal_(theirs.in_proj_bias)
        nn.init.normal_(theirs.out_proj.bias)
    before = torch.get_rng_state()
    ours = MultiHeadAttention.from_torch(theirs)
    assert torch.equal(torch.get_rng_state(), before)
    x, context = torch.randn(3, LENGTH, WIDTH), torch.randn(3, 7, WIDTH)

    def asked(query, key):
        rows = (query, key, key) if batch_first else [y.transpose(0, 1) for y in (query, key, key)]
        out = theirs(*rows, need_weights=False)[0]
        return out if batch_first else out.transpose(0, 1)

    torch.testing.assert_close(ours(x), asked(x, x), atol=1e-6, rtol=1e-5)
    torch.testing.assert_close(ours(x, context), asked(x, context), atol=1e-6, rtol=1e-5)
    with torch.no_grad():
        theirs.out_proj.weight.zero_()
    assert ours.to_out.weight.any(), "a copy, not the same memory"


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"kdim": 8}, "module has kdim 8 and vdim 32; both must be embed_dim, 32"),
        ({"add_bias_kv": True}, "add_bias_kv"),
        ({"add_zero_attn": True}, "add_zero_attn"),
    ],
)
def test_what_has_no_place_gets_one_sentence(options, says):
    with pytest.raises(ValueError, match=says):
        MultiHeadAttention.from_torch(nn.MultiheadAttention(WIDTH, HEADS, **options))


@pytest.mark.usefixtures("unchecked")
def test_what_is_not_torchs_layer_gets_one_sentence():
    with pytest.raises(ValueError, match="module is Linear"):
        MultiheadAttention.from_torch(nn.Linear(2, 2))


# --- in nn.TransformerEncoder ------------------------------------------------------------------


@pytest.mark.parametrize("options", [{}, {"norm_first": True}, {"batch_first": False}])
@pytest.mark.parametrize("training", [True, False])
def test_an_encoder_gives_what_it_gave(training, options):
    theirs = stack(**options).train(training)
    ours = replace_attention(copy.deepcopy(theirs), full)
    x, padding = torch.randn(3, LENGTH, WIDTH), padded()
    x = x if options.get("batch_first", True) else x.transpose(0, 1)
    causal = nn.Transformer.generate_square_subsequent_mask(LENGTH)
    band = torch.ones(LENGTH, LENGTH, dtype=torch.bool).triu(3)
    numbers = [  # torch's fused path takes each number of a mask to hide a key
        {"mask": torch.randn(LENGTH, LENGTH)},
        {"mask": torch.randn(3 * HEADS, LENGTH, LENGTH)},
    ]
    for given in (
        {},
        {"src_key_padding_mask": padding},
        {"mask": causal, "is_causal": True},
        {"mask": causal},
        {"mask": causal, "src_key_padding_mask": padding.float().masked_fill(padding, -torch.inf)},
        {"mask": band},
        *(numbers if training else []),
    ):
        with torch.set_grad_enabled(training):
            found, expected = ours(x, **given), theirs(x, **given)
        if "src_key_padding_mask" in given:  # torch puts zeros there in its fused path
            real = ~padding if options.get("batch_first", True) else ~padding.T
            found, expected = found[real], expected[real]
        torch.testing.assert_close(found, expected, atol=2e-6, rtol=1e-5)


@pytest.mark.parametrize("name", FACTORIES)
def test_any_attention_trains_and_evaluates_in_an_encoder(name):
    model = replace_attention(stack(), FACTORIES[name])
    x, padding = torch.randn(3, LENGTH, WIDTH), padded()
    model(x, src_key_padding_mask=padding).square().mean().backward()
    missing = [n for n, p in model.named_parameters() if p.grad is None]
    assert all("to_k" in n and name == "lsh" for n in missing)
    model.eval()
    with torch.no_grad():
        first = model(x, src_key_padding_mask=padding)
        other = x.masked_fill(padding[..., None], 9.0)
        second = model(other, src_key_padding_mask=padding)
    torch.testing.assert_close(first[~padding], second[~padding], atol=1e-5, rtol=1e-4)


def test_a_layer_that_is_put_in_by_hand_works_with_and_without_gradients():
    model = stack()
    expected = model.eval()(x := torch.randn(3, LENGTH, WIDTH))
    for layer in model.layers:
        layer.self_attn = MultiheadAttention.from_torch(layer.self_attn)
    torch.testing.assert_close(model(x), expected, atol=2e-6, rtol=1e-5)
    with torch.no_grad():
        torch.testing.assert_close(model(x), expected, atol=2e-6, rtol=1e-5)
    with pytest.warns(UserWarning, match="bias=False"):
        nn.TransformerEncoder(model.layers[0], 1)  # torch sees for itself


def test_each_layer_has_an_attention_of_its_own_that_is_saved():
    model = replace_attention(stack(), FACTORIES["span"])
    names = [n for n, _ in model.named_parameters() if n.endswith("attend.share")]
    assert names == [f"layers.{i}.self_attn.heads.attend.share" for i in range(2)]
    other = replace_attention(stack(), FACTORIES["span"])
    other.load_state_dict(model.state_dict())
    assert (
        replace_attention(stack().double(), FACTORIES["span"])(
            torch.randn(1, 5, WIDTH, dtype=torch.float64)
        ).dtype
        == torch.float64
    )


def test_a_decoder_keeps_its_cross_attention_unless_asked():
    layer = nn.TransformerDecoderLayer(WIDTH, HEADS, 48, dropout=0.0, batch_first=True)
    theirs = nn.TransformerDecoder(layer, 2)
    ours = replace_attention(copy.deepcopy(theirs), full)
    both = replace_attention(copy.deepcopy(theirs), full, where=lambda name, module: True)
    assert isinstance(ours.layers[0].multihead_attn, nn.MultiheadAttention)
    assert isinstance(both.layers[0].multihead_attn, MultiheadAttention)
    x, memory = torch.randn(3, LENGTH, WIDTH), torch.randn(3, 5, WIDTH)
    order = nn.Transformer.generate_square_subsequent_mask(LENGTH)
    expected = theirs(x, memory, tgt_mask=order, tgt_is_causal=True)
    for model in (ours, both):
        found = model(x, memory, tgt_mask=order, tgt_is_causal=True)
        torch.testing.assert_close(found, expected, atol=2e-6, rtol=1e-5)


def test_dropout_is_of_the_weights_while_training():
    theirs = nn.MultiheadAttention(WIDTH, HEADS, dropout=0.5, batch_first=True)
    ours, x = MultiheadAttention.from_torch(theirs), torch.randn(3, LENGTH, WIDTH)
    assert ours.heads.attention_dropout == 0.5
    assert not torch.equal(ours(x, x, x)[0], ours(x, x, x)[0])
    torch.testing.assert_close(ours.eval()(x, x, x)[0], theirs.eval()(x, x, x)[0])


def test_weights_are_given_when_asked_for():
    theirs = nn.MultiheadAttention(WIDTH, HEADS, batch_first=True)
    ours = MultiheadAttention.from_torch(theirs)
    x = torch.randn(3, LENGTH, WIDTH)
    for mean in (True, False):
        expected = theirs(x, x, x, key_padding_mask=padded(), average_attn_weights=mean)[1]
        found = ours(x, x, x, key_padding_mask=padded(), average_attn_weights=mean)[1]
        torch.testing.assert_close(found, expected)
    assert ours(x, x, x, need_weights=False)[1] is None


@pytest.mark.parametrize("name", FACTORIES)
def test_layers_for_a_gpu_make_nothing_elsewhere(name):
    """Shown without a GPU, as in `test_devices`."""
    with on("cuda:0"), FakeTensorMode(), WithoutDriver(), torch.no_grad():
        with torch.device(Place.device):
            layer = nn.TransformerEncoderLayer(WIDTH, HEADS, 48, dropout=0.0, batch_first=True)
            model = replace_attention(layer, FACTORIES[name])
        padding = torch.zeros(2, 5, dtype=torch.bool, device=Place.device)
        assert model(rows(WIDTH), src_key_padding_mask=padding).device == torch.device("cuda:0")


# --- one sentence ------------------------------------------------------------------------------


def test_what_cannot_be_done_gets_one_sentence():
    x = torch.randn(3, LENGTH, WIDTH)
    window = replace_attention(stack(), FACTORIES["window"])
    with pytest.raises(ValueError, match="mask is given; it must be None: the pattern is the mask"):
        window(x, mask=torch.ones(LENGTH, LENGTH, dtype=torch.bool).triu(4))
    attend = window.layers[0].self_attn
    with pytest.raises(ValueError, match="value is another tensor than key"):
        attend(x, x, x.clone())
    with pytest.raises(ValueError, match="they must be 0 and -inf"):
        attend(x, x, x, key_padding_mask=torch.rand(3, LENGTH))
    with pytest.raises(ValueError, match=r"module.dropout is 0.1; it must be 0 for PatternAtt"):
        replace_attention(stack(dropout=0.1), FACTORIES["window"])
    with pytest.raises(ValueError, match="query is a nested tensor"):
        attend(*[torch.nested.nested_tensor([x[0], x[1, :3]])] * 3)


def test_a_model_without_torchs_layers_gets_one_sentence():
    for model in (nn.Linear(2, 2), nn.MultiheadAttention(WIDTH, HEADS)):
        with pytest.raises(ValueError, match=r"it must be a module with nn.MultiheadAttention"):
            replace_attention(model, full)
    with pytest.raises(ValueError, match="make_attend"):
        replace_attention(stack(), lambda shape: softmax_attention)
    with pytest.raises(ValueError, match="attend is"):
        replace_attention(stack(), lambda index, shape: AdaptiveSpan)
