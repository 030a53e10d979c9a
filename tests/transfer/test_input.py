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
