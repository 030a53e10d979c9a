"""Search shows sentences: whole, without code, markup or what belongs to the page around them."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from docutils import nodes
from playwright.sync_api import expect

from booktools.search import FOLDER, plain_formula, sentences_of, split
from tests.site.conftest import SOURCES


@pytest.mark.parametrize(
    ("text", "sentences"),
    [
        ("One thing. Another one.", ["One thing.", "Another one."]),
        ("It takes 1.5 s.\nThen it ends.", ["It takes 1.5 s.", "Then it ends."]),
        ("So say Kitaev et al. They hash.", ["So say Kitaev et al. They hash."]),
        ("Is it? It is! (Really.) Yes.", ["Is it?", "It is!", "(Really.)", "Yes."]),
    ],
)
def test_a_text_is_cut_at_its_sentences(text, sentences) -> None:
    assert split(text) == sentences


@pytest.mark.parametrize(
    ("tex", "plain"),
    [
        (r"\alpha", "α"),
        (r"N^2", "N^2"),
        (r"\mathrm{softmax}(s_{ij})", "softmax(s_ij)"),
        (r"N \le 2w + 1", "N ≤ 2w + 1"),
    ],
)
def test_a_formula_is_told_in_letters(tex, plain) -> None:
    assert plain_formula(tex) == plain


def test_sentences_know_their_section_and_leave_out_code_and_citations() -> None:
    document = nodes.document(None, None)
    top = nodes.section(ids=["page"])
    inner = nodes.section(ids=["the-idea"])
    first = nodes.paragraph("", "Tokens that hash alike meet in a bucket [Kitaev et al., 2020].")
    second = nodes.paragraph("", "Every head has ")
    second += [nodes.math("", "d_k"), nodes.Text(" channels of its own.")]
    code = nodes.literal_block("", "print('no sentence of the page at all.')")
    top += [first, inner]
    inner += [second, code]
    document += top
    assert sentences_of(document) == [
        ("", "Tokens that hash alike meet in a bucket."),
        ("the-idea", "Every head has d_k channels of its own."),
    ]


def test_every_page_has_its_sentences(html: Path) -> None:
    for name in SOURCES:
        script = (html / FOLDER / f"{name}.js").read_text(encoding="utf-8")
        start = f'frugalSentences("{name}",'
        assert script.startswith(start)
        told = json.loads(script.removeprefix(start).removesuffix(");\n"))
        assert told or name.endswith("references")
        for _, sentence in told:
            assert "\n" not in sentence, name
            assert "</" not in sentence.replace("</s>", ""), name  # that is a token, as code
            assert not re.search(r"\bimport frugal\b|\bfrom frugal[\w.]* import\b", sentence), name


def test_results_show_the_sentence_and_lead_to_its_section(visit, address) -> None:
    page = visit.open(f"{address}/search.html?q=reversible+layers")
    first = page.locator("#search-results li:has(p.frugal-excerpt)").first
    first.wait_for()
    page.wait_for_timeout(300)
    told = page.locator("p.frugal-excerpt").all_text_contents()
    assert len(told) > 2
    for excerpt in told:
        assert excerpt[0].isupper() or not excerpt[0].isalpha(), excerpt
        assert excerpt.rstrip("\"'”’)")[-1] in ".!?…:", excerpt
        assert len(excerpt) <= 245
        assert "import " not in excerpt
    hashing = page.locator("#search-results li", has_text="Hashing").first
    expect(hashing.locator("mark", has_text="reversible").first).to_be_visible()
    assert "#" in (hashing.locator("a").first.get_attribute("href") or "")
    assert visit.errors + visit.foreign == []


def test_excerpts_need_no_server(visit, html: Path) -> None:
    page = visit.open((html / "search.html").as_uri() + "?q=reversible")
    page.locator("p.frugal-excerpt").first.wait_for()
    assert visit.errors == []
