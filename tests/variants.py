"""What each attention, mixer and stack takes, tried: the table that opens the reference.

`python -m tests.variants` writes `chapters/appendix/variants.json`, and `tests/test_variants.py`
holds the file to what is tried anew. The subjects are those of the contract tests, so a new one has
its row. Numbers are of small layers, which the page says.
"""

import json
import math
import re
import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import fields, is_dataclass
from functools import partial
from importlib import import_module
from inspect import unwrap
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from frugal.attention.linformer import LinformerAttention
from frugal.attention.sinkhorn import SinkhornAttention
from frugal.attention.softmax import MultiHeadAttention, softmax_attention
from frugal.measure import count_flops
from frugal.model import Decoder, TransformerConfig
from tests.attention.test_contract import HEAD_DIM, N_HEADS, SUBJECTS, Subject
from tests.layer_contract import WIDTH
from tests.mixing.test_contract import MIXERS
from tests.test_stacks import STACKS

ROOT = Path(__file__).parents[1]
RECORD = ROOT / "chapters" / "appendix" / "variants.json"
COLUMNS = {
    "causal": "a position sees nothing that comes after it",
    "padding": "(batch, keys), True where a token is real",
    "mask": "any boolean mask, broadcast to (batch, heads, queries, keys)",
    "bias": "numbers that are added to the scores",
    "cross": "queries of one sequence, keys of another length",
    "cache": "the newest query alone, after keys that are kept: decoding step by step",
    "state": "what is kept between steps of decoding",
    "export": "torch.export gives the same, in both modes",
    "compile": "graph breaks of a compiled call",
    "parameters": "of its own, beside the four projections of the heads",
    "cost": "how FLOPs grow with the length N, and their share of softmax's at 2,048 tokens",
    "chapter": "where it is built and explained",
}
"""The columns, and what each asks."""
LEFT_OUT = {"window of a function", "lsh of a function", "linear"}
"""Subjects that are the function behind another one's module."""
CALLED = {
    ("attention", "elu"): "linear, elu features",
    ("attention", "favor"): "linear, FAVOR+ (Performer)",
    ("attention", "fourier"): "linear, Fourier features",
    ("attention", "gated"): "linear, gated (RFA)",
    ("attention", "lsh"): "hashing (Reformer)",
    ("attention", "sinkhorn"): "sorting (Sinkhorn)",
    ("attention", "sort cut"): "sorting, cut",
    ("attention", "span"): "adaptive span",
    ("attention", "swin"): "shifted windows (Swin)",
    ("mixer", "light"): "lightweight convolution",
    ("mixer", "light, causal"): "lightweight convolution, causal",
    ("mixer", "dynamic"): "dynamic convolution",
    ("mixer", "dynamic, causal"): "dynamic convolution, causal",
    ("mixer", "fourier"): "Fourier mixing (FNet)",
    ("mixer", "dense"): "Synthesizer, dense",
    ("mixer", "random"): "Synthesizer, random",
    ("mixer", "random plus"): "Synthesizer, random, beside attention",
    ("mixer", "factorized, causal"): "Synthesizer, factorized, causal",
    ("mixer", "linformer"): "linformer, mixed first",
    ("stack", "plain"): "one layer after the other",
    ("stack", "elimination"): "token elimination (PoWER-BERT)",
    ("stack", "universal"): "one layer many times (Universal)",
}
"""What readers know better than the names in the tests."""
LENGTH, SHORTER = 13, 7
FLOPS_AT = 2048


def heads(length: int, *, seed: int = 1) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(2, N_HEADS, length, HEAD_DIM, generator=generator)


def rows(length: int, width: int) -> Tensor:
    return torch.randn(2, length, width, generator=torch.Generator().manual_seed(1))


def takes(call: Callable[..., Tensor], *tensors: Tensor, **options: Any) -> bool:
    """Whether a call goes through. What it does then is for the contract's tests to hold."""
    torch.manual_seed(3)
    try:
        call(*tensors, **options)
    except (ValueError, TypeError):
        return False
    return True


def decodes(call: Callable[..., Tensor]) -> bool:
    """Whether the last query alone finds what it finds among all the queries of a causal call."""
    q, k, v = (heads(LENGTH, seed=seed) for seed in range(3))
    with suppress(ValueError, TypeError):
        whole, last = (call(queries, k, v, causal=True) for queries in (q, q[:, :, -1:]))
        return torch.allclose(whole[:, :, -1:], last, atol=1e-5)
    return False


