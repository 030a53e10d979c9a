"""A chapter opens with its figure: a question, and steps that lead to the answer."""

from __future__ import annotations

import json

import pytest

from tests.book.pages import CHAPTERS

GUIDES = """
() => {
  const heading = [...document.querySelectorAll("article h2")]
    .find((it) => /^[\\d.\\s]*See\\b/.test(it.textContent));
  return [...heading.closest("section").querySelectorAll(".frugal-figure .frugal-steps")].map(
    (guide) => ({
      question: guide.querySelector("p").textContent,
      steps: guide.querySelectorAll("li > button").length,
    }),
  );
}
"""


@pytest.mark.parametrize("name", [f"{file}.html" for file in CHAPTERS])
def test_the_first_figure_asks_a_question_and_leads_to_its_answer(opened, name) -> None:
    guides = opened.page.evaluate(GUIDES)
    assert guides, "no figure under See has steps"
    for guide in guides:
        assert guide["question"].endswith("?")
        assert 2 <= guide["steps"] <= 5


@pytest.mark.parametrize("name", [f"{file}.html" for file in CHAPTERS])
def test_each_step_says_which_part_a_phone_is_to_show(parsed, name) -> None:
    """Where a narrow page has room for one part, a step may ask about another."""
    for figure in parsed(name).select(".frugal-figure"):
        state = json.loads(figure.select_one("script").get_text())
        tries = state.get("guide", {}).get("tries", [])
        if "part" in state:
            assert [one["words"] for one in tries if "part" not in one["state"]] == []
