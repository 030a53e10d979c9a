"""Tokens that leave early, and drafts of the lower layers, against decoding with all layers."""

import pytest
import torch
import torch.nn.functional as F

from frugal.decoding import exit_logits, exit_loss, generate, generate_early, speculate
from frugal.decoding.early import lead, threshold_at
from frugal.mixing.fourier import FourierMixing
from frugal.model import Decoder, EncoderDecoder, TransformerConfig

WORDS, LAYERS = 23, 4
KINDS = ("sinusoidal", "learned", "rope", "alibi", "none")


def model(seed=0, **options):
    torch.manual_seed(seed)
    shape = {
        "d_model": 16,
        "n_heads": 2,
        "n_layers": LAYERS,
        "max_length": 64,
        "dropout": 0.1,
        "tied": False,
    }
    made = Decoder(TransformerConfig(WORDS, **shape | options))
    for parameter in made.parameters():  # loud layers, so that they disagree
        torch.nn.init.normal_(parameter, std=0.5)
    torch.nn.init.constant_(made.norm.weight, 1.5)  # and are sure of what they say
    return made


def prompt(batch=3, length=5, seed=1):
    return torch.randint(WORDS, (batch, length), generator=torch.Generator().manual_seed(seed))


def test_the_last_exit_is_the_model():
    decoder, ids = model().eval(), prompt()
    found = exit_logits(decoder, ids)
    torch.testing.assert_close(found[-1], decoder(ids))
    assert len(found) == LAYERS
    assert (found[0].argmax(-1) != found[-1].argmax(-1)).any()


def test_the_loss_weighs_upper_layers_more():
    decoder, ids, targets = model().eval(), prompt(), prompt(seed=2)
    each = [F.cross_entropy(logits.mT, targets) for logits in exit_logits(decoder, ids)]
    expected = sum(place * loss for place, loss in enumerate(each, start=1)) / 10
    torch.testing.assert_close(exit_loss(decoder, ids, targets), expected)
    exit_loss(decoder, ids, targets).backward()
    assert decoder.stack.layers[0].feed_forward.sublayer.inner.weight.grad.abs().sum() > 0


@pytest.mark.parametrize("positions", KINDS)
@pytest.mark.parametrize("length", [1, 5])
def test_no_token_leaves_above_1(positions, length):
    decoder, ids = model(positions=positions), prompt(length=length)
    found = generate_early(decoder, ids, threshold=1, max_new_tokens=9)
    assert torch.equal(found.ids, generate(decoder, ids, max_new_tokens=9))
    assert (found.layers == LAYERS).all()


def by_definition(decoder, ids, bar, n_new, missing):
    """One row, no cache: the state of each place at each layer, and what each layer may see."""
    decoder = decoder.eval()
    layers, known = list(decoder.stack.layers), len(ids)
    states, exits = [], [LAYERS] * (known - 1)
    for step in range(n_new):
        place = known - 1 + step
        x = decoder.positions(decoder.embedding(ids[None]))
        states.append(x)
        rows = [
            x
        ]  # rows[l]: the states of all places in front of layer l, those beyond an exit kept
        used = None
        for index, layer in enumerate(layers):
            here = rows[-1]
            depth = torch.tensor([*exits, LAYERS])
            hidden = depth <= index
            mask = None
            if missing == "absent":
                mask = ~hidden[None]
            out = layer(here, causal=True, padding=mask)
            out = torch.where(hidden[None, :, None], here, out)
            rows.append(out)
            logits = decoder.output(decoder.norm(out))[0, place]
            if lead(logits) > bar or index + 1 == LAYERS:
                used = index + 1
                break
        exits.append(used)
        ids = torch.cat([ids, logits.argmax(-1)[None]])
    return ids, exits[known - 1 :]


@pytest.mark.parametrize("positions", ["rope", "alibi", "sinusoidal"])
@pytest.mark.parametrize("missing", ["projected", "absent"])
def test_tokens_leave_as_the_definition_says(positions, missing):
    decoder = model(positions=positions).double()
    ids = prompt(batch=4)
    found = generate_early(decoder, ids, threshold=0.4, max_new_tokens=10, missing=missing)
    for row, text, used in zip(ids, found.ids, found.layers, strict=True):
        expected, exits = by_definition(decoder, row, 0.4, 10, missing)
        assert torch.equal(text, expected)
        assert used.tolist() == exits
    assert len(found.layers.unique()) > 1


