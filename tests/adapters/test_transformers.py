"""The library's attentions in models of transformers, made from configurations: nothing is loaded.

Equal to its own eager attention where they must be, trained and asked to write where they can.
"""

import copy
import sys

import pytest
import torch
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode
from transformers import (
    BartConfig,
    BartForConditionalGeneration,
    BertConfig,
    BertForMaskedLM,
    LlamaConfig,
    LlamaForCausalLM,
    MistralConfig,
    MistralForCausalLM,
)

from frugal.adapters.transformers import register, use
from frugal.attention.entmax import EntmaxAttention
from frugal.attention.kernels import FavorFeatures, KernelAttention
from frugal.attention.linformer import LinformerAttention
from frugal.attention.lsh import LshAttention
from frugal.attention.patterns import PatternAttention
from frugal.attention.sinkhorn import SinkhornAttention
from frugal.attention.softmax import MultiHeadAttention, softmax_attention
from frugal.attention.span import AdaptiveSpan

VOCABULARY, HEADS, KV_HEADS, HEAD_DIM, LENGTH = 50, 4, 2, 8, 20
SIZES = {
    "vocab_size": VOCABULARY,
    "hidden_size": HEADS * HEAD_DIM,
    "intermediate_size": 48,
    "num_hidden_layers": 2,
    "num_attention_heads": HEADS,
    "max_position_embeddings": 64,
    "pad_token_id": 0,
    "bos_token_id": None,
    "eos_token_id": None,
}
MODELS = {
    "bert": (BertForMaskedLM, BertConfig, {"attention_probs_dropout_prob": 0.0}),
    "llama": (LlamaForCausalLM, LlamaConfig, {"num_key_value_heads": KV_HEADS}),
    "mistral": (
        MistralForCausalLM,
        MistralConfig,
        {"num_key_value_heads": KV_HEADS, "sliding_window": None},
    ),
}
METHODS = {
    "softmax": lambda index, shape: softmax_attention,
    "wide": lambda index, shape: PatternAttention("window", window=500),
    "window": lambda index, shape: PatternAttention("window", window=4),
    "strided": lambda index, shape: PatternAttention("strided", stride=4),
    "span": lambda index, shape: AdaptiveSpan(shape.n_heads, 64, 8),
    "entmax": lambda index, shape: EntmaxAttention(shape.n_heads, learned=True),
    "favor": lambda index, shape: KernelAttention(FavorFeatures(shape.head_dim, 16)),
    "linear": lambda index, shape: KernelAttention(),
    "lsh": lambda index, shape: LshAttention(8, 2, seed=1),
    "sinkhorn": lambda index, shape: SinkhornAttention(
        shape.n_heads, shape.head_dim, block_size=8, max_blocks=8
    ),
    "linformer": lambda index, shape: LinformerAttention(shape.n_heads, 64, 8),
}
FREE = ("window", "span", "entmax", "favor", "linear", "wide")
"""Those that answer with a cache, and so write."""

every_model = pytest.mark.parametrize("model", MODELS)


@pytest.fixture(autouse=True, scope="module")
def registered():
    for name, factory in METHODS.items():
        register(f"frugal-{name}", factory)


def config(model: str, **options):
    _, kind, own = MODELS[model]
    return kind(**SIZES, **(own | options))


def built(model: str, attention: str, **options) -> nn.Module:
    torch.manual_seed(0)
    made = config(model, **options)
    return MODELS[model][0]._from_config(made, attn_implementation=attention).eval()


def twins(model: str, method: str, **options) -> tuple[nn.Module, nn.Module]:
    """A model with an attention of ours, and one with the same weights and its own."""
    ours, theirs = built(model, f"frugal-{method}", **options), built(model, "eager", **options)
    ours.load_state_dict(theirs.state_dict())
    return ours, theirs


def ids() -> torch.Tensor:
    return torch.randint(1, VOCABULARY, (2, LENGTH), generator=torch.Generator().manual_seed(1))


def masks() -> dict[str, torch.Tensor | None]:
    left = torch.ones(2, LENGTH, dtype=torch.int64)
    left[1, :5] = 0
    return {"none": None, "left": left, "right": left.flip(1)}


# --- equal where it must be --------------------------------------------------------------------


@pytest.mark.parametrize("method", ["softmax", "wide"])
@every_model
def test_equal_to_eager_with_padding_on_either_side(model, method):
    ours, theirs = twins(model, method)
    for mask in masks().values():
        real = torch.ones(2, LENGTH, dtype=torch.bool) if mask is None else mask.bool()
        found, expected = (m(ids(), attention_mask=mask).logits[real] for m in (ours, theirs))
        torch.testing.assert_close(found, expected)


