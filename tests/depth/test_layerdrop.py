"""Layers left out by chance, and models without some of their layers."""

import copy
from functools import partial
from itertools import combinations

import pytest
import torch
import torch.nn.functional as F
from torch import nn
from torch.utils.checkpoint import checkpoint

from frugal.decoding import generate, translate
from frugal.depth.layerdrop import (
    LayerDrop,
    every_other,
    learn_layers,
    only_layers,
    prune_layers,
    search_layers,
    stacks_of,
)
from frugal.depth.reversible import ReversibleStack
from frugal.model import Decoder, Encoder, EncoderDecoder, Stack, TransformerConfig

WORDS = 13


def config(**options):
    sizes = {"d_model": 16, "n_heads": 2, "n_layers": 6, "max_length": 32}
    return TransformerConfig(WORDS, **sizes | options)


def dropping(p=0.5, **options):
    return partial(LayerDrop, p=p, **options)


def ids(batch=3, length=7, seed=0):
    return torch.randint(WORDS, (batch, length), generator=torch.Generator().manual_seed(seed))


def rows(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def losses(model, batch):
    return F.cross_entropy(model(batch).mT, batch, reduction="none").mean(1)


class Marking(nn.Module):
    """Adds a power of two, so that the sum tells who was there."""

    d_model, cross = 1, None

    def __init__(self, index):
        super().__init__()
        self.index = index
        self.weight = nn.Parameter(torch.ones(()))

    def forward(self, x, memory=None, **options):
        return x + self.weight * 2.0**self.index


def there(stack, passes):
    """(passes, layers) bool: which layers each pass had."""
    codes = torch.stack([stack(torch.zeros(1, 1, 1))[0, 0, 0] for _ in range(passes)]).int()
    return (codes[:, None] >> torch.arange(len(stack.layers))) % 2 == 1


def marking(p, n_layers=5, **options):
    return LayerDrop([Marking(index) for index in range(n_layers)], p, **options)


def test_each_layer_is_left_out_with_its_chance_and_alone(generator):
    chances = (0.0, 0.1, 0.3, 0.5, 0.8)
    seen = there(marking(chances, generator=generator), 4000).double()
    torch.testing.assert_close(1 - seen.mean(0), torch.tensor(chances).double(), rtol=0, atol=0.03)
    together = torch.corrcoef(seen[:, 1:].T) - torch.eye(4)
    assert together.abs().max() < 0.06  # no layer's draw tells of another's
    after = torch.corrcoef(torch.stack([seen[1:, 3], seen[:-1, 3]]))[0, 1]
    assert abs(after) < 0.06  # nor does a pass of the next


def test_a_pass_is_that_of_the_layers_that_it_has():
    """Nothing is scaled, and the whole batch has the same layers."""
    torch.manual_seed(0)
    model = Encoder(config(make_stack=dropping(), dropout=0.0)).train()
    plain = Stack(list(model.stack.layers))
    x = rows(3, 7, 16)
    left_out = 0
    for seed in range(20):
        torch.manual_seed(seed)
        out = model.stack(x)
        torch.manual_seed(seed)
        kept = [
            layer for layer, draw in zip(plain.layers, torch.rand(6), strict=True) if draw >= 0.5
        ]
        left_out += 6 - len(kept)
        torch.testing.assert_close(out, Stack(kept)(x), rtol=0, atol=0)
    assert 30 < left_out < 90


def test_in_evaluation_it_is_the_plain_stack():
    torch.manual_seed(0)
    model = Decoder(config(make_stack=dropping(0.9))).eval()
    plain = Decoder(config()).eval()
    plain.load_state_dict(model.state_dict())  # the same names
    torch.testing.assert_close(model(ids()), plain(ids()), rtol=0, atol=0)


def test_without_a_chance_nothing_is_drawn():
    model = Encoder(config(make_stack=dropping(0))).train()
    before = torch.get_rng_state()
    model(ids())
    assert torch.equal(before, torch.get_rng_state())


def test_a_layer_that_is_left_out_has_no_gradient_and_stays(generator):
    stack = marking(0.5, generator=generator)
    optimizer = torch.optim.AdamW(stack.parameters(), lr=0.1, weight_decay=0.1)
    moved = 0
    for _ in range(10):
        before = [layer.weight.item() for layer in stack.layers]
        optimizer.zero_grad()
        out = stack(torch.zeros(1, 1, 1, requires_grad=True))
        out.sum().backward()
        optimizer.step()
        for layer, weight in zip(stack.layers, before, strict=True):
            assert (layer.weight.grad is None) == (layer.weight.item() == weight)
            moved += layer.weight.grad is not None
    assert 10 < moved < 40


def test_a_generator_makes_the_draws_its_own():
    torch.manual_seed(0)
    before = torch.get_rng_state()
    first = there(marking(0.5, generator=torch.Generator().manual_seed(3)), 20)
    second = there(marking(0.5, generator=torch.Generator().manual_seed(3)), 20)
    assert torch.equal(first, second)
    assert torch.equal(before, torch.get_rng_state())
    assert not torch.equal(first, there(marking(0.5), 20))


@pytest.mark.parametrize("use_reentrant", [False, True])
def test_a_checkpoint_leaves_out_the_same_layers(use_reentrant):
    torch.manual_seed(0)
    stack = Encoder(config(make_stack=dropping(), dropout=0.2)).train().stack
    x = rows(2, 5, 16).requires_grad_()
    for seed in range(6):
        found = []
        for run in (stack, partial(checkpoint, stack, use_reentrant=use_reentrant)):
            torch.manual_seed(seed)
            out = run(x)
            x.grad = None
            out.square().sum().backward()
            found.append([out, x.grad])
        for mine, other in zip(*found, strict=True):
            torch.testing.assert_close(mine, other)


@pytest.mark.parametrize("use_reentrant", [False, True])
def test_a_checkpoint_around_its_own_generator_is_an_error(use_reentrant):
    made = torch.Generator().manual_seed(0)
    stack = Encoder(config(make_stack=dropping(generator=made))).train().stack
    x = rows(2, 5, 16).requires_grad_()
    out = checkpoint(stack, x, use_reentrant=use_reentrant)
    with pytest.raises(
        ValueError, match=r"other layers; inside of a checkpoint it must be None\.$"
    ):
        out.square().sum().backward()


@pytest.mark.usefixtures("unchecked")
def test_compiled_it_leaves_out_the_same_layers():
    torch._dynamo.reset()
    torch.manual_seed(0)
    stack = Encoder(config(make_stack=dropping(), n_layers=3)).train().stack
    fast = torch.compile(stack, backend="aot_eager")
    x = rows(2, 5, 16)
    for seed in range(8):
        torch.manual_seed(seed)
        expected = stack(x)
        torch.manual_seed(seed)
        torch.testing.assert_close(fast(x), expected)
    stack.eval()
    torch.testing.assert_close(fast(x), stack(x))


def test_a_drop_in_training_cannot_be_cached():
    model = Decoder(config(make_stack=dropping())).train()
    with pytest.raises(ValueError, match=r"caches is given; [^\n]* call eval\(\) first\.$"):
        model(ids(), caches=model.new_caches(9))
    generate(model, ids(), max_new_tokens=2)  # which asks in evaluation mode


@pytest.mark.parametrize(
    ("n_layers", "keep", "expected"),
    [
        (6, 3, (0, 2, 4)),
        (6, 2, (0, 3)),
        (6, 1, (0,)),
        (6, 6, (0, 1, 2, 3, 4, 5)),
        (12, 9, (0, 1, 2, 4, 5, 6, 8, 9, 10)),
        (5, 2, (0, 2)),
    ],
)
def test_every_other(n_layers, keep, expected):
    assert every_other(n_layers, keep) == expected


@pytest.mark.parametrize("every", [2, 3, 4, 6])
def test_every_other_is_the_papers_where_it_is_exact(every):
    """It drops the layers at a depth, counted from 1, that is 0 modulo 1 / rate."""
    kept = [index for index in range(12) if (index + 1) % every]
    assert list(every_other(12, len(kept))) == kept


MODELS = {
    "encoder": partial(Encoder, config()),
    "encoder, layerdrop": partial(Encoder, config(make_stack=dropping())),
    "decoder": partial(Decoder, config()),
    "decoder, layerdrop": partial(Decoder, config(make_stack=dropping())),
}


@pytest.mark.parametrize("name", MODELS)
def test_a_pruned_model_is_one_with_these_layers(name):
    torch.manual_seed(0)
    model = MODELS[name]().eval()
    whole, size = copy.deepcopy(model), sum(p.numel() for p in model.parameters())
    per_layer = sum(p.numel() for p in model.stack.layers[0].parameters())
    kept = [4, 0, 3]  # the order is the stack's
    with only_layers(model, kept):
        inside = model(ids())
    torch.testing.assert_close(model(ids()), whole(ids()), rtol=0, atol=0)
    prune_layers(model, kept)
    torch.testing.assert_close(model(ids()), inside, rtol=0, atol=0)
    assert sum(p.numel() for p in model.parameters()) == size - 3 * per_layer
    shallow = type(model)(config(n_layers=3)).eval()
    shallow.load_state_dict(model.state_dict())
    torch.testing.assert_close(shallow(ids()), inside, rtol=0, atol=0)
    expected = Stack([whole.stack.layers[place] for place in (0, 3, 4)])
    x = rows(2, 5, 16)
    torch.testing.assert_close(model.stack(x), expected(x), rtol=0, atol=0)


def test_chances_go_with_their_layers():
    chances = [0.0, 0.1, 0.2, 0.3, 0.4, 0.5]
    model = Encoder(config(make_stack=dropping(chances)))
    with only_layers(model, [1, 5]):
        assert model.stack.p == (0.1, 0.5)
    assert model.stack.p == tuple(chances)
    prune_layers(model, [1, 5])
    assert model.stack.p == (0.1, 0.5)


def test_a_pruned_decoder_writes_with_caches():
    torch.manual_seed(0)
    model = Decoder(config(make_stack=dropping())).eval()
    prune_layers(model, every_other(6, 3))
    caches = model.new_caches(9)
    assert len(caches) == 3
    with torch.no_grad():
        whole = model(ids())
        parts = [model(ids()[:, i:j], caches=caches) for i, j in ((0, 4), (4, 5), (5, 7))]
    torch.testing.assert_close(torch.cat(parts, 1), whole, atol=1e-5, rtol=1e-5)
    assert generate(model, ids(), max_new_tokens=2).shape == (3, 9)


def test_encoder_and_decoder_are_named():
    torch.manual_seed(0)
    model = EncoderDecoder(config(make_stack=dropping())).eval()
    assert list(stacks_of(model)) == ["encoder.stack", "decoder.stack"]
    expected = model.encoder(ids())
    prune_layers(model, {"decoder.stack": [0, 5]})
    assert [len(one.layers) for one in stacks_of(model).values()] == [6, 2]
    torch.testing.assert_close(model.encoder(ids()), expected)
    assert translate(model, ids(), bos=1, eos=2, max_new_tokens=3).shape[0] == 3
    model.train()(ids(), ids()).sum().backward()


def test_what_happens_inside_does_not_keep_the_layers_away():
    model = Decoder(config())
    caches = model.new_caches(9)
    with pytest.raises(ValueError, match="for each of 1 layers"), only_layers(model, [2]):
        model(ids(), caches=caches)
    assert model.n_layers == len(model.stack.layers) == 6


@pytest.mark.parametrize("keep", [1, 2, 4])
def test_the_search_finds_the_lowest_loss_of_all(keep):
    torch.manual_seed(0)
    model = Decoder(config(dropout=0.3, make_stack=dropping())).train()
    batch = ids(6)
    found = search_layers(model, losses, [batch[:2], batch[2:]], keep)
    assert model.training
    assert len(model.stack.layers) == 6
    model.eval()
    values = {}
    for choice in combinations(range(6), keep):
        with only_layers(model, choice), torch.no_grad():
            values[choice] = losses(model, batch).mean().item()
    assert found == min(values, key=values.get)


def test_learning_finds_the_layers_that_matter(generator):
    """Two layers add what the loss asks for, and the others disturb."""

    class Adding(Marking):
        def forward(self, x, memory=None, **options):
            return x + (1.0 if self.index in (1, 4) else -0.5)

    stack = Stack([Adding(index) for index in range(6)])
    before = copy.deepcopy(stack.state_dict())
    batches = [torch.zeros(2, 1, 1)] * 60
    loss = lambda model, x: (model(x) - 2).square().sum((1, 2))  # noqa: E731
    assert learn_layers(stack, loss, batches, 2, generator=generator) == (1, 4)
    assert search_layers(stack, loss, batches[:1], 2) == (1, 4)
    assert learn_layers(stack, loss, batches, 6) == (0, 1, 2, 3, 4, 5)
    assert all(torch.equal(stack.state_dict()[name], one) for name, one in before.items())
    assert not any(layer._forward_hooks for layer in stack.layers)


def test_learning_leaves_no_trace_on_a_model():
    torch.manual_seed(0)
    model = Decoder(config(dropout=0.1, make_stack=dropping())).train()
    found = learn_layers(model, losses, [ids()] * 3, 3)
    assert len(found) == 3
    assert model.training
    assert all(p.grad is None for p in model.parameters())


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: marking(1.0), "p is 1.0; it must be at least 0 and below 1"),
        (lambda: marking(-0.1), "p is -0.1; it must be"),
        (lambda: marking(float("nan")), "p is nan; it must be"),
        (lambda: marking([0.1, 0.2]), "p has 2 numbers; it must have one for each of 5"),
        (lambda: prune_layers(marking(0.1), []), "kept is empty; it must name one"),
        (lambda: prune_layers(marking(0.1), [0, 5]), "kept has 5; it must be from 0 to 4"),
        (lambda: prune_layers(marking(0.1), [-1]), "kept has -1; it must be from 0 to 4"),
        (lambda: prune_layers(marking(0.1), [1.0]), "kept has 1.0; it must be"),
        (lambda: prune_layers(marking(0.1), [1, 1]), r"kept is \[1, 1\]; each layer must be named"),
        (lambda: prune_layers(marking(0.1), {"stack": [1]}), "kept names the stack 'stack'"),
        (lambda: prune_layers(EncoderDecoder(config()), [1]), "kept must name which"),
        (lambda: prune_layers(nn.Linear(2, 2), [1]), "model is Linear; it must have a Stack"),
        (lambda: prune_layers(Encoder(config(make_stack=ReversibleStack)), [1]), "have a Stack"),
        (lambda: every_other(4, 5), "keep is 5; it must be at most the 4"),
        (lambda: every_other(4, 0), "keep is 0; it must be a whole number, 1 or more"),
        (lambda: search_layers(marking(0.1), losses, [ids()], 6), "keep is 6; it must be"),
        (lambda: search_layers(marking(0.1), losses, [], 2), "batches is empty; "),
        (lambda: learn_layers(marking(0.1), losses, [], 2), "batches is empty; "),
        (lambda: learn_layers(EncoderDecoder(config()), losses, [ids()], 2), "it must have one"),
        (
            lambda: search_layers(marking(0.1), lambda m, x: m(x).sum(), [rows(2, 1, 1)], 2),
            r"loss gave shape \(\); it must be \(batch,\)",
        ),
    ],
)
@pytest.mark.usefixtures("unchecked")
def test_bad_input_gets_one_sentence(call, message):
    with pytest.raises(ValueError, match=rf"^[^\n]*{message}[^\n]*\.$"):
        call()


