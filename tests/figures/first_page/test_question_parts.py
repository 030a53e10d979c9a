"""The map's Python side: parts, links, still picture, bad input."""

import pytest

from frugal.figures.first_page.question_map import PARTS, Method, Part, QuestionMap


def test_the_book_has_six_parts_and_three_questions():
    assert [part.number for part in PARTS] == [1, 2, 3, 4, 5, 6]
    assert {part.number: part.about for part in PARTS if part.about} == {
        2: "interactions",
        3: "representations",
        4: "parameters",
    }
    names = [method.name for part in PARTS for method in part.methods]
    assert len(names) == len(set(names)) == 30
    assert all(method.says.endswith(".") for part in PARTS for method in part.methods)


def test_links_reach_their_methods_and_no_others():
    figure = QuestionMap(links={"Hashing": "hashing.html", "Bytes": "bytes.html"}, part=1)
    linked = {
        method["name"]: method["href"]
        for part in figure.state["parts"]
        for method in part["methods"]
        if method["href"]
    }
    assert linked == {"Hashing": "hashing.html", "Bytes": "bytes.html"}
    assert figure.state["part"] == 1
    assert PARTS[1].methods[3].href is None


def test_parts_of_another_book():
    part = Part(
        number=1,
        title="Why?",
        text="Because.",
        methods=[Method(name="One", says="one thing.", href="one.html")],
        about="parameters",
    )
    figure = QuestionMap(parts=[part])
    assert figure.state["parts"][0]["methods"][0]["href"] == "one.html"
    assert "Why?" in figure.alt


def test_the_still_picture_asks_the_questions():
    axes = QuestionMap().picture().axes[0]
    words = [text.get_text() for text in axes.texts]
    assert "2  Which interactions are needed?" in words
    assert len(axes.lines) == 4 * 8 * 8


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"links": {"Hash": "hash.html"}}, "links has 'Hash'"),
        ({"parts": []}, "parts is empty"),
    ],
)
def test_bad_input_is_refused_in_one_sentence(options, words):
    with pytest.raises(ValueError, match=words):
        QuestionMap(**options)