def kept(thing: Any) -> int:
    """How many numbers a cache holds, through whatever it is made of."""
    if isinstance(thing, Tensor):
        return thing.numel()
    if isinstance(thing, list | tuple):
        return sum(map(kept, thing))
    if isinstance(thing, dict):
        return sum(map(kept, thing.values()))
    if is_dataclass(thing):
        return sum(kept(getattr(thing, one.name)) for one in fields(thing))
    return kept(vars(thing)) if hasattr(thing, "__dict__") and not callable(thing) else 0


def state(attend: Callable[..., Tensor]) -> str:
    """What a decoder of one layer keeps after reading a prompt, by reading two of them."""
    config = TransformerConfig(
        11,
        d_model=N_HEADS * HEAD_DIM,
        n_heads=N_HEADS,
        n_layers=1,
        positions="none",
        make_attend=lambda *_: attend,
    )
    model = Decoder(config).eval()
    found = []
    for length in (96, 192):
        caches = model.new_caches(length)
        with torch.no_grad():
            model(torch.ones(1, length - 1, dtype=torch.int64), caches=caches)
            model(torch.ones(1, 1, dtype=torch.int64), caches=caches)
        found.append(kept(caches))
    short, long = found
    return "every key and value" if long > 1.5 * short else f"{long:,} numbers"


def parameters(module: object) -> int:
    return sum(p.numel() for p in module.parameters()) if isinstance(module, nn.Module) else 0