@pytest.mark.parametrize("cache", ["dynamic", "static"])
@pytest.mark.parametrize(("model", "window"), [("llama", None), ("mistral", None), ("mistral", 6)])
def test_writes_what_eager_writes(model, window, cache):
    ours, theirs = twins(model, "softmax", **({"sliding_window": 6} if window else {}))
    given = {"attention_mask": masks()["left"], "max_new_tokens": 9, "do_sample": False}
    given |= {"cache_implementation": "static"} if cache == "static" else {}
    written = [
        m.generate(ids(), output_logits=True, return_dict_in_generate=True, **given)
        for m in (ours, theirs)
    ]
    assert torch.equal(written[0].sequences, written[1].sequences)
    torch.testing.assert_close(torch.stack(written[0].logits), torch.stack(written[1].logits))


def test_a_translator_with_cross_attention_writes_what_eager_writes():
    sizes = {
        f"{side}_{what}": n
        for side in ("encoder", "decoder")
        for what, n in (("layers", 1), ("attention_heads", 2), ("ffn_dim", 32))
    }
    made = BartConfig(
        vocab_size=VOCABULARY, d_model=16, max_position_embeddings=64, forced_eos_token_id=None,
        pad_token_id=0, bos_token_id=1, eos_token_id=None, decoder_start_token_id=2, **sizes
    )  # fmt: skip
    torch.manual_seed(0)
    theirs = BartForConditionalGeneration._from_config(made, attn_implementation="eager").eval()
    ours = BartForConditionalGeneration._from_config(
        copy.deepcopy(made), attn_implementation="frugal-softmax"
    ).eval()
    ours.load_state_dict(theirs.state_dict())
    given = {"attention_mask": masks()["right"], "max_new_tokens": 6, "do_sample": False}
    assert torch.equal(ours.generate(ids(), **given), theirs.generate(ids(), **given))
    entmax = BartForConditionalGeneration._from_config(
        copy.deepcopy(made), attn_implementation="frugal-entmax"
    )
    assert sum(n.endswith("frugal.attend.logit") for n, _ in entmax.named_parameters()) == 3
    entmax(ids(), labels=ids()).loss.backward()


def test_the_sliding_window_of_a_mistral_counts_the_token_itself():
    """Its window of 5 is ours of 4, and other attentions keep to it or say that they cannot."""
    wanted = built("mistral", "eager", sliding_window=5)
    for method in ("softmax", "window"):
        ours = built("mistral", f"frugal-{method}", sliding_window=5)
        ours.load_state_dict(wanted.state_dict())
        torch.testing.assert_close(ours(ids()).logits, wanted(ids()).logits)
    alone = built("mistral", "frugal-window")
    alone.load_state_dict(wanted.state_dict())
    torch.testing.assert_close(alone(ids()).logits, wanted(ids()).logits)
    span = built("mistral", "frugal-span", sliding_window=5)
    masked = span(ids()).logits
    span.config.sliding_window = None
    assert not torch.allclose(masked, span(ids()).logits)
    with pytest.raises(ValueError, match="window is 4 and the model's sliding_window is 4"):
        built("mistral", "frugal-window", sliding_window=4)(ids())
    with pytest.raises(ValueError, match="KernelAttention takes no mask and would see beyond"):
        built("mistral", "frugal-linear", sliding_window=5)(ids())
    built("mistral", "frugal-linear", sliding_window=LENGTH)(ids())  # hides nothing


def test_a_llama_is_a_layer_of_ours_with_shared_heads():
    """Projections and grouped heads, without rotary positions at place 0."""
    theirs = built("llama", "eager").model.layers[0].self_attn
    ours = MultiHeadAttention(HEADS * HEAD_DIM, HEADS, bias=False, n_kv_heads=KV_HEADS)
    for mine, name in (
        ("to_q", "q_proj"),
        ("to_k", "k_proj"),
        ("to_v", "v_proj"),
        ("to_out", "o_proj"),
    ):
        getattr(ours, mine).weight = getattr(theirs, name).weight
    x = torch.randn(2, LENGTH, HEADS * HEAD_DIM)
    still = (torch.ones(1, LENGTH, HEAD_DIM), torch.zeros(1, LENGTH, HEAD_DIM))
    order = torch.full((LENGTH, LENGTH), -torch.inf).triu(1)[None, None]
    expected = theirs(x, position_embeddings=still, attention_mask=order)[0]
    torch.testing.assert_close(ours(x, causal=True), expected)


def test_a_scaling_of_its_own_is_honoured():
    ours, theirs = twins("llama", "softmax")
    for model in (ours, theirs):
        for layer in model.model.layers:
            layer.self_attn.scaling = 0.9
    torch.testing.assert_close(ours(ids()).logits, theirs(ids()).logits)


