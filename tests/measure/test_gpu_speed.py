"""What the Speed sections and the appendix say about a GPU is what the files hold."""

import json

import pytest

from frugal.measure import GpuAnswers, GpuSpeed

LATE = "not ended: no time left"
MADE = {
    **{"command": "python -m experiments.gpu", "date": "2026-01-02", "torch": "2.11"},
    **{"python": "3.12", "card": "A card", "fingerprint": "0" * 16},
}


def write(folder, name, runs, settings):
    """A result with these runs: (setting, values, error)."""
    recorded = []
    for setting, values, error in runs:
        run = {"setting": setting, "seed": 0, "seconds": 1.0, "processor": "A card", "commit": "1"}
        recorded.append(run | {"values": values} | ({} if error is None else {"error": error}))
    result = {"name": name, "question": "What?", "settings": settings, "made": MADE}
    path = folder / f"{name}.json"
    path.write_text(json.dumps(result | {"runs": recorded, "smoke": False}))


def timed(seconds, length, *, flops=2e12, moved=1e11):
    values = {"length": length, "batch": 8192 // length}
    for what, times in (("forward", 1), ("training", 3)):
        values |= {
            f"{what} seconds": times * seconds,
            f"{what} spread": 0.0,
            f"{what} flops per second": flops,
            f"{what} bytes per second": moved,
            f"{what} peak bytes": 5e8,
        }
    return values


@pytest.fixture
def folder(tmp_path):
    """Three lengths, of which 2,048 was reached by nobody, and 4,096 not by the kernel."""
    lines = {
        "SDPA, causal": (None, {1024: 0.010, 4096: 0.040}),
        "window, causal": ("SDPA, causal", {1024: 0.005, 4096: 0.004}),
        "strided": ("SDPA, causal", {1024: 0.020, 4096: 0.060}),
        "kernel, causal": ("SDPA, causal", {1024: 0.0101}),
        "softmax layer": (None, {1024: 0.020, 4096: 0.080}),
        "Fourier layer": ("softmax layer", {1024: 0.030, 4096: 0.008}),
    }
    ceilings = {"flops per second": 4e12, "bytes per second": 1e12}
    runs = [("ceilings | 0", ceilings, None)]
    settings = {"ceilings | 0": {"racer": "ceilings"}}
    for racer, (against, seconds) in lines.items():
        for length in (1024, 4096, 2048):
            setting = f"{racer} | {length}"
            settings[setting] = {"racer": racer, "against": against, "length": length}
            flops = 0.0 if racer == "Fourier layer" else 2e12
            values = timed(seconds[length], length, flops=flops) if length in seconds else {}
            runs.append((setting, values, None if values else LATE))
    settings["strange | 1024"] = {"racer": "strange", "against": "SDPA, causal", "length": 1024}
    runs.append(("strange | 1024", {}, "OutOfMemoryError: 3 GiB.\nmore"))
    settings["absent | not installed"] = {"racer": "absent"}
    runs.append(("absent | not installed", {}, "ImportError: No module named 'absent'"))
    write(tmp_path, "gpu_speed", runs, settings)
    return tmp_path


def test_a_row_without_a_number_is_not_shown(folder):
    speed = GpuSpeed("window, causal", "kernel, causal", "strange", "absent", folder=folder)
    table = speed.table()
    assert list(zip(table[""], table["tokens"], strict=True)) == [
        ("window, causal", 1024),
        ("window, causal", 4096),
        ("kernel, causal", 1024),
    ]
    assert list(table["times SDPA's"]) == pytest.approx([0.5, 0.1, 1.01])
    assert "NaN" not in speed._repr_html_()
    assert not table.isna().any(axis=None)
    # the frame still has them, with the reason
    assert LATE in set(speed.frame()["note"])


def test_the_state_of_the_code_is_said(folder):
    said = "numbers of the library at commit 1; what has changed in it since is not in them."
    assert said in GpuSpeed("strided", folder=folder)._repr_html_()
    assert said in str(GpuSpeed("strided", folder=folder))
    assert said in GpuAnswers(folder=folder)._repr_html_()
    assert said not in GpuSpeed("nobody", folder=folder)._repr_html_()


def test_what_was_not_reached_is_said_in_one_line(folder):
    [line] = [
        note
        for note in GpuSpeed("window, causal", "kernel, causal", folder=folder).notes()
        if "Not reached" in note
    ]
    assert line == "Not reached in the time given: 2,048 tokens; “kernel, causal” at 4,096."
    notes = GpuSpeed("strange", "absent", folder=folder).notes()
    assert notes == [
        "“strange” at 1,024 tokens: OutOfMemoryError: 3 GiB.",
        "absent: ImportError: No module named 'absent'.",
    ]


def test_the_verdict_follows_the_numbers(folder):
    speed = GpuSpeed("window, causal", "strided", "kernel, causal", "Fourier layer", folder=folder)
    assert speed.notes()[0] == (
        "Forward, beside SDPA of the same direction: "
        "Faster at 1,024 and 4,096 tokens: “window, causal”. "
        "Slower at 1,024 and 4,096 tokens: “strided”. "
        "As fast, within 5 %, at 1,024 tokens: “kernel, causal”. "
        "Forward, beside a softmax layer: "
        "Slower at 1,024 tokens and faster at 4,096: “Fourier layer”."
    )


def test_the_baseline_has_the_name_that_it_has(folder):
    def columns(*names):
        return set(GpuSpeed(*names, folder=folder).table().columns)

    assert "times SDPA's" in columns("strided")
    assert "times softmax layer's" in columns("Fourier layer")
    assert "times the baseline's" in columns("strided", "Fourier layer")


def test_shares_are_of_the_card_s_own_ceilings(folder):
    row = GpuSpeed("strided", folder=folder).at(1024).loc["strided"]
    assert (row["flops_share"], row["bytes_share"]) == pytest.approx((0.5, 0.1))
    # no product is counted for a Fourier transform: no share, not zero
    assert GpuSpeed("Fourier layer", folder=folder).table()["% of FLOP/s"].isna().all()


def test_reached_asks_for_every_racer(folder, tmp_path_factory):
    speed = GpuSpeed("window, causal", "kernel, causal", folder=folder)
    assert speed.reached(1024)
    assert not speed.reached(1024, 4096)
    assert GpuSpeed("window, causal", folder=folder).reached(1024, 4096)
    assert not GpuSpeed("window, causal", folder=folder).reached(2048)
    nowhere = tmp_path_factory.mktemp("nowhere")
    assert not GpuSpeed("window, causal", folder=nowhere).reached(1024)


def test_the_picture_is_of_time_per_sequence_beside_the_baseline(folder, tmp_path_factory):
    spec = GpuSpeed("window, causal", folder=folder).draw().to_dict()
    [points] = {json.dumps(rows, sort_keys=True) for rows in spec["datasets"].values()}
    shown = {(row["name"], row["length"]): row["value"] for row in json.loads(points)}
    # milliseconds; the batches are 8 and 2
    assert shown == pytest.approx(
        {
            ("SDPA, causal", 1024): 10 / 8,
            ("SDPA, causal", 4096): 40 / 2,
            ("window, causal", 1024): 5 / 8,
            ("window, causal", 4096): 4 / 2,
        }
    )
    assert spec["description"].startswith("Time of SDPA, causal; window, causal over lengths 1024")
    nowhere = tmp_path_factory.mktemp("nowhere")
    assert GpuSpeed("window, causal", folder=nowhere).draw() is None


def test_answers_say_what_did_not_hold(tmp_path):
    assert "Not measured on a GPU yet" in GpuAnswers(folder=tmp_path)._repr_html_()
    bound = {"dtype": "bfloat16", "bound": 0.02}
    wrong = {"output": 0.001, "inputs": None, "weights": 0.03, "inputs on the CPU": 0.004}
    write(
        tmp_path,
        "gpu_correctness",
        [
            ("good", {"output": 0.001, "held": 1}, None),
            ("coarse", {"output": 0.025, "output on the CPU": 0.02, "held": True}, None),
            ("wrong", wrong | {"weights on the CPU": 0.029, "held": False}, None),
            ("late", {}, LATE),
        ],
        dict.fromkeys(("good", "coarse", "wrong", "late"), bound),
    )
    text = str(GpuAnswers(folder=tmp_path))
    assert "2 of 3 comparisons" in text
    assert "in 1 of them, by at most 1.5 times" in text
    assert (
        "wrong: gradients of the inputs not finite (on the CPU 0.40%); of the weights 3.00%" in text
    )
    assert "1 were not reached" in text


def test_answers_measure_the_curves(tmp_path):
    runs = [
        (where, {"loss": [3.0, last], "training seconds": seconds}, None)
        for where, lasts, seconds in (("cpu", (1.0, 2.0), 4.0), ("card", (1.2, 2.0), 2.0))
        for last in lasts
    ]
    write(tmp_path, "gpu_training", runs, {"cpu": {}, "card": {}})
    text = str(GpuAnswers(folder=tmp_path))
    assert "lie 0.1000 nats apart at most" in text  # 1.6 and 1.5 on the mean
    assert "up to 1.00 apart" in text
    assert "2 s on the card and 4 s on the CPU" in text


def test_answers_name_what_does_not_compile(tmp_path):
    same = {
        "graphs": 1.0,
        "breaks": 0.0,
        "output, first length": 1e-6,
        "gradients, first length": 2e-5,
    }
    write(
        tmp_path,
        "gpu_compile",
        [
            ("whole", same, None),
            ("in parts", same | {"graphs": 3.0, "breaks": 2.0}, None),
            ("bad", {}, "InductorError: no.\nand more"),
            ("late", {}, LATE),
        ],
        {name: {} for name in ("whole", "in parts", "bad", "late")},
    )
    text = str(GpuAnswers(folder=tmp_path))
    assert "2 of 4 calls of attentions" in text
    assert "outputs differ by 1.0e-06 at most, gradients by 2.0e-05" in text
    assert "The graph breaks in “in parts”." in text
    assert "“bad” raised an error: InductorError: no." in text


def test_a_racer_that_the_file_does_not_have_is_named_as_missing(folder):
    speed = GpuSpeed("window, causal", "entmax, causal", folder=folder)
    assert speed.measured
    assert speed.missing == ("entmax, causal",)
    assert speed.notes()[-1] == "Not measured on a GPU yet: “entmax, causal”."
    assert not speed.reached(1024)
    assert GpuSpeed("window, causal", folder=folder).reached(1024, 4096)
    alone = GpuSpeed("entmax, causal", folder=folder)
    assert not alone.measured
    assert str(alone).startswith("Not measured on a GPU yet")


def test_what_only_writes_has_no_columns_of_training(tmp_path):
    values = timed(0.01, 1024)
    forward = {name: one for name, one in values.items() if not name.startswith("training")}
    settings = {"writing | 1024": {"racer": "writing", "against": None, "length": 1024}}
    write(tmp_path, "gpu_speed", [("writing | 1024", forward, None)], settings)
    table = GpuSpeed("writing", folder=tmp_path).table()
    assert [column for column in table if "training" in column] == []
    assert table["forward, ms"].item() == pytest.approx(10)