def test_what_is_missing_matters():
    decoder, ids = model(positions="rope").double(), prompt(batch=32)
    options = {"threshold": 0.4, "max_new_tokens": 24}
    projected = generate_early(decoder, ids, **options)
    absent = generate_early(decoder, ids, missing="absent", **options)
    assert not torch.equal(projected.ids, absent.ids)


def test_a_row_is_written_as_alone_and_ended_rows_cost_nothing():
    decoder, ids = model().double(), prompt(batch=6)
    options = {"threshold": 0.4, "max_new_tokens": 12, "eos": 17, "pad": 0}
    found = generate_early(decoder, ids, **options)
    for row, text, used in zip(ids, found.ids, found.layers, strict=True):
        alone = generate_early(decoder, row[None], **options)
        n = alone.layers.shape[1]
        assert torch.equal(text[: 5 + n], alone.ids[0])
        assert torch.equal(used[:n], alone.layers[0])
        assert (used[n:] == 0).all()
        assert (text[5 + n :] == 0).all()


def test_layers_that_are_left_are_not_run():
    decoder, calls = model().double(), []
    for index, layer in enumerate(decoder.stack.layers):
        layer.register_forward_hook(
            lambda _, args, __, index=index: calls.append((index, len(args[0])))
        )
    found = generate_early(decoder, prompt(batch=6, length=1), threshold=0.4, max_new_tokens=8)
    rows = sum(n for _, n in calls)
    assert rows == found.layers.sum()


def test_the_threshold_falls_with_the_step():
    bars = [threshold_at(t, threshold=0.8, decay=4, n_steps=10) for t in range(10)]
    assert bars[0] == pytest.approx(0.8)
    assert bars == sorted(bars, reverse=True)
    assert bars[-1] > 0.72
    assert threshold_at(3, threshold=0.8, decay=0, n_steps=10) == pytest.approx(0.8)


@pytest.mark.parametrize("positions", KINDS)
@pytest.mark.parametrize(("draft_layers", "n_drafted"), [(1, 1), (1, 4), (3, 3), (2, 20)])
def test_drafts_change_nothing(positions, draft_layers, n_drafted):
    decoder, ids = model(positions=positions).double(), prompt(length=1 + draft_layers)
    options = {"max_new_tokens": 17}
    found = speculate(decoder, ids, draft_layers=draft_layers, n_drafted=n_drafted, **options)
    assert torch.equal(found.ids, generate(decoder, ids, **options))
    assert 0 <= found.accepted <= found.drafted
    assert found.accepted + found.checks == 3 * 17


def test_rows_end_where_they_do_without_drafts():
    decoder, ids = model().double(), prompt(batch=9)
    options = {"max_new_tokens": 20, "eos": 17, "pad": 3}
    found = speculate(decoder, ids, draft_layers=2, n_drafted=5, **options)
    assert torch.equal(found.ids, generate(decoder, ids, **options))
    assert (found.ids[:, 5:] == 17).any()


def test_upper_layers_that_add_nothing_accept_all():
    decoder = model().double()
    for layer in list(decoder.stack.layers)[2:]:
        for last in (layer.mix.sublayer.to_out, layer.feed_forward.sublayer.outer):
            torch.nn.init.zeros_(last.weight)
            torch.nn.init.zeros_(last.bias)
    found = speculate(decoder, prompt(), draft_layers=2, n_drafted=3, max_new_tokens=16)
    assert found.accepted == found.drafted == 3 * 12
    assert found.checks == 3 * 4


def test_the_upper_layers_run_once_for_each_check():
    decoder, calls = model().double(), []
    decoder.stack.layers[-1].register_forward_hook(
        lambda _, args, __: calls.append(args[0].shape[1])
    )
    found = speculate(decoder, prompt(1, 1), draft_layers=1, n_drafted=4, max_new_tokens=12)
    assert len(calls) == found.checks
    assert max(calls) == 5


