"""Names and options that are not there, or that nothing reads."""

import pytest

from frugal import transfer
from frugal.transfer import BOOK


@pytest.mark.parametrize(
    ("name", "listed"),
    [("GeGLUU", "'GeGLU'"), ("switch", "'Switch Transformer'"), ("Synthesizer dense", "(dense)'")],
)
def test_an_unknown_name_lists_near_matches(name, listed):
    with pytest.raises(ValueError, match="it must be one of") as error:
        transfer.build(name)
    assert listed in str(error.value)
    assert "\n" not in str(error.value)
    assert len(str(error.value)) < 200


def test_an_unknown_option_lists_near_matches():
    with pytest.raises(
        ValueError, match="activaton is no option of a model; it must be one of 'ac"
    ):
        transfer.build("GeLU", activaton="relu")


def test_the_misspelt_side_of_the_papers_experts_is_found_here():
    with pytest.raises(ValueError, match="deccoder is no option of a model; it must be one of 'de"):
        transfer.build("Switch Transformer", deccoder={"d_ff": 8})


@pytest.mark.parametrize(
    ("name", "options", "option", "where"),
    [
        ("GeGLU", {"activation": "relu"}, "activation", "'GeGLU'"),
        ("GeLU", {"n_experts": 4}, "n_experts", "'GeLU'"),
        ("GeLU", {"encoder": {"n_keys": 4}}, "n_keys", "the encoder of 'GeLU'"),
        ("Weighted Transformer", {"relative_heads": 4}, "relative_heads", "'Weighted Transformer'"),
    ],
)
def test_an_option_that_nothing_reads_is_an_error(name, options, option, where):
    with pytest.raises(ValueError, match="it must be left out") as error:
        transfer.build(name, size="book", **options)
    assert str(error.value).startswith(f"{option} is given")
    assert where in str(error.value)


def test_an_option_that_the_row_decides_is_an_error():
    with pytest.raises(ValueError, match="activation is given; it must be left out: 'GeLU' has"):
        transfer.build("GeLU", size="book", activation="relu")
    with pytest.raises(ValueError, match="share_layers is given; it must be left out"):
        transfer.build("Block sharing", size="book", share_layers=False)


def test_a_side_may_have_options_of_its_own():
    model = transfer.build("GeLU", size="book", decoder={"activation": "swish", "n_layers": 2})
    stacks = model.encoder.stack, model.decoder.stack
    found = [stack.layers[-1].residuals[-1].sublayer.network.activation for stack in stacks]
    assert [one.__name__ for one in found] == ["gelu", "silu"]
    assert [len(stack.layers) for stack in stacks] == [6, 2]


def test_every_row_reads_all_that_it_changes():
    for name in transfer.names():
        for repaired in (False, True):
            transfer.build(name, size="book", repaired=repaired, device="meta")


def test_options_of_a_call_come_before_those_of_a_row():
    model = transfer.build("GLU", size="book", d_ff=96, n_layers=2)
    assert len(model.encoder.stack.layers) == 2
    assert model.config.d_ff == 64, "two thirds of what was asked for"


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"size": "large"}, "size is 'large'; it must be one of 'paper', 'book'"),
        ({"norm": "batch"}, "norm is 'batch'; it must be one of"),
        ({"tied": "both"}, "tied is 'both'; it must be one of"),
        ({"positions": "rope"}, "positions is 'rope'; it must be one of"),
        ({"n_layers": 0}, "n_layers is 0; it must be a whole number, 1 or more"),
        ({"dropout": 2.0}, "dropout is 2.0; it must be from 0 to 1"),
    ],
)
def test_values_that_do_not_fit(options, sentence):
    with pytest.raises(ValueError, match="it must be") as error:
        transfer.build("GeLU", **{"size": BOOK, **options})
    assert sentence in str(error.value)
