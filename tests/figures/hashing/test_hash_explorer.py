"""The hash explorer in a browser: the library's numbers, and vectors that move by mouse and key."""

import random

import pytest
import torch

from frugal.attention.lsh import attention as lsh
from frugal.attention.lsh import lsh_visible
from frugal.figures.hashing.hash_explorer import HashExplorer
from tests.browsing import hard_to_use

ANGLES = [0, 90, 180, 270, 10, 100, 190, 280]


def test_formulas_equal_those_of_the_library(formulas, monkeypatch):
    page = formulas("lsh_formulas.js", "lsh")
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
    ring_shows = figure.get_by_label("Ring shows")
    assert ring_shows.input_value() == "1"  # there is no second any more
    ring_shows.press("End")
    assert ring_shows.input_value() == "1"


def step(figure, number):
    figure.locator(".frugal-steps button").nth(number - 1).click()


def found_by_round(figure):
    return [text.strip() for text in figure.locator(".hash-finds").all_inner_texts()[1:] if text]


def test_the_first_state_shows_that_a_second_round_brings_back_what_the_first_lost(show):
    figure = show(HashExplorer(rounds=2))
    assert found_by_round(figure) == ["0 of 3", "3 of 3"]
    assert "Of its 3 nearest none is lost." in words(figure)
    assert figure.locator(".hash-missed").count() == 0
    current = figure.locator(".frugal-steps [aria-current=step]")
    assert current.inner_text().startswith("1 ")
    step(figure, 2)
    assert current.inner_text().startswith("2 ")
    assert "4, 8 and 12 are lost." in words(figure)
    assert figure.locator(".hash-missed").count() == 3
    ring = figure.locator(".hash-point.hash-query").get_attribute("data-bucket")
    others = figure.locator(".hash-point:nth-of-type(n)").evaluate_all(
        "(all) => all.filter((it) => ['4', '8', '12'].includes(it.textContent))"
        ".map((it) => it.dataset.bucket)"
    )
    assert ring not in others  # a border lies between
    step(figure, 3)
    assert len(found_by_round(figure)) == 8
    point = figure.get_by_role("slider", name="Vector 9", exact=True)
    point.press("PageUp")
    assert current.count() == 0  # the reader has left the steps
    step(figure, 1)
    assert found_by_round(figure) == ["0 of 3", "3 of 3"]


@pytest.mark.parametrize("width", [1280, 390])
def test_no_number_hides_another_and_nothing_changes_its_height(show, visit, width):
    page = visit.page
    page.set_viewport_size({"width": width, "height": 900})
    figure = show(HashExplorer(rounds=2))
    heights, problems = set(), []

    def look():
        heights.add(figure.bounding_box()["height"])
        problems.extend(figure.evaluate(APART))

    look()
    for number in (1, 2, 3):
        step(figure, number)
        look()
    figure.get_by_label("Buckets").press("End")
    look()
    point = figure.get_by_role("slider", name="Vector 3", exact=True)
    for _ in range(12):  # through the other groups
        point.press("PageUp")
        point.press("ArrowLeft")
        look()
    assert problems == []
    assert len(heights) == 1
    stops = figure.locator("input, button, select, [tabindex='0']").count()
    assert stops <= 12
    assert hard_to_use(figure, ".hash-point") == []


# Pairs of discs that lie on each other, and cells whose number is wider than they are.
APART = """(figure) => {
  const all = [...figure.querySelectorAll(".hash-point circle")];
  const boxes = all.map((it) => it.getBoundingClientRect());
  const discs = boxes.flatMap((a, i) => boxes.slice(0, i).filter((b) =>
    Math.hypot(a.x - b.x, a.y - b.y) < a.width - 2.1).map((b) => `disc ${i} at ${a.x} ${a.y}`));
  const cells = [...figure.querySelectorAll(".hash-cell")].filter((it) => {
    const range = document.createRange();
    range.selectNodeContents(it);
    return range.getBoundingClientRect().width > it.getBoundingClientRect().width;
  });
  return [...discs, ...cells.map((it) => `cell ${it.textContent}`)];
}"""


def test_the_still_picture_shows_every_vector_once_a_round():
    figure = HashExplorer(rounds=3)
    circle, rows = figure.picture().axes
    assert sorted(int(text.get_text()) for text in circle.texts) == list(range(15))
    assert sorted(int(text.get_text()) for text in rows.texts) == sorted(3 * list(range(15)))


def test_buckets_that_do_not_divide_the_vectors():
    with pytest.raises(ValueError, match="bucket_size is 4; it must divide the 15 vectors"):
        HashExplorer(bucket_size=4)