def cost(run: Callable[[int], int], softmax: Callable[[int], int]) -> str | None:
    """Growth over the last doubling, and the share of softmax's FLOPs at the longer length."""
    half, whole = run(FLOPS_AT // 2), run(FLOPS_AT)
    if not half:
        return None
    power = round(math.log2(whole / half), 1)
    grows = {1.0: "N", 2.0: "N²"}.get(power, f"N^{power}")
    share = whole / softmax(FLOPS_AT)
    return (
        f"{grows}; {share:.2g} of softmax"
        if share < 0.995 or share > 1.005
        else f"{grows}; as softmax"
    )


def flops_of(call: Callable[..., Tensor], *shapes: tuple[int, ...]) -> int:
    with torch.no_grad():
        return count_flops(call, *(torch.randn(shape) for shape in shapes))[0]


LONGER = {
    "linformer": partial(LinformerAttention, N_HEADS, FLOPS_AT, 4),
    "sinkhorn": partial(SinkhornAttention, N_HEADS, HEAD_DIM, block_size=4, max_blocks=FLOPS_AT),
    "sort cut": partial(
        SinkhornAttention, N_HEADS, HEAD_DIM, block_size=4, max_blocks=FLOPS_AT, sort_cut=2
    ),
}
"""Those that are made for a length, made for a longer one."""


def heads_cost(name: str, subject: Subject) -> str | None:
    attend = LONGER.get(name, subject.make)()

    def run(call: Callable[..., Tensor], length: int) -> int:
        return flops_of(call, *[(1, N_HEADS, length, HEAD_DIM)] * 3)

    return cost(partial(run, attend), partial(run, softmax_attention))


def home(thing: object) -> str:
    """The shortest address that has it: a package that shows a name of one of its parts."""
    thing = unwrap(getattr(thing, "func", thing))
    name, module = thing.__qualname__, thing.__module__
    while "." in module:
        above = module.rpartition(".")[0]
        if above == "frugal" or getattr(import_module(above), name, None) is not thing:
            break
        module = above
    return f"{module}.{name}"


def chapter(address: str) -> str | None:
    """The first chapter that the module's docstring names."""
    module = import_module(address.rpartition(".")[0])
    said = re.search(r"Chapters?: ([\w-]+)", (module.__doc__ or "").replace("\n", " "))
    return said[1] if said else None


def graphs() -> dict[tuple[str, str], tuple[bool, int]]:
    """What the contract holds each subject to: whether it exports, and the breaks when compiled."""
    from tests.graphs import rows as held

    return {(row.kind, row.name): (row.exports, row.breaks) for row in held()}


def longer(make: Any) -> Callable[[], nn.Module]:
    """A mixer that is made for 20 positions, made for more."""
    if not isinstance(make, partial):
        return make
    return partial(
        make.func, *(FLOPS_AT if one == 20 else one for one in make.args), **make.keywords
    )


def mixer_cost(layer: Any) -> str | None:
    mixer, softmax = longer(layer.make)().eval(), MultiHeadAttention(WIDTH, 3)

    def run(call: Callable[..., Tensor], length: int) -> int:
        return flops_of(call, (1, length, WIDTH))

    return cost(partial(run, mixer), partial(run, softmax))


def attention_row(name: str, subject: Subject) -> dict[str, Any]:
    torch.manual_seed(0)
    attend = subject.make()
    attend = attend.eval() if isinstance(attend, nn.Module) else attend
    address = home(subject.covers[0])
    row: dict[str, Any] = {"import": address, "chapter": chapter(address)}
    if subject.kind == "picture":
        row |= dict.fromkeys(("causal", "padding", "mask", "bias", "cross", "cache"), False)
        return row | {"parameters": parameters(attend)}
    real = torch.ones(2, LENGTH, dtype=torch.bool)
    one = heads(LENGTH)
    given = [one] * 3 if subject.kind == "heads" else [rows(LENGTH, N_HEADS * HEAD_DIM)]
    row |= {
        "causal": "always" if subject.always_causal else takes(attend, *given, causal=True),
        "padding": takes(attend, *given, padding=real),
        "mask": takes(attend, *given, mask=torch.ones(LENGTH, LENGTH, dtype=torch.bool)),
        "bias": takes(attend, *given, bias=torch.zeros(LENGTH, LENGTH)),
        "parameters": parameters(attend),
    }
    if subject.kind == "heads":
        few = heads(SHORTER)
        across = takes(attend, few, one, one) and takes(attend, one, few, few)
        row |= {"cross": across and not subject.always_causal, "cache": decodes(attend)}
        row["state"] = state(attend) if row["cache"] else None
        row["cost"] = heads_cost(name, subject)
    elif isinstance(attend, MultiHeadAttention) and type(attend) is MultiHeadAttention:
        row |= {"cross": True, "cache": True, "state": "as its heads"}
        row["cost"], row["parameters"] = "as its heads", 0
    else:
        row |= {"cross": False, "cache": False}
    return row


def survey() -> dict[str, Any]:
    """The whole table."""
    held = graphs()
    found = []
    for name, subject in SUBJECTS.items():
        if name not in LEFT_OUT:
            found.append(
                {"kind": "attention", "is": name, "name": name, **attention_row(name, subject)}
            )
    for kind, layers in (("mixer", MIXERS), ("stack", STACKS)):
        for name, layer in layers.items():
            if kind == "mixer" or "," not in name:  # a stack's other rows are of other layers
                found.append({"kind": kind, "is": name, "name": name, **layer_row(kind, layer)})
    for row in found:
        if (row["kind"], row["is"]) in held:
            exports, breaks = held[row["kind"], row["is"]]
            cut = "one graph" if not breaks else f"{breaks} break{'s'[: breaks - 1]}"
            row |= {"export": exports, "compile": cut}
        row["name"] = CALLED.get((row["kind"], row["is"]), row["is"])
    return {"columns": COLUMNS, "variants": found}


def layer_row(kind: str, layer: Any) -> dict[str, Any]:
    """A mixer refuses what only attention has. A stack passes on what its layers take."""
    module = layer.made().eval()
    x, real = rows(LENGTH, WIDTH), torch.ones(2, LENGTH, dtype=torch.bool)
    address = home(type(module))
    row: dict[str, Any] = {"import": address, "chapter": chapter(address)}
    row["padding"] = takes(layer.run, module, x, padding=real)
    if kind == "mixer":
        row |= {"causal": bool(module.causal), "parameters": parameters(module)}
        row |= dict.fromkeys(("mask", "bias", "cross", "cache"), False)
        return row | {"cost": mixer_cost(layer)}
    layers = getattr(module, "layers", ())
    config = TransformerConfig(11, d_model=WIDTH, n_heads=3, n_layers=len(layers) or 1)
    caches = Decoder(config).new_caches(LENGTH)
    return row | {
        "parameters": parameters(module) - sum(map(parameters, layers)),
        "causal": takes(module, x, causal=True),
        "mask": takes(module, x, mask=torch.ones(LENGTH, LENGTH, dtype=torch.bool)),
        "bias": takes(module, x, bias=torch.zeros(LENGTH, LENGTH)),
        "cache": takes(module, x, causal=True, caches=caches),
    }


def written() -> dict[str, Any]:
    """The record as it lies in the book."""
    return json.loads(RECORD.read_text(encoding="utf-8"))


def lines(table: dict[str, Any]) -> Iterator[str]:
    """A line for each row, so that a change shows."""
    dump = partial(json.dumps, ensure_ascii=False)
    yield f'{{"columns": {dump(table["columns"])},'
    yield '"variants": ['
    yield ",\n".join(map(dump, table["variants"]))
    yield "]}"


def main() -> int:
    text = "\n".join(lines(survey())) + "\n"
    RECORD.write_text(text, encoding="utf-8")
    print(f"{text.count(chr(10)) - 3} variants in {RECORD.relative_to(ROOT)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
