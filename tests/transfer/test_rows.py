"""What every row must do, as published and as intended: learn, look back only, ignore padding."""

import pytest
import torch
from torch import Tensor

from frugal import transfer
from frugal.decoding import translate
from frugal.penalty import penalty

FORMS = [
    (name, repaired)
    for name in transfer.names()
    for repaired in (False, True)
    if not repaired or transfer.row(name).intended
]
LOOKS_AHEAD = ("Mixture of experts", False)
"""As published, a token's second expert has room only behind the first choices of later tokens."""


def built(name: str, repaired: bool) -> transfer.EncoderDecoder:
    """In float64, in evaluation, and away from a start at which layers may do nothing."""
    torch.manual_seed(0)
    model = transfer.build(name, size="book", repaired=repaired, vocab_size=300).double().eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.05 * torch.randn_like(parameter))
    return model


def written(model: transfer.EncoderDecoder, source: Tensor, target: Tensor) -> Tensor:
    padding = torch.ones_like(source, dtype=torch.bool)
    padding[1, 8:] = False
    torch.manual_seed(1)  # for a second choice that is kept at random
    with torch.no_grad():
        return model(source, target, padding)


@pytest.mark.parametrize(("name", "repaired"), FORMS)
def test_a_small_model_learns_with_all_its_parameters(name, repaired):
    torch.manual_seed(0)
    model = transfer.build(name, size="book", repaired=repaired)
    source, target = torch.randint(2048, (4, 20)), torch.randint(2048, (4, 9))
    padding = torch.arange(20) < torch.tensor([20, 20, 13, 7])[:, None]
    loss = model.loss(source, target, target, padding, padding[:, :9])
    loss.backward()
    assert loss.isfinite()
    without = [key for key, one in model.named_parameters() if one.grad is None]
    assert not without
    assert all(one.grad.isfinite().all() for one in model.parameters())
    step = torch.optim.Adam(model.parameters(), 1e-3)
    step.step()
    assert model(source, target, padding).shape == (4, 9, 2048)


@pytest.mark.parametrize(("name", "repaired"), FORMS)
def test_it_reads_the_source_and_no_later_token(name, repaired):
    model = built(name, repaired)
    source, target = torch.randint(300, (2, 16)), torch.randint(300, (2, 12))
    before = written(model, source, target)
    later, other, hidden = target.clone(), source.clone(), source.clone()
    later[:, 6:] = (later[:, 6:] + 7) % 300
    other[:, 2] = (other[:, 2] + 7) % 300
    hidden[1, 8:] = (hidden[1, 8:] + 7) % 300
    seen = (written(model, source, later) - before)[:, :6].abs().max()
    assert (seen > 1e-6) == ((name, repaired) == LOOKS_AHEAD), "a later token changed a score"
    assert (written(model, other, target) - before).abs().max() > 1e-9, "the source is not read"
    assert (written(model, hidden, target) - before).abs().max() < 1e-9, "padding is read"


@pytest.mark.parametrize("name", transfer.names())
def test_a_row_has_another_form_only_where_it_says_what_was_confounded(name):
    row = transfer.row(name)
    assert (row.intended is None) == (not row.confounded)


def test_the_forms_of_a_row_differ():
    for name in transfer.names():
        if transfer.row(name).intended:
            published, intended = (
                transfer.config_of(name, repaired=form) for form in (False, True)
            )
            assert published != intended, name


@pytest.mark.parametrize("name", ["GeGLU", "Transparent attention", "Funnel Transformer"])
def test_greedy_writing_goes_without_caches(name):
    model = transfer.build(name, size="book", vocab_size=30)
    source = torch.randint(3, 30, (2, 8))
    text = translate(model, source, bos=1, eos=2, max_new_tokens=5, cache=False)
    assert text.shape[1] <= 6
    with pytest.raises(ValueError, match="the rows of the table keep no caches"):
        translate(model, source, bos=1, eos=2, max_new_tokens=5)


@pytest.mark.parametrize(
    "name", ["Universal Transformer", "Mixture of experts", "Switch Transformer"]
)
def test_what_a_row_asks_to_be_added_to_its_loss(name):
    model = transfer.build(name, size="book", repaired=True, vocab_size=50)
    model.loss(*torch.randint(50, (3, 2, 9)))
    penalty(model).backward()
    assert penalty(model) > 0
