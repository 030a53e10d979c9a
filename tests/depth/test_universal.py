"""The Universal Transformer: shares that sum to 1, halted tokens that cost nothing, the price."""

import copy
from functools import partial

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from frugal.attention.entmax import EntmaxAttention
from frugal.depth.universal import UniversalTransformer
from frugal.mixing.fourier import FourierMixing
from frugal.model import Decoder, Encoder, EncoderDecoder, Stack, TransformerConfig
from frugal.penalty import penalty
from frugal.positions import sinusoidal_positions


def stack(*, n_layers=1, positions="none", norm_first=True, halts=3.0, bias=-1.0, **options):
    """In float64, with a halting unit that tells tokens apart."""
    torch.manual_seed(0)
    config = TransformerConfig(
        11,
        d_model=8,
        n_heads=2,
        n_layers=n_layers,
        positions=positions,
        norm_first=norm_first,
        make_stack=partial(UniversalTransformer, **options),
    )
    made = Encoder(config).double().stack
    if made.halting is not None:
        with torch.no_grad():
            made.halting.weight.normal_(0, halts)
            made.halting.bias.fill_(bias)
    return made


def some(generator, *shape):
    return torch.randn(*shape, generator=generator, dtype=torch.float64)


def token_by_token(made, x, causal=False):
    """The definition for one text x (length, d_model), a token at a time, and the steps of each."""
    [layer] = made.layers
    attention, length = layer.mix.sublayer, len(x)
    states, keys, values = list(x), [None] * length, [None] * length
    total, steps, output = [0.0] * length, [0] * length, [torch.zeros(8).to(x)] * length
    halted = [None] * length  # the step at which each token did
    places = sinusoidal_positions(length, 8, dtype=x.dtype)
    for step in range(made.n_steps):
        u = [
            s + places[i] + sinusoidal_positions(1, 8, offset=step + 1, dtype=x.dtype)[0]
            for i, s in enumerate(states)
        ]
        for i in range(length):
            if halted[i] is None or halted[i] == step - 1:
                keys[i] = attention.to_k(layer.mix.before(u[i])).view(2, 4)
                values[i] = attention.to_v(layer.mix.before(u[i])).view(2, 4)
        for i in range(length):
            if halted[i] is not None:
                continue
            seen = i + 1 if causal else length
            q = attention.to_q(layer.mix.before(u[i])).view(2, 4)
            found = []
            for head in range(2):
                scores = torch.stack([q[head] @ keys[j][head] for j in range(seen)]) / 2
                weights = scores.softmax(0)
                found.append(sum(weights[j] * values[j][head] for j in range(seen)))
            state = layer.mix.after(u[i], attention.to_out(torch.cat(found)))
            states[i] = layer.feed_forward(state)
            h = made.halting(states[i]).sigmoid()[0]
            stops = total[i] + h >= made.threshold or step == made.n_steps - 1
            p = 1 - total[i] if stops else h
            output[i] = output[i] + p * states[i]
            total[i], steps[i] = total[i] + p, steps[i] + 1
            halted[i] = step if stops else None
    return torch.stack(output), torch.tensor(steps)


@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.parametrize("norm_first", [False, True])
def test_is_the_definition_token_by_token(generator, causal, norm_first):
    made, x = stack(norm_first=norm_first, n_steps=5), some(generator, 3, 7, 8)
    padding = torch.arange(7) < torch.tensor([[7], [4], [1]])
    found = made.run(x, padding, causal=causal)
    assert len(found.steps[padding].unique()) > 2
    for text, real in enumerate(padding.sum(1).tolist()):
        output, steps = token_by_token(made, x[text, :real], causal)
        torch.testing.assert_close(found.output[text, :real], output)
        assert torch.equal(found.steps[text, :real], steps)
    torch.testing.assert_close(made(x, padding=padding, causal=causal), found.output)


def test_shares_are_a_distribution_over_the_steps_of_each_real_token(generator):
    made, x = stack(n_steps=5), some(generator, 2, 9, 8)
    padding = torch.arange(9) < torch.tensor([[9], [5]])
    found = made.run(x, padding)
    torch.testing.assert_close(found.shares.sum(-1), padding.double())
    assert (found.shares >= 0).all()
    assert torch.equal((found.shares > 0).sum(-1), found.steps)
    last = (found.steps - 1).clamp(min=0)[..., None]
    torch.testing.assert_close(found.shares.gather(-1, last)[..., 0], found.remainders)
    assert not found.output[~padding].any()
    early = padding & (found.steps < 5)
    before = found.shares.sum(-1) - found.remainders  # what had been reached when it halted
    assert (before[early] < made.threshold).all()