class Shapes(TorchDispatchMode):
    """The shapes that operations fill new memory with."""

    def __init__(self) -> None:
        super().__init__()
        self.found: set[tuple[int, ...]] = set()

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        out = func(*args, **(kwargs or {}))
        if isinstance(out, torch.Tensor) and not func.is_view:
            self.found.add(tuple(out.shape))
        return out


@pytest.mark.parametrize("method", ["softmax", "window", "linear", "entmax", "span"])
def test_shared_keys_are_not_repeated(method):
    """One new token: what has the shape of repeated keys can be nothing else."""
    repeats = {(2, HEADS, LENGTH + 1, HEAD_DIM), (2, KV_HEADS, 2, LENGTH + 1, HEAD_DIM)}
    for attention, expected in ((f"frugal-{method}", False), ("eager", True)):
        model = built("llama", attention)
        with torch.no_grad():
            cache = model(ids(), use_cache=True).past_key_values
            with Shapes() as shapes:
                model(ids()[:, :1], past_key_values=cache)
        assert bool(repeats & shapes.found) == expected


# --- trained and asked to write ----------------------------------------------------------------


@pytest.mark.parametrize("method", [*FREE, "lsh", "sinkhorn"])
@every_model
def test_trains_a_step_and_writes(model, method):
    ours = built(model, f"frugal-{method}").train()
    own = {n: p for n, p in ours.named_parameters() if ".frugal." in n}
    assert bool(own) == (method in ("span", "entmax", "sinkhorn"))
    optimizer = torch.optim.Adam(ours.parameters(), 1e-3)
    before = {n: p.detach().clone() for n, p in own.items()}
    losses = []
    for _ in range(4):
        optimizer.zero_grad()
        torch.manual_seed(0)
        loss = ours(ids(), attention_mask=masks()["left"], labels=ids()).loss
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < losses[0]
    assert all(p.grad is not None and p.grad.isfinite().all() for p in own.values())
    if method == "entmax":
        assert all(not torch.equal(p, before[n]) for n, p in own.items())
    if model == "bert":
        return
    given = {"max_new_tokens": 3, "do_sample": False, "attention_mask": masks()["left"]}
    ours.eval()
    if method in FREE:
        assert ours.generate(ids(), **given).shape == (2, LENGTH + 3)
        return
    with pytest.raises(ValueError, match="no cache, no other sequence"):
        ours.generate(ids(), **given)
    assert ours.generate(ids(), use_cache=False, **given).shape == (2, LENGTH + 3)


@pytest.mark.parametrize("method", FREE)
def test_writing_with_a_cache_is_writing_without(method):
    ours = built("llama", f"frugal-{method}")
    given = {"max_new_tokens": 6, "do_sample": False, "attention_mask": masks()["left"]}
    expected = ours.generate(ids(), use_cache=False, **given)
    assert torch.equal(ours.generate(ids(), **given), expected)
    assert torch.equal(ours.generate(ids(), cache_implementation="static", **given), expected)


@pytest.mark.parametrize("method", ["window", "span", "linear", "lsh"])
@every_model
def test_what_padding_holds_changes_nothing(model, method):
    ours, mask = built(model, f"frugal-{method}"), masks()["right" if model == "bert" else "left"]
    first = ours(ids(), attention_mask=mask).logits[mask.bool()]
    second = ours(ids().masked_fill(mask == 0, 3), attention_mask=mask).logits[mask.bool()]
    torch.testing.assert_close(first, second)


def test_an_encoder_with_linformer():
    ours = built("bert", "frugal-linformer").train()
    ours(ids(), attention_mask=masks()["right"], labels=ids()).loss.backward()
    with pytest.raises(ValueError, match="causal is True; it must be False: Linformer mixes"):
        built("llama", "frugal-linformer")(ids())


# --- one attention for each layer --------------------------------------------------------------


def test_the_factory_is_told_of_every_layer():
    told = []
    register("frugal-telling", lambda *given: told.append(given) or softmax_attention)
    built("mistral", "frugal-telling")
    built("bert", "frugal-telling")
    assert [index for index, _ in told] == [0, 1, 0, 1]
    mistral, bert = told[0][1], told[2][1]
    assert (mistral.n_heads, mistral.n_kv_heads, mistral.head_dim) == (HEADS, KV_HEADS, HEAD_DIM)
    assert (mistral.causal, bert.causal) == (True, False)
    assert (bert.n_kv_heads, bert.d_model) == (HEADS, HEADS * HEAD_DIM)
    assert bert.config.model_type == "bert"


def test_what_is_learned_is_saved_and_loaded(tmp_path):
    ours = built("llama", "frugal-span")
    with torch.no_grad():
        for name, parameter in ours.named_parameters():
            if ".frugal." in name:
                parameter.fill_(0.25)
    ours.save_pretrained(tmp_path)
    loaded = LlamaForCausalLM.from_pretrained(tmp_path, attn_implementation="frugal-span")
    assert loaded.model.layers[1].self_attn.frugal.attend.share.tolist() == [0.25] * HEADS
    assert torch.equal(loaded(ids()).logits, ours(ids()).logits)


