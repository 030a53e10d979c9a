import itertools
import json
import math
import time

import numpy as np
import pandas as pd
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st
from torch import nn
from torch.nn.attention import SDPBackend, sdpa_kernel

from frugal.measure import (
    Cost,
    compare,
    count_flops,
    describe,
    draw,
    fit_exponent,
    forward_backward,
    measure,
    peak_bytes,
)
from frugal.measure.comparison import COLUMNS, CONDITIONS
from frugal.measure.cost import CLOCKS
from frugal.measure.drawing import crossovers

QUICK = {"min_seconds": 0.001, "rounds": 2}


def attention(q):
    return F.scaled_dot_product_attention(q, q, q)


def test_flops_of_a_matrix_product_exactly():
    a, b = torch.randn(7, 11), torch.randn(11, 13)
    cost = measure(torch.matmul, a, b, **QUICK)
    assert cost.flops == 2 * 7 * 11 * 13
    assert cost.blind == ()
    assert cost.peak_bytes == 7 * 13 * 4


def test_a_softmax_over_256_mib_allocates_256_mib():
    x = torch.zeros(256 * 2**20 // 4 // 1024, 1024)
    assert peak_bytes(lambda x: x.softmax(dim=-1), x) == pytest.approx(256 * 2**20, rel=0.01)


def test_peak_is_the_most_held_at_a_time_not_the_sum():
    def chain(x):
        for _ in range(5):
            x = x + 1  # at most two results live at a time
        return x

    x = torch.zeros(2**18)  # 1 MiB
    assert peak_bytes(chain, x) == pytest.approx(2 * 2**20, rel=1e-4)


def test_attention_is_counted_on_the_cpu_forward_and_backward():
    q = torch.randn(2, 4, 64, 16)
    with sdpa_kernel(SDPBackend.MATH):
        plain, _ = count_flops(attention, q)
    flops, blind = count_flops(attention, q)
    assert flops == plain == 2 * 2 * 2 * 4 * 64 * 64 * 16
    assert not any("attention" in name for name in blind)
    both, _ = count_flops(forward_backward(attention), q)
    assert both == 3.5 * flops  # five products backward, two forward


def test_grouped_products_are_counted():
    a, b = torch.randn(32, 16), torch.randn(4, 16, 24)
    ends = torch.tensor([8, 16, 24, 32], dtype=torch.int32)
    flops, _ = count_flops(lambda: F.grouped_mm(a, b, offs=ends))
    assert flops == 2 * 32 * 16 * 24
    flops, _ = count_flops(lambda: F.grouped_mm(a.mT.contiguous(), torch.randn(32, 24), offs=ends))
    assert flops == 2 * 32 * 16 * 24
    columns = torch.tensor([8, 16, 24, 32], dtype=torch.int32)
    wide = torch.randn(16, 32).mT.contiguous().mT
    flops, _ = count_flops(lambda: F.grouped_mm(torch.randn(4, 8, 16), wide, offs=columns))
    assert flops == 2 * 8 * 16 * 32


def test_what_is_not_counted_is_named():
    def mixed(x):
        x = x.view(4, 16).mT.contiguous()  # moves numbers only
        x.add_(1.0)
        return torch.fft.rfft(x.sort().values.softmax(-1))

    flops, blind = count_flops(mixed, torch.randn(64))
    assert flops == 0
    assert set(blind) == {"_softmax", "add", "sort", "_fft_r2c"}
    assert "not counted: _fft_r2c, _softmax, add, sort" in str(Cost(1.0, 0.0, 0, flops, blind))


def test_a_linear_layer_forward_and_backward():
    layer = nn.Linear(8, 32, bias=False)
    x = torch.randn(10, 8)
    both = forward_backward(layer)
    gradients = both(x)
    assert [tuple(g.shape) for g in gradients] == [(10, 8), (32, 8)]
    torch.testing.assert_close(gradients[0], layer.weight.sum(0).expand(10, 8))
    assert layer.weight.grad is None
    assert x.requires_grad is False
    assert count_flops(both, x)[0] == 3 * 2 * 10 * 8 * 32


def test_keyword_arguments_reach_the_function():
    def product(a, b, *, transpose):
        return a @ (b.mT if transpose else b)

    a, b = torch.randn(7, 11), torch.randn(13, 11)
    assert measure(product, a, b, transpose=True, **QUICK).flops == 2 * 7 * 11 * 13
    assert measure(product, a, b=b, transpose=True, **QUICK).peak_bytes == 7 * 13 * 4
    assert count_flops(product, a, b.mT, transpose=False)[0] == 2 * 7 * 11 * 13
    assert peak_bytes(product, a, b, transpose=True) == 7 * 13 * 4
    with pytest.raises(TypeError, match="transpos"):
        measure(product, a, b, transpos=True, **QUICK)
    with pytest.raises(ValueError, match="tensors on meta"):
        measure(product, a.to("meta"), b=b.to("meta"), transpose=True, clock="cpu")
    gradients = forward_backward(product)(a, b, transpose=True)
    assert [g.shape for g in gradients] == [a.shape, b.shape]
    frame = compare(
        {"one": product},
        [4, 8],
        lambda n: {"a": torch.randn(n, 2), "b": torch.randn(n, 2), "transpose": True},
        rounds=1,
        min_seconds=1e-9,
    )
    assert frame["flops"].tolist() == [2 * 2 * 16, 2 * 2 * 64]


def test_a_table_says_under_what_conditions_it_was_measured(tmp_path):
    def halved(x):
        return x / 2

    options = {"rounds": 1, "min_seconds": 1e-9}
    frame = compare({"a": halved}, [4], lambda n: torch.zeros(n).bfloat16(), **options, threads=2)
    row = frame.iloc[0]
    assert row["device"] == "cpu"
    assert row["processor"]
    assert (row["dtype"], row["threads"], row["clock"]) == ("bfloat16", 2, "cpu")
    assert row["torch"] == torch.__version__
    frame.to_csv(tmp_path / "frame.csv", index=False)
    back = pd.read_csv(tmp_path / "frame.csv", keep_default_na=False, na_values=[""])
    assert back[list(CONDITIONS)].iloc[0].tolist() == frame[list(CONDITIONS)].iloc[0].tolist()
    layer = nn.Linear(4, 4).double()
    frame = compare({"layer": layer}, [4], lambda n: torch.zeros(n, 4).double(), **options)
    assert frame["dtype"].item() == "float64"
    assert compare({"a": one}, [4], lambda n: n, **options)["dtype"].item() == ""
    with torch.autocast("cpu", torch.bfloat16):
        frame = compare({"a": halved}, [4], torch.zeros, clock="wall", **options)
    assert frame["dtype"].item() == "float32, autocast bfloat16"
    assert frame["clock"].item() == "wall"


def test_what_the_lengths_are_can_be_named(frame):
    named = compare({"a": one}, [1, 2], lambda n: n, rounds=1, min_seconds=1e-9, x_name="batch")
    assert named["batch"].tolist() == [1, 2]
    assert "length" not in named
    renamed = frame.rename(columns={"length": "batch"})
    words = describe(renamed)
    assert "over batch from 64 to 512" in words
    assert "Exponent of batch in time: 2.00 for SDPA" in words
    chart = draw(renamed).to_dict()
    assert chart["layer"][0]["encoding"]["x"]["title"] == "batch"


def test_seconds_are_those_of_one_call():
    cost = measure(lambda: time.sleep(0.01), min_seconds=0.05, rounds=3)
    assert 0.01 <= cost.seconds < 0.05
    assert 0 <= cost.spread < 0.05


def test_the_cpu_clock_does_not_count_waiting():
    def waits():
        time.sleep(0.02)

    assert measure(waits, clock="cpu", min_seconds=1e-5, rounds=2).seconds < 0.005
    frame = compare({"waits": waits}, [1], lambda n: (), rounds=2)
    assert frame["seconds"].item() < 0.005
    frame = compare({"waits": waits}, [1], lambda n: (), rounds=2, clock="wall")
    assert frame["seconds"].item() >= 0.02


def test_many_rounds_of_a_slow_call_have_a_spread():
    pause = itertools.cycle([0.01, 0.03])
    cost = measure(lambda: time.sleep(next(pause)), min_seconds=0.001, rounds=8)
    assert cost.spread > 0.005


def test_threads_are_put_back_even_after_an_error():
    seen = []
    before = torch.get_num_threads()
    measure(lambda: seen.append(torch.get_num_threads()), threads=2, **QUICK)
    compare({"a": lambda n: seen.append(torch.get_num_threads())}, [1], lambda n: n, threads=2)
    assert set(seen) == {2}
    for call in (
        lambda fn: measure(fn, threads=2),
        lambda fn: compare({"a": fn}, [1], lambda n: (), threads=2),
    ):
        with pytest.raises(ZeroDivisionError):
            call(lambda: 1 / 0)
        assert torch.get_num_threads() == before


def test_competitors_take_turns():
    calls = []
    competitors = {name: lambda n, name=name: calls.append((name, n)) for name in "abc"}
    compare(competitors, [8, 4], lambda n: n, rounds=6, min_seconds=1e-9)
    short = [name for name, n in calls if n == 4]
    assert short[-18:] == list("abc") * 6
    assert calls == sorted(calls, key=lambda call: call[1])


def test_the_frame_holds_each_competitor_and_length():
    frame = compare(
        {"square": lambda x: x @ x, "cube": lambda x: x @ x @ x},
        [16, 8, 16],
        lambda n: torch.randn(n, n),
        rounds=3,
        min_seconds=0.001,
    )
    assert tuple(frame.columns) == COLUMNS + CONDITIONS
    assert frame["name"].tolist() == ["square", "cube"] * 2
    assert frame["length"].tolist() == [8, 8, 16, 16]
    assert frame["flops"].tolist() == [1024, 2048, 8192, 16384]
    assert frame["peak_bytes"].tolist() == [256, 512, 1024, 2048]
    assert frame.loc[frame["name"] == "square", "ratio"].tolist() == [1.0, 1.0]
    assert (frame["seconds"] > 0).all()
    assert (frame["note"] == "").all()


def test_ratios_are_paired_by_round(monkeypatch):
    # the machine slows down fourfold in the middle; in every round b takes half of a's time
    clock = [0.0]
    turns = itertools.count()
    monkeypatch.setitem(CLOCKS, "cpu", lambda: clock[0])

    def work(seconds):
        def fn(n):
            slow = 4.0 if next(turns) > 10 else 1.0
            clock[0] += seconds * slow

        return fn

    frame = compare({"a": work(2.0), "b": work(1.0)}, [1], lambda n: n, rounds=5)
    assert frame["ratio"].tolist() == [1.0, 0.5]
    frame = compare({"a": work(2.0), "b": work(1.0)}, [1], lambda n: n, baseline="b")
    assert frame["ratio"].tolist() == [2.0, 1.0]
    assert frame["seconds"].tolist() == [8.0, 4.0]


@pytest.mark.parametrize(
    "error",
    [
        MemoryError(),
        torch.OutOfMemoryError("CUDA out of memory"),
        RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 9 bytes."),
    ],
)
def test_a_competitor_out_of_memory_leaves_the_race(error):
    asked = []

    def greedy(n):
        asked.append(n)
        if n > 2:
            raise error

    frame = compare({"greedy": greedy, "modest": lambda n: None}, [1, 2, 4, 8], lambda n: n)
    rows = frame[frame["name"] == "greedy"].set_index("length")
    assert rows["note"].tolist() == ["", "", "out of memory", "out of memory"]
    assert rows["seconds"].notna().tolist() == [True, True, False, False]
    assert asked.count(4) == 1
    assert 8 not in asked
    modest = frame[frame["name"] == "modest"].set_index("length")
    assert modest["seconds"].notna().all()
    assert modest["ratio"].notna().tolist() == [True, True, False, False]


def test_memory_really_running_out():
    too_much = 2**46
    frame = compare(
        {"some": lambda n: torch.zeros(n), "all": lambda n: torch.zeros(n * too_much)},
        [1],
        lambda n: n,
    )
    assert frame["note"].tolist() == ["", "out of memory"]


def test_other_errors_are_not_swallowed():
    def broken(n):
        raise RuntimeError("shapes do not fit")

    with pytest.raises(RuntimeError, match="shapes do not fit"):
        compare({"broken": broken}, [1], lambda n: n)


def test_limits():
    asked = []
    frame = compare(
        {"a": lambda n: None, "slow": asked.append}, [1, 2, 4], lambda n: n, limits={"slow": 2}
    )
    assert set(asked) == {1, 2}
    assert frame["note"].tolist()[-1] == "past its limit of 2"
    assert frame["seconds"].isna().tolist() == [False] * 5 + [True]


@given(
    st.floats(-1, 4),
    st.floats(1e-6, 1e6),
    st.lists(st.integers(1, 10**6), min_size=2, max_size=9, unique=True),
)
def test_an_exact_power_law_is_recovered(exponent, factor, lengths):
    values = [factor * n**exponent for n in lengths]
    fit = fit_exponent(lengths, values)
    # float64 leaves about 1e-16 in a logarithm, spread over the range of the logarithms
    near = 1e-9 / math.log(max(lengths) / min(lengths))
    assert fit.exponent == pytest.approx(exponent, abs=max(near, 1e-9))
    assert math.isnan(fit.stderr) if len(lengths) == 2 else fit.stderr < max(near, 1e-6)


def test_the_standard_error_is_that_of_a_regression():
    from scipy.stats import linregress

    rng = np.random.default_rng(0)
    lengths = 2.0 ** np.arange(5, 13)
    values = lengths**1.7 * np.exp(rng.normal(0, 0.2, len(lengths)))
    oracle = linregress(np.log(lengths), np.log(values))
    fit = fit_exponent(lengths, values)
    assert fit == pytest.approx((oracle.slope, oracle.stderr))
    padded = fit_exponent([*lengths, 9999], [*values, math.nan])
    assert padded == fit


@pytest.fixture
def frame():
    rows = []
    for name, power in (("SDPA", 2.0), ("O'Hara's \"window\"", 1.0)):
        for n in (64, 128, 256, 512):
            time, flops = 1e-6 * n**power, 0.0 if power == 1 else n**power
            rows.append([name, n, time, 0.0, 4.0 * n**power, flops, 1.0, ""])
    rows.append(["SDPA", 1024, *[math.nan] * 5, "out of memory"])
    return pd.DataFrame(rows, columns=list(COLUMNS))


def test_the_picture_in_words(frame):
    words = describe(frame)
    assert "lengths 64 to 512" in words
    assert "in time: 2.00 for SDPA; 1.00 for O'Hara" in words
    assert "in FLOPs: 2.00 for SDPA." in words


def test_the_picture_is_drawn(frame, tmp_path):
    import vl_convert

    chart = draw(frame)
    spec = chart.to_dict()
    assert spec["description"] == describe(frame)
    bound = {p["name"]: p["bind"]["options"] for p in spec["params"]}
    assert bound == {
        "quantity": ["time", "memory", "FLOPs"],
        "competitor": ["all", "SDPA", "O'Hara's \"window\""],
    }
    lines = spec["layer"][0]
    assert {"line", "point"} <= {layer["mark"]["type"] for layer in spec["layer"]}
    assert (
        lines["encoding"]["x"]["scale"]["type"] == lines["encoding"]["y"]["scale"]["type"] == "log"
    )
    assert "competitor == datum.name" in json.dumps(lines["encoding"]["opacity"])
    (rows,) = map(pd.DataFrame, spec["datasets"].values())
    for column, quantity, factor in (
        ("seconds", "time", 1e3),
        ("peak_bytes", "memory", 2.0**-20),
        ("flops", "FLOPs", 1e-9),
    ):
        shown = rows[rows["quantity"] == quantity].set_index(["name", "length"])["value"]
        measured = frame[frame[column] > 0].set_index(["name", "length"])[column]
        assert shown.to_dict() == pytest.approx((factor * measured).to_dict())
    for quantity, unit in (("time", "ms"), ("memory", "MiB"), ("FLOPs", "GFLOP")):
        spec["params"][0]["value"] = quantity
        svg = vl_convert.vegalite_to_svg(spec).replace("&quot;", '"')
        assert unit in svg
        assert "SDPA: exponent 2.00" in svg
        assert ("none counted" in svg) == (quantity == "FLOPs")
        assert ('window": exponent 1.00' in svg) == (quantity != "FLOPs")


def race(**times):
    """Seconds per length 64, 128, 256, 512; the first is the baseline."""
    first = next(iter(times.values()))
    rows = [
        [name, n, t, 0.0, 1.0, 1.0, t / base, ""]
        for name, seconds in times.items()
        for n, t, base in zip((64, 128, 256, 512), seconds, first, strict=True)
    ]
    return pd.DataFrame(rows, columns=list(COLUMNS))


def test_who_overtakes_is_marked_where_the_lines_cross():
    frame = race(
        all=[1.0, 4.0, 16.0, 64.0],
        linear=[4.0, 8.0, 16.0 / 2**0.5, 32.0],
        ahead=[0.5, 0.5, 0.5, 0.5],
        behind=[2.0, 8.0, 32.0, 128.0],
        wavers=[0.5, 8.0, 8.0, 80.0],
    )
    found = crossovers(frame)
    # ratios 2 at 128 and sqrt(1/2) at 256: level after 1 / 1.5 of the way on log axes
    assert found == {"linear": pytest.approx(128 * 2 ** (2 / 3))}
    words = describe(frame)
    assert "linear is faster than all from about 200." in words
    assert "ahead is faster" not in words
    (mark,) = min(draw(frame).to_dict()["datasets"].values(), key=len)
    assert mark["name"] == "linear"
    # the baseline's own line there: 4 at 128, four times as much per doubling
    assert mark["value"] == pytest.approx(4e3 * 4 ** (2 / 3))
    frame["against"] = "a peer of its own"
    assert crossovers(frame) == {}


def test_one_quantity_has_no_switch(frame):
    spec = draw(frame, panels=("peak_bytes",)).to_dict()
    assert [p["name"] for p in spec["params"]] == ["competitor"]
    assert spec["layer"][0]["encoding"]["y"]["title"] == "peak memory (MiB)"
    assert "filter" not in json.dumps(spec)
    assert draw(frame, panels="flops").to_dict()["layer"][0]["encoding"]["y"]["title"]
    with pytest.raises(ValueError, match="panels is 'speed'; it must be one of 'seconds'"):
        describe(frame, panels=("flops", "speed"))
    with pytest.raises(ValueError, match="panels is empty; it must hold one or more of seconds"):
        draw(frame, panels=[])


def test_fits_can_leave_short_lengths_out(frame):
    frame.loc[frame["length"] == 64, "seconds"] = 1.0
    assert "in time: 2.00 for SDPA" not in describe(frame)
    assert "in time: 2.00 for SDPA" in describe(frame, fit_from=128)


def one(n):
    return None


@pytest.mark.parametrize(
    ("call", "named"),
    [
        (lambda: measure(one, 1, clock="sun"), "clock is 'sun'"),
        (lambda: measure(one, torch.ones(1, device="meta"), clock="cpu"), "tensors on meta"),
        (lambda: measure(one, 1, threads=0), "threads is 0"),
        (lambda: measure(one, 1, rounds=0), "rounds is 0"),
        (lambda: measure(one, 1, min_seconds=0.0), "min_seconds is 0.0"),
        (lambda: compare({}, [1], one), "competitors is empty"),
        (lambda: compare([one], [1], one), r"competitors is a list; it must be a mapping, \{name"),
        (lambda: compare("one", [1], one), "competitors is a str; it must be a mapping"),
        (lambda: compare({"a": one}, [1], one, x_name="seconds"), "x_name is 'seconds'"),
        (lambda: compare({"a": one}, [1], one, clock="cpuu"), r"did you mean 'cpu'\?"),
        (lambda: compare({"a": one}, [], one), r"lengths is \[\]"),
        (lambda: compare({"a": one}, [0], one), r"lengths is \[0\]"),
        (lambda: compare({"a": one}, [1], one, baseline="b"), "baseline names 'b'"),
        (lambda: compare({"a": one}, [1], one, limits={"b": 1}), "limits names 'b'"),
        (lambda: compare({"a": one}, [1], one, rounds=0), "rounds is 0"),
        (lambda: compare({"a": one}, [1], one, threads=0), "threads is 0"),
        (lambda: compare({"a": one}, [1], one, min_seconds=0.0), "min_seconds is 0.0"),
        (lambda: compare({"a": one}, [1], one, clock="sun"), "clock is 'sun'"),
        (lambda: fit_exponent([4], [1.0]), "with a value; it must hold two"),
        (lambda: fit_exponent([4, 4], [1.0, 2.0]), "with a value; it must hold two"),
        (lambda: fit_exponent([], []), "with a value; it must hold two"),
        (lambda: fit_exponent([1, 2], [1.0, 0.0]), "each must have a logarithm"),
        (lambda: fit_exponent([1, 2], [1.0]), "lengths holds 2 and values 1; there must be one"),
        (lambda: fit_exponent(["a", "b"], [1, 2]), "both must be numbers"),
        (lambda: measure(3), "fn is 3; it must be a function"),
        (lambda: measure(one, rounds="3"), "rounds is '3'; it must be a whole number"),
        (lambda: measure(one, 1, threads=1.5), "threads is 1.5; it must be a whole number"),
        (lambda: compare({"a": 3}, [1], one), "the competitor 'a' is 3; it must be a function"),
        (lambda: compare({"a": one}, [1], 3), "make_inputs is 3; it must be a function"),
        (lambda: compare({"a": one}, [1.5], one), r"lengths is \[1.5\]"),
        (lambda: compare({"a": one}, "ab", one), r"lengths is \['a', 'b'\]"),
        (lambda: draw(pd.DataFrame({"name": ["a"]})), "frame lacks"),
        (
            lambda: draw(pd.DataFrame([dict.fromkeys(COLUMNS, math.nan)])),
            "frame has no measured row",
        ),
    ],
)
@pytest.mark.usefixtures("unchecked")
def test_bad_arguments_are_named(call, named):
    with pytest.raises(ValueError, match=named):
        call()


@pytest.mark.cuda
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_on_cuda():
    x = torch.zeros(64 * 2**20 // 4 // 1024, 1024, device="cuda")
    cost = measure(lambda x: x.softmax(dim=-1), x)
    assert cost.peak_bytes == pytest.approx(64 * 2**20, rel=0.01)
    assert cost.seconds > 64 * 2**20 / 20e12  # no GPU reads faster than 20 TB/s
    frame = compare({"mm": lambda x: x @ x.mT}, [64], lambda n: torch.ones(n, n, device="cuda"))
    assert frame["flops"].item() == 2 * 64**3
