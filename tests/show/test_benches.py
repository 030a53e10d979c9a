import json

import pandas as pd
import pytest

from frugal import results
from frugal.show import dots
from frugal.show.benches import describe_dots


@pytest.fixture
def bench(tmp_path):
    """Two lengths forward, one in training; twice two rounds and once three."""
    cases = {
        "forward 512 full": (None, [2.0, 2.0], None),
        "forward 512 ours": ("forward 512 full", [3.0, 1.0], [1.5, 0.5]),
        "forward 2048 full": (None, [8.0, 8.0], None),
        "forward 2048 ours": ("forward 2048 full", [2.0, 2.4], [0.25, 0.3]),
        "training 2048 full": (None, [20.0], None),
        "training 2048 ours": ("training 2048 full", [10.0], [0.5]),
    }
    known = json.loads(results.results_folder().joinpath("bench_sinkhorn.json").read_text())
    settings = {
        name: {"against": peer, "bar": 0.4 if "2048 ours" in name else None}
        for name, (peer, _, _) in cases.items()
    }
    runs = [
        known["runs"][0]
        | {
            "setting": name,
            "seed": seed,
            "values": {"seconds": s} | ({"ratio": r[seed]} if r else {}),
        }
        for name, (_, seconds, r) in cases.items()
        for seed, s in enumerate(seconds)
    ]
    path = tmp_path / "bench_small.json"
    path.write_text(json.dumps(known | {"name": "bench_small", "settings": settings, "runs": runs}))
    return results.load("bench_small", folder=tmp_path)


def rows_of(chart):
    sets = chart.state["spec"]["datasets"].values()
    return pd.concat(map(pd.DataFrame, sets)).drop_duplicates(["kind", "size", "row"])


def test_a_dot_is_the_median_and_its_line_the_rounds(bench):
    rows = rows_of(dots(bench)).set_index(["kind", "size"])
    assert set(rows["row"]) == {"ours / full"}
    assert rows.loc[("forward", 512), ["ratio", "low", "high", "ms"]].to_list() == [
        1.0,
        0.5,
        1.5,
        2000.0,
    ]
    assert rows.loc[("forward", 2048), "ratio"] == pytest.approx(0.275)
    assert rows.loc[("forward", 2048), "promised"] == 0.4
    assert rows.loc[("training", 2048), "ratio"] == 0.5


def test_it_is_said_in_words(bench):
    assert describe_dots(bench) == dots(bench).alt
    assert describe_dots(bench).endswith(
        "Forward, ours / full: 1.00 at 512, 0.28 at 2,048. Training, ours / full: 0.50 at 2,048. "
        "An upright mark is what the book promises at most."
    )
    only = ["training 2048 ours"]
    words = describe_dots(bench, only=only, names={"ours": "frugal"})
    assert "Training, frugal / full: 0.50" in words


def test_a_name_that_is_not_there_is_one_sentence(bench):
    with pytest.raises(ValueError, match=r"^only has 'x'; 'bench_small' has \['forward 512 full'"):
        dots(bench, only=["x"])
    with pytest.raises(ValueError, match=r"^no setting of 'bench_small' .* has a peer\.$"):
        dots(bench, only=["forward 512 full"])


@pytest.mark.parametrize(
    "path", sorted(results.results_folder().glob("bench_*.json")), ids=lambda p: p.stem
)
def test_every_recorded_bench_has_its_dots(path):
    import vl_convert

    bench = results.load(path.stem)
    chart = dots(bench)
    shown = rows_of(chart)
    peers = [name for name, about in bench.settings.items() if about["against"]]
    assert len(shown) == len(peers)
    assert ((shown["low"] <= shown["ratio"]) & (shown["ratio"] <= shown["high"])).all()
    svg = vl_convert.vegalite_to_svg(chart.state["spec"])
    assert svg.count('aria-roledescription="circle"') == len(peers)
