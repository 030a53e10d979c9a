"""Importance against gates, pruned models against masked ones, and what cannot be pruned."""

import copy

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from frugal.attention.alibi import AlibiAttention
from frugal.attention.dynamic_span import DynamicSpan
from frugal.attention.entmax import EntmaxAttention
from frugal.attention.heads import (
    head_importance,
    layers_of,
    least_important,
    masked_heads,
    prune_by_importance,
    prune_heads,
)
from frugal.attention.kernels import KernelAttention, RandomFeatureAttention
from frugal.attention.linformer import LinformerSelfAttention
from frugal.attention.patterns import PatternAttention
from frugal.attention.relative import RelativeAttention
from frugal.attention.softmax import MultiHeadAttention
from frugal.attention.span import AdaptiveSpan
from frugal.attention.swin import ShiftedWindowAttention
from frugal.decoding import generate
from frugal.model import Decoder, EncoderDecoder, TransformerConfig

WIDTH, HEADS, WORDS = 32, 4, 13
CONFIG = {"d_model": WIDTH, "n_heads": HEADS, "n_layers": 2, "max_length": 16}


def decoder(**options):
    torch.manual_seed(0)
    return Decoder(TransformerConfig(WORDS, **CONFIG | {"dropout": 0.1} | options))


def ids(batch=6, length=7, seed=0):
    return torch.randint(WORDS, (batch, length), generator=torch.Generator().manual_seed(seed))


def losses(model, batch):
    """The loss of each example."""
    return F.cross_entropy(model(batch).mT, batch, reduction="none").mean(1)


def names(model):
    return list(layers_of(model))


def by_gates(model, batch):
    """The definition: a gate on every head, the gradient of each example's loss alone."""
    model = copy.deepcopy(model).eval()
    found = {}
    for name, layer in layers_of(model).items():
        gates = torch.ones(layer.n_heads, requires_grad=True)
        hook = layer.to_out.register_forward_pre_hook(
            lambda _, inputs, gates=gates: (
                (inputs[0].unflatten(-1, (len(gates), -1)) * gates[:, None]).flatten(-2),
            )
        )
        each = [torch.autograd.grad(losses(model, one[None])[0], gates)[0].abs() for one in batch]
        found[name] = torch.stack(each).mean(0)
        hook.remove()
    return found


def test_importance_is_the_mean_of_each_examples_gate_gradient():
    model, batch = decoder(), ids()
    expected = by_gates(model, batch)
    for batches in ([batch], [batch[:2], batch[2:]]):
        found = head_importance(model, losses, batches)
        assert found.keys() == expected.keys()
        for name in found:
            torch.testing.assert_close(found[name], expected[name], rtol=1e-4, atol=1e-7)


def test_the_absolute_value_is_of_each_example():
    """Two examples that pull a head both ways leave no mean, and make it important all the same."""
    layer = MultiHeadAttention(4, 1)
    x = torch.randn(1, 3, 4, generator=torch.Generator().manual_seed(0)).expand(2, 3, 4)
    sign = torch.tensor([1.0, -1.0])
    found = head_importance(layer, lambda m, x: sign * m(x).sum((1, 2)), [x])[""]
    assert found.item() > 0.1


def test_normalised_each_layer_has_length_1():
    found = head_importance(decoder(), losses, [ids()], normalize=True)
    for values in found.values():
        assert values.norm().item() == pytest.approx(1)


def test_asking_leaves_no_trace():
    model = decoder().train()
    before = {name: p.clone() for name, p in model.named_parameters()}
    for parameter in model.parameters():
        parameter.requires_grad_(False)  # frozen: the heads' outputs have a gradient all the same
    found = head_importance(model, losses, [ids()])
    assert all(values.min() > 0 for values in found.values())
    assert model.training
    assert all(p.grad is None and torch.equal(p, before[n]) for n, p in model.named_parameters())
    assert not any(m._forward_pre_hooks for m in model.modules())


