"""What makes a GPU wait for its numbers: counted in every public callable, forward and backward.

A program tells a GPU what to do faster than the GPU does it, until it asks for a number: then it
waits for all that was told before, and afterwards the GPU waits for the program. Here the
operations that ask are counted on the CPU. Some belong to forms that only run there, where nobody
waits.
"""

from dataclasses import replace

import pytest
import torch
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode

from experiments.gpu import callables
from experiments.gpu.correctness import subjects
from experiments.gpu.subjects import Subject
from frugal.attention.lsh import rounds as lsh_rounds
from frugal.attention.patterns import attention as patterns
from frugal.attention.patterns import blocks, sliding_window_attention

ASKING = {
    "_local_scalar_dense",
    "bincount",  # for the largest
    "equal",
    "is_nonzero",
    "masked_select",
    "nonzero",
    "unique",
    "unique_dim",
    "_unique2",
}

SUBJECTS = subjects(smoke=True)
CALLS = {
    name.removeprefix("frugal."): call
    for name, call in callables.calls().items()
    if not name.endswith(".block_sparse_attention")  # torch's kernel: see what follows below
}

PIECES = "rows without a key, looked for where a pattern is cut to pieces, on the CPU only"
HASHES = "rows without a key, looked for in the fused rounds, on the CPU only"
NEGATIVE = "negative features, refused on the CPU only"
GLOBAL = "how many global tokens a row has at most, on the CPU only"
REACH = "the longest span decides how many keys are read: a GPU waits once a layer"
SUMS = "whether the weights sum to 1 already, on the CPU only"
ROOMS = "how many tokens each expert has, on the CPU only: a GPU has rooms of one size"
ENDED = "have all rows ended? A GPU waits once a token"
LENGTHS = "lengths that are refused, and the longest, which decides the shape: once a text"

WAITS = {
    "window": PIECES,
    "strided": PIECES,
    "fixed": PIECES,
    "window+global": GLOBAL,
    "decoder, window": PIECES,
    "lsh": HASHES,
    "lsh, one bucket": HASHES,
    "elu": NEGATIVE,
    "performer": NEGATIVE,
    "rfa": "a past that would grow, refused on the CPU only",
    "decoder, linear": NEGATIVE,
    "entmax": SUMS,
    "sparsemax": SUMS,
    "bytes": PIECES,
    "experts": ROOMS,
    "experts, room for each sequence": ROOMS,
    "experts, two for each token": "how many tokens each expert has: a GPU waits twice a layer",
    "universal": "which tokens still run decides the shapes: a GPU waits once a step",
    "leaving early": "who leaves decides the shapes: a GPU waits once an exit",
    "span": REACH,
    "reversible decoder": "states of random generators are compared, which lie on the CPU",
    "translate": ENDED,
    "mask-predict": LENGTHS,
}
"""What waits, by name of the subject, and why that may be."""


DRAWS = "which layers run is drawn on the CPU, whatever the device"
NEXT = "how many tokens are accepted decides what is asked next: a GPU waits once a pass"

CALLS_WAIT = {
    "attention.groups.attend_grouped": PIECES,
    "attention.patterns.attention.sliding_window_attention": GLOBAL,
    "attention.patterns.attention.strided_attention": PIECES,
    "attention.patterns.attention.fixed_attention": PIECES,
    "attention.kernels.state.KernelState": NEGATIVE,
    "attention.kernels.attention.linear_attention": NEGATIVE,
    "attention.kernels.attention.kernel_weights": NEGATIVE,
    "attention.kernels.attention.KernelAttention": NEGATIVE,
    "attention.kernels.gate.RandomFeatureAttention": WAITS["rfa"],
    "attention.entmax.entmax": SUMS,
    "attention.entmax.EntmaxAttention": SUMS,
    "attention.heads.prune_heads": SUMS,  # of an entmax attention
    "attention.span.AdaptiveSpan": REACH,
    "attention.lsh.rounds.attend_in_rounds": HASHES,
    "attention.lsh.attention.lsh_attention": HASHES,
    "attention.lsh.attention.LshAttention": HASHES,
    "decoding.autoregressive.translate": ENDED,
    "decoding.parallel.hide": LENGTHS,
    "decoding.parallel.target_lengths": LENGTHS,
    "decoding.parallel.masked_loss": LENGTHS,
    "decoding.parallel.mask_predict_passes": LENGTHS,
    "decoding.parallel.mask_predict": LENGTHS,
    "decoding.speculation.speculate": NEXT,
    "decoding.distillation.distill": LENGTHS,
    "depth.layerdrop.LayerDrop": DRAWS,
    "depth.layerdrop.prune_layers": DRAWS,
    "depth.layerdrop.only_layers": DRAWS,
    "depth.reversible.ReversibleStack": WAITS["reversible decoder"],
    "tasks.text_to_text.Batch": LENGTHS,
    "tokens.byteformer.ByteFormer": PIECES,
    "tokens.byteformer.StridedEmbedding": "bytes behind padding, refused on the CPU only",
    "transfer, Mixture of experts": WAITS["experts, two for each token"],
    "transfer, Switch Transformer": ROOMS,
}
"""The same of every public callable, called as on pretended CUDA tensors, after "frugal."."""


