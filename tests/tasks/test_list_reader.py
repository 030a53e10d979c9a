"""The reader of nested lists: padding, the numbers of lists, and the loss."""

import torch
import torch.nn.functional as F

from frugal.data import nested_lists
from frugal.model import TransformerConfig
from frugal.tasks.list_reader import ListReader, list_loss


def test_padding_changes_nothing_and_only_lists_count(generator):
    torch.manual_seed(0)
    model = ListReader(TransformerConfig(1, d_model=16, n_heads=2, positions="none")).eval()
    batch = nested_lists.encode(["[MAX 2 [MIN 8 7 ] ]", "[MIN 4 7 ]"])
    alone = nested_lists.encode(["[MIN 4 7 ]"])
    scores = model(batch)
    torch.testing.assert_close(scores[1:, :3], model(alone), atol=1e-5, rtol=1e-4)
    rows = torch.stack([scores[0, 0], scores[0, 2], scores[1, 0]])
    expected = F.cross_entropy(rows, torch.tensor([7, 7, 4]))
    torch.testing.assert_close(list_loss(model, batch), expected)
    other = nested_lists.renumbered(batch, generator)
    assert not torch.equal(model(other), scores)