@pytest.mark.parametrize("positions", ["learned", "rope", "alibi", "none"])
def test_pruned_is_masked(positions):
    model = decoder(positions=positions).eval()
    first, second = names(model)
    gone = {first: [1, 3], second: [0, 1, 2, 3]}
    with masked_heads(model, gone):
        expected = model(ids())
    size = sum(p.numel() for p in model.parameters())
    prune_heads(model, gone)
    torch.testing.assert_close(model(ids()), expected, rtol=0, atol=1e-5)
    per_head = 4 * WIDTH * (WIDTH // HEADS) + 3 * (WIDTH // HEADS)
    assert sum(p.numel() for p in model.parameters()) == size - 6 * per_head
    assert layers_of(model)[first].kept_heads == (0, 2)
    assert layers_of(model)[second].kept_heads == ()


def test_pruning_twice_counts_from_the_first_numbers():
    once, twice = decoder().eval(), decoder().eval()
    first, second = names(once)
    prune_heads(once, {first: [0, 2], second: [3]})
    prune_heads(twice, {first: [0]})
    prune_heads(twice, {first: [2], second: [3]})
    assert torch.equal(once(ids()), twice(ids()))
    with pytest.raises(ValueError, match=r"heads has 0 .* it must be of \(1, 3\)"):
        prune_heads(twice, {first: [0]})


def test_pruning_equals_hugging_faces():
    """Theirs was taken out in version 5: this runs where a version 4 is installed."""
    bert = pytest.importorskip("transformers.models.bert.modeling_bert")
    if not hasattr(bert.BertAttention, "prune_heads"):
        pytest.skip("this version of transformers prunes no heads")
    from transformers import BertConfig

    torch.manual_seed(0)
    config = BertConfig(hidden_size=WIDTH, num_attention_heads=HEADS, attn_implementation="eager")
    theirs = bert.BertAttention(config).eval()
    ours = nn.ModuleDict({"mix": MultiHeadAttention(WIDTH, HEADS)})
    parts = (theirs.self.query, theirs.self.key, theirs.self.value, theirs.output.dense)
    for name, part in zip(("to_q", "to_k", "to_v", "to_out"), parts, strict=True):
        getattr(ours["mix"], name).load_state_dict(part.state_dict())
    x = torch.randn(2, 5, WIDTH)
    for heads in ([1], [0, 3]):
        theirs.prune_heads(heads)
        prune_heads(ours, {"mix": heads})
        expected = theirs(x)[0]
        found = theirs.output.LayerNorm(ours["mix"](x) + x)
        torch.testing.assert_close(found, expected, atol=1e-5, rtol=0)


@pytest.mark.parametrize("gone", [[1], [0, 1, 2, 3]])
def test_a_pruned_decoder_writes_with_its_cache_as_without(gone):
    model = decoder(positions="rope").eval()
    prune_heads(model, {names(model)[0]: gone})
    with_cache = generate(model, ids(2, 3), max_new_tokens=5)
    assert torch.equal(with_cache, generate(model, ids(2, 3), max_new_tokens=5, cache=False))


def test_cross_attention_is_pruned_as_any_other():
    torch.manual_seed(0)
    model = EncoderDecoder(TransformerConfig(WORDS, **CONFIG)).eval()
    cross = next(name for name in layers_of(model) if "cross" in name)
    with masked_heads(model, {cross: [0, 3]}):
        expected = model(ids(), ids())
    prune_heads(model, {cross: [0, 3]})
    torch.testing.assert_close(model(ids(), ids()), expected, rtol=0, atol=1e-5)


OWN = {
    "alibi": lambda: AlibiAttention(HEADS),
    "span": lambda: AdaptiveSpan(HEADS, 8, 4),
    "dynamic span": lambda: DynamicSpan(HEADS, WIDTH // HEADS, 8, 4),
    "entmax": lambda: EntmaxAttention(HEADS, learned=True),
    "alibi over entmax": lambda: AlibiAttention(HEADS, EntmaxAttention(HEADS, learned=True)),
    "relative": lambda: RelativeAttention(HEADS, WIDTH),
    "window": lambda: PatternAttention("window", window=2),
    "elu": KernelAttention,
}


def random_weights(layer):
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for parameter in layer.parameters():
            parameter.copy_(torch.randn(parameter.shape, generator=generator) / 4)
    return layer.eval()


@pytest.mark.parametrize("name", OWN)
def test_what_an_attention_has_for_each_head_goes_along(name):
    layer = random_weights(MultiHeadAttention(WIDTH, HEADS, OWN[name]()))
    x = torch.randn(2, 7, WIDTH, generator=torch.Generator().manual_seed(2))
    with masked_heads(layer, {"": [0, 2]}):
        expected = layer(x)
    prune_heads(layer, [0])
    prune_heads(layer, [2])
    torch.testing.assert_close(layer(x), expected, rtol=0, atol=1e-5)
    layer(x).sum().backward()


def test_windows_on_pictures_keep_the_biases_of_their_heads():
    picture = random_weights(ShiftedWindowAttention(WIDTH, HEADS, 2, 1))
    with masked_heads(picture, {"attention": [1]}):
        expected = picture(torch.ones(1, 4, 4, WIDTH))
    prune_heads(picture, {"attention": [1]})
    torch.testing.assert_close(picture(torch.ones(1, 4, 4, WIDTH)), expected, rtol=0, atol=1e-5)


@pytest.mark.parametrize(
    ("prune", "says"),
    [
        (lambda m: prune_heads(m, {"nowhere": [0]}), "heads names the layer 'nowhere'"),
        (lambda m: prune_heads(m, {names(m)[0]: [4]}), "heads has 4 of the layer"),
        (lambda m: prune_heads(m, {names(m)[0]: [1, 1]}), "each must be named once"),
        (lambda m: prune_heads(m, {names(m)[0]: [1], names(m)[1]: [9]}), "heads has 9"),
        (lambda m: prune_heads(nn.Linear(2, 2), [0]), "model is Linear"),
        (lambda m: least_important(m, head_importance(m, losses, [ids()]), 9), "n is 9"),
        (lambda m: head_importance(m, losses, []), "batches is empty"),
        (lambda m: head_importance(m, lambda m, b: m(b).mean(), [ids()]), r"loss gave shape \(\)"),
        (lambda m: prune_by_importance(m, losses, [ids()], 2, steps=0), "steps is 0"),
    ],
)
@pytest.mark.usefixtures("unchecked")
def test_bad_input_is_one_sentence_and_nothing_is_pruned(prune, says):
    model = decoder()
    with pytest.raises(ValueError, match=says):
        prune(model)
    assert all(layer.kept_heads == (0, 1, 2, 3) for layer in layers_of(model).values())


@pytest.mark.parametrize(
    "attend",
    [
        lambda: RandomFeatureAttention(HEADS, WIDTH // HEADS, 4),
        lambda: LinformerSelfAttention(WIDTH, HEADS, 8, 2).attend,
    ],
)
def test_what_cannot_let_go_of_a_head_refuses(attend):
    layer = MultiHeadAttention(WIDTH, HEADS, attend())
    with pytest.raises(ValueError, match="it must have keep_heads"):
        prune_heads(layer, [0])


def test_iterative_pruning_estimates_again():
    """Two heads that do the same are each worth little until one of them is gone."""
    model, batches = decoder(), [ids()]
    step_by_step = copy.deepcopy(model)
    expected = []
    for _ in range(3):
        chosen = least_important(step_by_step, head_importance(step_by_step, losses, batches), 1)
        prune_heads(step_by_step, chosen)
        expected += [(name, heads[0]) for name, heads in chosen.items()]
    gone = prune_by_importance(model, losses, iter(batches), 3, steps=3)
    assert sorted(expected) == sorted((name, h) for name, heads in gone.items() for h in heads)
    assert torch.equal(model.eval()(ids()), step_by_step.eval()(ids()))


def test_one_step_trusts_the_first_estimate():
    model = decoder()
    expected = least_important(model, head_importance(model, losses, [ids()]), 3)
    assert prune_by_importance(model, losses, [ids()], 3) == expected
    assert prune_by_importance(model, losses, [ids()], 0) == {}


def test_a_pruned_model_is_copied_and_trained():
    model = decoder()
    prune_heads(model, {names(model)[0]: [0, 1, 2, 3], names(model)[1]: [2]})
    again = copy.deepcopy(model)
    again.load_state_dict(model.state_dict())
    losses(again, ids()).mean().backward()
    assert all(p.grad is not None for p in again.parameters() if p.numel())


@pytest.mark.cuda
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_on_a_gpu_the_same_heads_go():
    model = decoder()
    on_card = copy.deepcopy(model).cuda()
    gone = prune_by_importance(on_card, losses, [ids().cuda()], 4, steps=2)
    assert gone == prune_by_importance(model, losses, [ids()], 4, steps=2)
    out = on_card.eval()(ids().cuda()).cpu()
    torch.testing.assert_close(out, model.eval()(ids()), rtol=0, atol=1e-4)


@pytest.mark.parametrize(
    ("heads", "says"),
    [
        ({"stack.layers.0.mix.sublayer": [0], "nope": [1]}, "heads names the layer 'nope'"),
        ({"stack.layers.0.mix.sublayer": [0, 9]}, "heads has 9 of the layer"),
    ],
)
def test_masking_what_is_not_there_leaves_no_hook(heads, says):
    model = Decoder(TransformerConfig(11, 16, 4, 2))
    with pytest.raises(ValueError, match=says), masked_heads(model, heads):
        pass
    assert not any(module._forward_pre_hooks for module in model.modules())


def test_importance_can_be_asked_for_in_any_mode():
    model, ids = Decoder(TransformerConfig(11, 16, 4, 2)), torch.arange(6)[None]
    asked = (model, lambda model, ids: model(ids).square().mean((1, 2)), [ids])
    right = head_importance(*asked)
    for mode in (torch.no_grad, torch.inference_mode):
        with mode():
            found = head_importance(*asked)
        assert all(torch.equal(found[name], right[name]) for name in right)