BAD = [
    ({"threshold": 1.5}, "threshold is 1.5; it must be"),
    ({"threshold": 0.5, "first": 9}, "first is 9; it must be at most 4"),
    ({"threshold": 0.5, "first": 0}, "first is 0"),
    ({"threshold": 0.5, "missing": "zeros"}, "missing is 'zeros'"),
    ({"threshold": 0.5, "decay": -1}, "decay is -1; it must be 0 or more"),
]


@pytest.mark.parametrize(("options", "says"), BAD)
def test_bad_exits_are_one_sentence(options, says):
    with pytest.raises(ValueError, match=says):
        generate_early(model(), prompt(), max_new_tokens=3, **options)


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"draft_layers": 4}, "draft_layers is 4; it must be below 4"),
        ({"draft_layers": 0}, "draft_layers is 0"),
        ({"n_drafted": 0}, "n_drafted is 0"),
        ({"max_new_tokens": 0}, "max_new_tokens is 0"),
    ],
)
def test_bad_drafts_are_one_sentence(options, says):
    with pytest.raises(ValueError, match=says):
        speculate(
            model(), prompt(), **{"draft_layers": 2, "n_drafted": 2, "max_new_tokens": 3} | options
        )


def test_models_that_have_no_such_layers_are_refused():
    mixed = model(make_mixer=lambda index, config: FourierMixing())
    with pytest.raises(ValueError, match="mixes without attention"):
        exit_logits(mixed, prompt())
    config = TransformerConfig(WORDS, d_model=16, n_heads=2, n_layers=2)
    with pytest.raises(ValueError, match="reads a memory"):
        speculate(
            EncoderDecoder(config).decoder, prompt(), draft_layers=1, n_drafted=1, max_new_tokens=1
        )


@pytest.mark.parametrize("missing", ["projected", "absent"])
def test_tokens_leave_early_under_autocast(missing):
    decoder, ids = model().eval(), prompt()
    with torch.autocast("cpu", torch.bfloat16):
        found = generate_early(decoder, ids, threshold=0.4, max_new_tokens=6, missing=missing)
    assert found.ids.shape == (3, 11)
    assert 1 <= found.layers.min() < found.layers.max() <= LAYERS


@pytest.mark.parametrize("n_kv_heads", [1, 2])
def test_heads_may_share_keys_and_values(n_kv_heads):
    decoder, ids = model(n_heads=4, n_kv_heads=n_kv_heads, positions="rope"), prompt()
    expected = generate(decoder, ids, max_new_tokens=5)
    found = generate_early(decoder, ids, threshold=1, max_new_tokens=5)
    assert torch.equal(found.ids, expected)
    assert generate_early(decoder, ids, threshold=0.1, max_new_tokens=5).layers.min() < LAYERS
    drafted = speculate(decoder, ids, draft_layers=2, n_drafted=2, max_new_tokens=5)
    assert torch.equal(drafted.ids, expected)


@pytest.mark.parametrize("options", [{"eos": e} for e in ("a", (1, 2), True, 1.5)] + [{"pad": "a"}])
@pytest.mark.usefixtures("unchecked")
def test_an_end_that_is_no_token_is_one_sentence(options):
    decoder, ids = model(), prompt()
    with pytest.raises(ValueError, match=r"^(eos|pad) is .*; it must be a token id\.$"):
        generate_early(decoder, ids, threshold=0.5, max_new_tokens=2, **options)
    with pytest.raises(ValueError, match=r"^(eos|pad) is .*; it must be a token id\.$"):
        speculate(decoder, ids, draft_layers=1, n_drafted=2, max_new_tokens=2, **options)


@pytest.mark.usefixtures("unchecked")
def test_targets_that_are_none_are_one_sentence():
    decoder, ids = model(), prompt()
    for wrong in (ids.float(), ids[:, 1:], ids + 100):
        with pytest.raises(ValueError, match=r"^targets (has shape|run from) [^\n]*\.$"):
            exit_loss(decoder, ids, wrong)
