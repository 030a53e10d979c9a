"""The hash explorer in a browser: the library's numbers, and vectors that move by mouse and key."""

import random
from pathlib import Path

import pytest
import torch

from frugal.attention.lsh import attention as lsh
from frugal.attention.lsh import lsh_visible
from frugal.figures.hashing.hash_explorer import HashExplorer
from frugal.show.modules import bundle

FIGURE = Path(__file__).parents[3] / "lib" / "frugal" / "figures" / "hashing"
ANGLES = [0, 90, 180, 270, 10, 100, 190, 280]


def test_formulas_equal_those_of_the_library(visit, monkeypatch):
    page = visit.page
    page.goto("about:blank")
    page.evaluate(f"window.lsh = {bundle(FIGURE / 'lsh_formulas.js')}; null")
    rng = random.Random(0)
    for _ in range(12):
        angles = [rng.randrange(360) for _ in range(24)]
        rounds, half = rng.randrange(1, 5), rng.randrange(1, 5)
        figure = HashExplorer(angles, rounds=rounds, n_buckets=2 * half, seed=rng.randrange(99))
        columns = figure.state["draws"][0]
        found = page.evaluate(
            """([angles, draws, rounds, half]) => {
              const buckets = Array.from({ length: rounds }, (_, r) =>
                angles.map((a) => lsh.bucketOf(lsh.unit(a), draws[r].slice(0, half))));
              const seen = lsh.visible(buckets, 3);
              return { buckets, seen, recall: lsh.recall(angles, seen, 3),
                       nearest: angles.map((_, i) => lsh.nearest(angles, i, 3)) };
            }""",
            [angles, columns, rounds, half],
        )
        buckets = figure.buckets()
        assert found["buckets"] == buckets.tolist()
        monkeypatch.setattr(lsh, "_buckets", lambda *_, found=buckets: found[None, None])
        seen = lsh_visible(torch.ones(1, 1, 24, 2), bucket_size=3, n_hashes=rounds)[0, 0]
        itself = torch.eye(24, dtype=torch.bool)
        assert found["seen"] == (seen & ~itself).tolist()
        hits = sum(found["seen"][i][j] for i in range(24) for j in found["nearest"][i])
        assert found["recall"] == pytest.approx(hits / 72)
        for i, near in enumerate(found["nearest"]):
            apart = [min((angles[i] - a) % 360, (a - angles[i]) % 360) for a in angles]
            others = sorted(apart[j] for j in range(24) if j != i)
            assert sorted(apart[j] for j in near) == others[:3]


def words(figure):
    return figure.locator(".frugal-readout").inner_text()


def test_arrow_keys_turn_a_vector(show):
    figure = show(HashExplorer(ANGLES, bucket_size=2, rounds=1))
    point = figure.get_by_role("slider", name="Vector 1", exact=True)
    before = point.get_attribute("transform")
    point.press("ArrowLeft")
    assert point.get_attribute("aria-valuenow") == "93"
    point.press("PageDown")
    assert point.get_attribute("aria-valuenow") == "63"
    assert point.get_attribute("transform") != before
    assert words(figure).startswith("Vector 1 sees")
    for _ in range(25):
        point.press("ArrowRight")
    assert point.get_attribute("aria-valuenow") == "348"  # past 0


def test_a_vector_follows_the_mouse_and_changes_its_bucket(show):
    figure = show(HashExplorer(ANGLES, bucket_size=2, rounds=1))
    point = figure.get_by_role("slider", name="Vector 0", exact=True)
    rows = figure.locator(".hash-cells")
    sorted_before, bucket = rows.inner_text(), point.get_attribute("data-bucket")
    circle = figure.locator(".hash-circle").bounding_box()
    middle = circle["x"] + circle["width"] / 2, circle["y"] + circle["height"] / 2
    mouse = figure.page.mouse
    point.hover()
    mouse.down()
    mouse.move(middle[0] - 80, middle[1], steps=4)
    assert point.get_attribute("aria-valuenow") == "180"
    assert point.get_attribute("data-bucket") != bucket  # the opposite of its bucket
    assert rows.inner_text() != sorted_before
    mouse.move(middle[0], middle[1] - 80, steps=4)
    assert point.get_attribute("aria-valuenow") == "90"
    mouse.up()
    mouse.move(middle[0] + 80, middle[1], steps=4)
    assert point.get_attribute("aria-valuenow") == "90"  # let go


def test_rounds_add_rows_and_find_more(show):
    figure = show(HashExplorer(rounds=1))
    found = []
    rounds = figure.get_by_label("Rounds", exact=True)
    for count in range(1, 9):
        assert figure.locator(".hash-order").count() == count
        found.append(int(words(figure).split(" % of the nearest")[0].split()[-1]))
        rounds.press("ArrowRight")
    assert found == sorted(found)
    assert found[0] < 70 < found[-1]


def test_buckets_directions_and_the_ring_move(show):
    figure = show(HashExplorer(rounds=2, n_buckets=2))
    ring = figure.locator(".hash-sector")
    assert ring.count() == 2
    before = ring.first.get_attribute("d")
    figure.get_by_label("Ring shows").press("ArrowRight")
    assert ring.first.get_attribute("d") != before
    second = ring.first.get_attribute("d")
    figure.get_by_role("button", name="New directions").click()
    assert ring.first.get_attribute("d") != second
    figure.get_by_label("Buckets").press("End")
    assert 4 <= ring.count() <= 8
    assert len(set(ring.evaluate_all("(all) => all.map((it) => it.dataset.bucket)"))) >= 4
    figure.get_by_label("Rounds", exact=True).press("Home")
    assert figure.get_by_label("Ring shows").input_value() == "1"  # there is no second any more


@pytest.mark.parametrize("visit", [{"viewport": {"width": 375, "height": 700}}], indirect=True)
def test_fits_a_narrow_page(show):
    figure = show(HashExplorer(rounds=8))
    stage = figure.locator(".frugal-stage")
    assert stage.evaluate("(it) => it.scrollWidth <= it.clientWidth")


def test_axe_finds_nothing_serious(show):
    from axe_playwright_python.sync_playwright import Axe

    figure = show(HashExplorer())
    found = Axe().run(figure.page).response["violations"]
    assert [one["id"] for one in found if one["impact"] in ("serious", "critical")] == []


def test_the_still_picture_shows_every_vector_once_a_round():
    figure = HashExplorer(rounds=3)
    circle, rows = figure.picture().axes
    assert sorted(int(text.get_text()) for text in circle.texts) == list(range(24))
    assert sorted(int(text.get_text()) for text in rows.texts) == sorted(3 * list(range(24)))
    assert figure.to_png().startswith(b"\x89PNG")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"n_buckets": 3}, "n_buckets is 3"),
        ({"rounds": 9}, "rounds is 9"),
        ({"bucket_size": 5}, "bucket_size is 5"),
        ({"neighbours": 24}, "neighbours is 24"),
        ({"query": 24}, "query is 24"),
    ],
)
def test_bad_arguments_are_named(options, message):
    with pytest.raises(ValueError, match=message):
        HashExplorer(**options)