def test_nothing_changes_when_something_does_not_fit():
    model = EncoderDecoder(config())
    with pytest.raises(ValueError, match="kept has 9"):
        prune_layers(model, {"encoder.stack": [0], "decoder.stack": [9]})
    assert [len(one.layers) for one in stacks_of(model).values()] == [6, 6]


@pytest.mark.cuda
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_on_a_gpu_the_same_layers_are_left_out():
    torch.manual_seed(0)
    model = Encoder(config(make_stack=dropping())).train()
    on_card = copy.deepcopy(model).cuda()
    for seed in range(8):
        torch.manual_seed(seed)
        expected = model(ids())
        torch.manual_seed(seed)
        torch.testing.assert_close(on_card(ids().cuda()).cpu(), expected, rtol=0, atol=1e-4)


@pytest.mark.parametrize("mode", [torch.no_grad, torch.inference_mode])
def test_layers_can_be_learned_in_any_mode(mode):
    torch.manual_seed(0)
    model, words = Decoder(config(n_layers=3)), ids()
    found = []
    for around in (torch.enable_grad, mode):
        draws = torch.Generator().manual_seed(0)
        with around():
            loss = lambda model, words: model(words).square().mean((1, 2))  # noqa: E731
            found.append(learn_layers(model, loss, [words] * 3, 1, generator=draws))
    assert found[0] == found[1]