@pytest.mark.parametrize("position_signal", [False, True])
def test_the_ponder_cost_is_steps_and_remainders_with_the_gradient_of_the_remainders(
    generator, position_signal
):
    made = stack(n_steps=5, halts=0.5, position_signal=position_signal)
    x = some(generator, 2, 6, 8).requires_grad_()
    padding = torch.arange(6) < torch.tensor([[6], [3]])
    found = made.run(x, padding)
    cost = (found.steps + found.remainders)[padding].mean()
    torch.testing.assert_close(penalty(made), cost)

    def price(x, weight, bias):
        made.halting.weight.data, made.halting.bias.data = weight.detach(), bias.detach()
        return made.run(x, padding).remainders.sum() / padding.sum()

    weights = made.halting.weight, made.halting.bias
    grads = torch.autograd.grad(penalty(made), [x, *weights])
    small = 1e-6
    for which, grad in enumerate(grads):
        inputs = [one.detach().clone() for one in (x, *weights)]
        numeric = grad.clone()
        for number in range(0, grad.numel(), 7):
            ends = []
            for sign in (1, -1):
                moved = [one.clone() for one in inputs]
                moved[which].view(-1)[number] += sign * small
                with torch.no_grad():
                    ends.append(price(*moved))
            numeric.view(-1)[number] = (ends[0] - ends[1]) / (2 * small)
        torch.testing.assert_close(grad, numeric, atol=1e-6, rtol=1e-4)
    assert grads[1].abs().sum() > 0


def test_a_step_with_the_price_makes_tokens_halt_earlier(generator):
    made, x = stack(n_steps=8, halts=0.1, bias=-2.0), some(generator, 4, 6, 8)
    optimizer = torch.optim.SGD(made.halting.parameters(), lr=0.5)
    before = made.run(x).steps.double().mean()
    for _ in range(20):
        made(x)
        optimizer.zero_grad()
        penalty(made).backward()
        optimizer.step()
    assert made.run(x).steps.double().mean() < before - 1


def test_what_a_halted_token_gave_does_not_change_any_more(generator):
    made, x = stack(n_steps=6), some(generator, 1, 8, 8)
    kept = dict.fromkeys((2, 3, 6))
    for n_steps in kept:
        made.n_steps = n_steps
        kept[n_steps] = made.run(x)
    for fewer in (2, 3):
        done = kept[fewer].steps < fewer  # halted by themselves
        assert done.any()
        torch.testing.assert_close(kept[fewer].output[done], kept[6].output[done])
        assert torch.equal(kept[fewer].steps[done], kept[6].steps[done])


def test_only_tokens_that_run_are_computed(generator):
    made, x = stack(n_steps=6), some(generator, 4, 16, 8)
    rows = {"halting": [], "feed_forward": []}
    made.halting.register_forward_hook(lambda _, given, __: rows["halting"].append(len(given[0])))
    inner = made.layers[0].feed_forward.sublayer
    inner.register_forward_hook(lambda _, given, __: rows["feed_forward"].append(given[0].numel()))
    found = made.run(x)
    running = [int((found.steps > step).sum()) for step in range(6)]
    running = [count for count in running if count]
    assert found.rows == running == rows["halting"]
    assert rows["feed_forward"] == [8 * count for count in running]
    assert running[-1] < running[0]


def test_the_work_falls_with_halted_tokens(generator):
    made, x = stack(n_steps=8), some(generator, 4, 16, 8)
    told = made.halting.weight.detach().clone()
    flops, rows = [], []
    with torch.no_grad():
        for bias, scale in ((-20.0, 0), (-1.0, 1), (20.0, 0)):  # never, in between, at once
            made.halting.bias.fill_(bias)
            made.halting.weight.copy_(scale * told)
            with FlopCounterMode(display=False) as counter:
                rows.append(made.run(x).rows)
            flops.append(counter.get_total_flops())
    assert (rows[0], rows[2]) == ([64] * 8, [64])
    assert flops[2] < flops[1] < 0.9 * flops[0]
    assert flops[2] == pytest.approx(flops[0] / 8, rel=0.05)


@pytest.mark.parametrize("n_layers", [1, 2])
def test_without_halting_it_is_the_block_applied_n_times(generator, n_layers):
    made = stack(
        n_layers=n_layers, n_steps=3, halting=False, position_signal=False, step_signal=False
    )
    x, padding = some(generator, 2, 6, 8), torch.arange(6) < torch.tensor([[6], [3]])
    expected = x
    for _ in range(3):
        expected = Stack([*made.layers])(expected, padding=padding)
    torch.testing.assert_close(made(x, padding=padding), expected)
    assert penalty(made) == 0


def test_tokens_that_never_halt_give_what_the_block_gives(generator):
    made = stack(n_layers=2, n_steps=3, positions="rope", bias=-50.0, halts=0.0)
    plain = copy.deepcopy(made)
    plain.halting = None
    x, padding = some(generator, 2, 6, 8), torch.arange(6) < torch.tensor([[6], [3]])
    ours, theirs = made(x, padding=padding), plain(x, padding=padding)
    torch.testing.assert_close(ours[padding], theirs[padding])