def test_what_a_checkpoint_does_not_have_starts_as_it_was_made(tmp_path):
    built("llama", "eager").save_pretrained(tmp_path)
    loaded = LlamaForCausalLM.from_pretrained(tmp_path, attn_implementation="frugal-span")
    assert loaded.model.layers[1].self_attn.frugal.attend.share.tolist() == [0.5] * HEADS
    loaded = LlamaForCausalLM.from_pretrained(tmp_path, attn_implementation="frugal-favor")
    drawn = loaded.model.layers[0].self_attn.frugal.attend.features.projection
    assert 0.5 < drawn.std() < 2
    register("frugal-linear-inside", lambda index, shape: Inside(shape.head_dim))
    loaded = LlamaForCausalLM.from_pretrained(tmp_path, attn_implementation="frugal-linear-inside")
    made = built("llama", "frugal-linear-inside")
    for model in (loaded, made):
        assert (model.model.layers[0].self_attn.frugal.attend.turn.weight == 7).all()


class Inside(nn.Module):
    """An attention with a layer that transformers would start in a way of its own."""

    def __init__(self, head_dim: int) -> None:
        super().__init__()
        self.turn = nn.Linear(head_dim, head_dim, bias=False)
        nn.init.constant_(self.turn.weight, 7.0)

    def forward(self, q, k, v, *, causal=False):
        return softmax_attention(self.turn(q), k, v, causal=causal)


def test_a_model_that_exists_changes_over():
    model = built("llama", "sdpa").double()
    copied = copy.deepcopy(model)
    copied.set_attn_implementation("frugal-span")
    with pytest.raises(ValueError, match="learns parameters, and the model was built without"):
        copied(ids())
    use(model, "frugal-span")
    share = model.model.layers[1].self_attn.frugal.attend.share
    assert share.dtype == torch.float64
    assert any(share is parameter for parameter in model.parameters())
    model(ids())
    use(model, "frugal-window")
    assert not [n for n, _ in model.named_parameters() if ".frugal." in n]
    late = built("llama", "sdpa")
    late.set_attn_implementation("frugal-window")  # which learns nothing
    torch.testing.assert_close(late(ids()).logits, model.float()(ids()).logits)


# --- one sentence ------------------------------------------------------------------------------


def test_what_cannot_be_honoured_gets_one_sentence():
    ours = built("llama", "frugal-softmax")
    with pytest.raises(ValueError, match="output_attentions is given; it must be left out"):
        ours(ids(), output_attentions=True)
    window = built("llama", "frugal-window", attention_dropout=0.1)
    window(ids())
    with pytest.raises(ValueError, match=r"attention dropout is 0.1; it must be 0 in the model's"):
        window.train()(ids())
    places = torch.arange(LENGTH).remainder(10)[None].expand(2, -1)
    with pytest.raises(ValueError, match="the model asks for a mask of its own, as for packed"):
        ours(ids(), position_ids=places, use_cache=False)
    square = torch.ones(2, 1, LENGTH, LENGTH, dtype=torch.bool).tril()
    torch.testing.assert_close(ours(ids(), attention_mask=square).logits, ours(ids()).logits)
    with pytest.raises(ValueError, match="mask is given; it must be None: the pattern"):
        window.eval()(ids(), attention_mask=square)
    with pytest.raises(ValueError, match=r"attention_mask has dtype torch.float32"):
        ours(ids(), attention_mask=square.float())


@pytest.mark.usefixtures("unchecked")
def test_names_and_factories_that_do_not_fit_get_one_sentence():
    for name in ("", "my-flash", "sdpa", "someone/kernel", None):
        with pytest.raises(ValueError, match="name is"):
            register(name, METHODS["softmax"])
    with pytest.raises(ValueError, match=r"make_attend.*must be called as make_attend\(index"):
        register("frugal-bad", lambda config: softmax_attention)
    register("frugal-class", lambda index, shape: AdaptiveSpan)
    with pytest.raises(ValueError, match="attend is the class AdaptiveSpan"):
        built("llama", "frugal-class")
    with pytest.raises(ValueError, match="name is 'frugal-none'; it must be registered"):
        use(built("llama", "eager"), "frugal-none")
    with pytest.raises(ValueError, match="model is Linear"):
        use(nn.Linear(2, 2), "frugal-window")


def test_without_transformers_one_sentence_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "transformers", None)
    for call in (
        lambda: register("frugal-late", METHODS["softmax"]),
        lambda: use(nn.Linear(2, 2), "a"),
    ):
        with pytest.raises(ImportError, match=r"^transformers is not .*\[transformers\]'\.$"):
            call()
