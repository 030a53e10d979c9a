"""What writes or evaluates leaves every module's mode as it was, also under another thread."""

from functools import partial

import pytest
import torch
from torch import nn

from frugal.attention.recording import recording
from frugal.decoding import MaskedTranslator, distill, generate, mask_predict, translate
from frugal.model import Decoder, EncoderDecoder, TransformerConfig
from frugal.modes import in_evaluation
from frugal.tasks.retriever import Retriever, accuracy_by_position
from frugal.training import train
from tests.threads import run_beside

CONFIG = TransformerConfig(50, d_model=16, n_heads=2, n_layers=2, dropout=0.5)
IDS = torch.tensor([[1, 2, 3]])


def translator():
    return MaskedTranslator(CONFIG, mask=49, max_target_length=4)


def trained(model):
    seen = set()

    def loss(model, batch):
        seen.add(tuple(module.training for module in model.modules()))
        return model(batch).square().mean()

    options = {"steps": 3, "every": 1, "evaluate": lambda model: {"a": 1.0}, "progress": False}
    train(model, [IDS], loss, **options)
    assert seen == {tuple(module.training for module in model.modules())}


CALLS = {
    "generate": (Decoder, partial(generate, prompt=IDS, max_new_tokens=2)),
    "translate": (EncoderDecoder, partial(translate, source=IDS, bos=1, eos=2, max_new_tokens=2)),
    "distill": (EncoderDecoder, partial(distill, source=IDS, bos=1, eos=2, max_new_tokens=2)),
    "mask_predict": (None, partial(mask_predict, source=IDS, iterations=1)),
    "accuracy_by_position": (
        partial(Retriever, "decoder"),
        partial(accuracy_by_position, n_pairs=3, n_keys=5, n_values=5, examples=2),
    ),
    "train": (Decoder, trained),
}


@pytest.mark.parametrize("name", CALLS)
@pytest.mark.parametrize("fails", [False, True])
def test_every_module_keeps_its_own_mode(name, fails):
    make, call = CALLS[name]
    model = translator() if make is None else make(CONFIG)
    parts = list(model.modules())
    for part in parts[::3]:
        part.training = False
    parts[0].training = True
    before = [part.training for part in parts]
    if fails:
        hook = parts[-1].register_forward_hook(lambda *_: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            call(model)
        hook.remove()
    else:
        call(model)
    assert [part.training for part in parts] == before


def test_evaluation_is_of_the_same_tensors_hooks_and_recorders():
    model = Decoder(CONFIG)
    twin = in_evaluation(model)
    assert not any(module.training for module in twin.modules())
    assert all(module.training for module in model.modules())
    names = [name for name, _ in model.named_modules()]
    assert [name for name, _ in twin.named_modules()] == names
    for one, other in zip(model.parameters(), twin.parameters(), strict=True):
        assert one is other
    calls = []
    model.stack.layers[0].register_forward_hook(lambda *_: calls.append(1))
    with recording(model) as recorder:
        generate(model, IDS, max_new_tokens=1)
    assert calls == [1]
    assert set(recorder.weights) == {f"stack.layers.{i}.mix.sublayer" for i in range(2)}


def test_a_buffer_that_is_replaced_is_replaced_in_the_model():
    class Counting(nn.Module):
        def __init__(self):
            super().__init__()
            self.register_buffer("calls", torch.zeros(()))
            self.shared = self.twice = nn.Linear(2, 2)
            self.run = self.count

        def count(self, x):
            assert not self.training
            self.calls = self.calls + 1
            return x

        def forward(self, x):
            return self.run(x)

    model = Counting()
    twin = in_evaluation(model)
    assert twin.shared is twin.twice
    assert twin.shared is not model.shared
    twin(torch.zeros(1))
    assert model.calls == 1


@pytest.mark.parametrize("training", [False, True])
def test_a_compiled_part_is_in_evaluation_mode_too(training):
    model = nn.Sequential(nn.Dropout(0.5))
    model[0] = torch.compile(model[0], backend="eager")
    model.train(training)
    x = torch.ones(100)
    assert torch.equal(in_evaluation(model)(x), x)
    assert (in_evaluation(model)[0] is model[0]) is not training


def test_threads_that_write_do_not_disturb_each_other_nor_one_that_trains():
    torch.manual_seed(0)
    model = Decoder(CONFIG)
    ids = torch.randint(50, (4, 5))
    right = generate(model.eval(), ids, max_new_tokens=10)
    model.train()
    wrong = []

    def write():
        for _ in range(8):
            wrong.append(not torch.equal(generate(model, ids, max_new_tokens=10), right))

    undropped = run_beside(write, lambda: torch.equal(model(ids), model(ids)))
    assert wrong == [False] * 16
    assert len(undropped) > 1
    assert not any(undropped)
    assert all(module.training for module in model.modules())