def test_rotary_positions_survive_the_gaps_and_the_batch(generator):
    made, x = stack(positions="rope", n_steps=5, position_signal=False), some(generator, 3, 7, 8)
    padding = torch.arange(7) < torch.tensor([[7], [4], [2]])
    together = made.run(x, padding)
    for text, real in enumerate(padding.sum(1).tolist()):
        alone = made.run(x[text : text + 1, :real])
        torch.testing.assert_close(together.output[text, :real], alone.output[0])


def test_a_causal_model_does_not_see_what_comes(generator):
    torch.manual_seed(0)
    config = TransformerConfig(
        11, d_model=8, n_heads=2, n_layers=1, make_stack=partial(UniversalTransformer, start=-1.0)
    )
    model = Decoder(config).eval()
    model.stack.halting.weight.data.normal_(0, 3)
    ids = torch.randint(11, (2, 9), generator=generator)
    other = ids.clone()
    other[:, 5:] = (other[:, 5:] + 1) % 11
    assert model.stack.pondering is None
    ours, theirs = model(ids), model(other)
    assert len(model.stack.pondering.steps.unique()) > 1
    torch.testing.assert_close(ours[:, :5], theirs[:, :5])


def test_a_lower_threshold_halts_no_token_later_at_the_first_step(generator):
    made, x = stack(n_steps=6), some(generator, 2, 9, 8)
    high = made.run(x).steps
    made.threshold = 0.3
    low = made.run(x).steps
    assert (low[high == 1] == 1).all()
    assert low.sum() < high.sum()


def test_the_factory_goes_into_a_configuration_and_has_one_layers_parameters():
    plain = Encoder(TransformerConfig(11, n_layers=1, positions="none"))
    universal = Encoder(
        TransformerConfig(11, n_layers=1, positions="none", make_stack=UniversalTransformer)
    )
    sizes = [sum(p.numel() for p in model.parameters()) for model in (plain, universal)]
    assert sizes[1] - sizes[0] == 64 + 1


@pytest.mark.parametrize(
    ("options", "match"),
    [
        ({"n_steps": 0}, "n_steps is 0"),
        ({"threshold": 0}, "threshold is 0"),
        ({"threshold": 1.01}, "threshold is 1.01"),
    ],
)
def test_bad_options_are_named(options, match):
    with pytest.raises(ValueError, match=rf"^{match}; [^\n]*\.$"):
        stack(**options)


@pytest.mark.parametrize(
    ("options", "match"),
    [
        ({"make_mixer": lambda *_: FourierMixing()}, "layer 0 mixes without attention"),
        ({"make_attend": lambda *_: EntmaxAttention(2)}, "layer 0 attends by EntmaxAttention"),
        ({"positions": "alibi"}, "layer 0 attends by AlibiAttention"),
    ],
)
def test_layers_that_cannot_leave_queries_out_need_halting_off(options, match):
    config = partial(TransformerConfig, 11, d_model=8, n_heads=2, n_layers=1, **options)
    with pytest.raises(ValueError, match=rf"^{match}; [^\n]*\.$"):
        Encoder(config(make_stack=UniversalTransformer))
    steady = Encoder(config(make_stack=partial(UniversalTransformer, halting=False)))
    assert steady(torch.ones(2, 5, dtype=torch.int64)).isfinite().all()


def test_what_it_cannot_do_is_said(generator):
    config = TransformerConfig(11, d_model=8, n_heads=2, n_layers=1)
    sentence = r"^layer 0 attends to a memory; [^\n]*\.$"
    with pytest.raises(ValueError, match=sentence):
        EncoderDecoder(TransformerConfig(11, d_model=8, n_heads=2, make_stack=UniversalTransformer))
    made = UniversalTransformer([*Encoder(config).stack.layers])
    x = torch.randn(1, 4, 8, generator=generator)
    with pytest.raises(ValueError, match=r"^no token has pondered yet; [^\n]*\.$"):
        penalty(made)
    with pytest.raises(ValueError, match=r"^memory is given; [^\n]*\.$"):
        made(x, x)
    with pytest.raises(ValueError, match=r"^caches is given; [^\n]*\.$"):
        made(x, caches=[None])
    with pytest.raises(ValueError, match=r"^mask is given; [^\n]*\.$"):
        made(x, mask=torch.ones(4, 4, dtype=torch.bool))
    with torch.no_grad():
        made(x)
    with pytest.raises(ValueError, match=r"^the latest forward pass kept no gradient; "):
        penalty(made)
    with pytest.raises(ValueError, match=r"^halting is False; [^\n]*\.$"):
        stack(halting=False).run(x.double())