class Asked(TorchDispatchMode):
    """Counts the operations whose result the program needs before it can go on."""

    def __init__(self) -> None:
        super().__init__()
        self.names: list[str] = []

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        name = func._overloadpacket.__name__
        if name in ASKING or any(
            isinstance(one, torch.Tensor) and one.dtype == torch.bool
            for one in (args[1] if name in ("index", "index_put") else ())
        ):
            self.names.append(name)
        return func(*args, **(kwargs or {}))


def asked(subject: Subject) -> list[str]:
    """What a call and its backward pass ask for."""
    torch.manual_seed(0)
    module = subject.make()
    weights = []
    if isinstance(module, nn.Module):
        module = module.double().train()
        weights = list(module.parameters())
    given = subject.draw(torch.Generator().manual_seed(0))
    inputs = [x.requires_grad_() for x in given if x.is_floating_point()]
    options = {
        name: x.double() if isinstance(x, torch.Tensor) and x.is_floating_point() else x
        for name, x in subject.options.items()
    }
    with Asked() as mode:
        out = module(*given, **options)
        if out.requires_grad:
            torch.autograd.grad(out, inputs + weights, torch.ones_like(out), allow_unused=True)
    return mode.names


@pytest.mark.parametrize("name", SUBJECTS)
def test_nothing_waits_without_a_reason(name):
    found = asked(SUBJECTS[name])
    if name.partition(":")[0] not in WAITS:
        assert not found


@pytest.mark.parametrize("what", WAITS)
def test_what_is_in_the_table_waits(what):
    calls = [one for name, one in SUBJECTS.items() if name.partition(":")[0] == what]
    assert any(asked(one) for one in calls)


@pytest.mark.parametrize("name", CALLS)
def test_no_public_callable_waits_without_a_reason(name):
    torch.manual_seed(0)
    with Asked() as mode:
        out = CALLS[name]()
        if out.requires_grad:
            out.sum().backward()
    assert bool(mode.names) == (name in CALLS_WAIT), mode.names


def test_the_reasons_are_of_callables_that_there_are():
    assert set(CALLS_WAIT) <= set(CALLS)


@pytest.mark.parametrize("call", ["both ways", "padding on the left, causal"])
def test_the_rounds_of_a_gpu_do_not_wait(monkeypatch, call):
    monkeypatch.setattr(lsh_rounds, "_on_cpu", lambda tensor: False)
    assert not asked(SUBJECTS[f"lsh: {call}"])


PATTERNS = [name for name in SUBJECTS if SUBJECTS[name].compiles]


@pytest.mark.parametrize("name", PATTERNS)
def test_the_patterns_of_a_gpu_do_not_wait(monkeypatch, name):
    """Their block masks, with padding too; the kernel itself is torch's."""
    monkeypatch.setattr(patterns, "in_pieces", lambda q: False)
    monkeypatch.setattr(blocks, "flex_attention", lambda q, k, v, **options: q * (k * v).mean())
    monkeypatch.setattr(blocks, "_kept", {})
    assert not asked(SUBJECTS[name])


@pytest.mark.parametrize("causal", [False, True])
def test_global_tokens_of_the_data_do_not_wait_on_a_gpu(monkeypatch, causal):
    monkeypatch.setattr(patterns, "in_pieces", lambda q: False)
    monkeypatch.setattr(blocks, "flex_attention", lambda q, k, v, **options: q * (k * v).mean())
    subject = SUBJECTS["window: causal"]
    flags = torch.arange(45).expand(2, -1) % 20 == 7
    options = {"window": 3, "causal": causal, "global_tokens": flags, "padding": ~flags}
    assert not asked(replace(subject, make=lambda: sliding_window_attention, options=options))


def test_spans_wait_once():
    assert asked(SUBJECTS["span: causal"]) == ["_local_scalar_dense"]


def test_a_question_is_counted():
    with Asked() as mode:
        x = torch.ones(3)
        assert bool((x > 0).all())
        x[x > 0].sum()
    assert mode.names[:2] == ["_local_scalar_dense", "index"]
