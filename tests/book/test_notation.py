"""Each symbol has one meaning in the whole book, and the notation page says which."""

import re

import pytest

from tests.book.pages import LISTED, ROOT, source
from tests.book.symbols import Row, formulas, parsed, rows, symbols_of, table

PAGES = [file for file in LISTED if not file.startswith("chapters/appendix/")]
LABS = sorted((ROOT / "solutions/src").glob("*.md"))
INDICES = {"h", "l", "c", "t", "p", "n", "u", "f"}
"""What a lab may use though its chapters do not: which head, layer, channel or step, a probability,
and the letters that live inside one formula."""


def faults(listed: list[Row], pages: dict[str, str]) -> list[str]:
    """What does not fit between the rows of the table and the pages, by symbol and page."""
    known = [symbol for row in listed for symbol in row.symbols]
    found = [f"{s} has two rows" for s in dict.fromkeys(known) if known.count(s) > 1]
    used = {page: symbols_of(text, known) for page, text in pages.items()}
    for page, symbols in used.items():
        allowed = {s for row in listed if row.everywhere or page in row.pages for s in row.symbols}
        found += [
            f"{page} uses {s}, its row does not name the page" for s in sorted(symbols - allowed)
        ]
    for row in listed:
        name = ", ".join(row.symbols)
        readers = list(pages) if row.everywhere else row.pages
        found += [f"{name}: no page is named"] * (not readers)
        found += [f"{name}: {page} is no chapter" for page in readers if page not in pages]
        using = [page for page in readers if used.get(page, set()) & set(row.symbols)]
        if not row.everywhere:
            found += [f"{page} does not use {name}" for page in readers if page not in using]
        elif len(using) < 2:
            found.append(f"{name} is not everywhere, but in {len(using)} page")
        seen = set().union(*(used[page] for page in using))
        found += [f"{s} is used by no page of its row" for s in row.symbols if s not in seen]
        words = "\n".join(pages[page] for page in using)
        found += [
            f"{name}: the code of its pages has no {code}"
            for code in row.names
            if not re.search(rf"\b{re.escape(code)}\b", words)
        ]
    return found


def test_each_symbol_has_one_meaning():
    assert faults(table(), {file: source(file) for file in PAGES}) == []


def chapters_of(lab: str) -> list[str]:
    """The pages whose titles stand where a lab says which chapters it goes with."""
    told = re.search(r"(?s)The lab goes with (.*?)\n\n", lab)
    titles = [" ".join(title.split()) for title in re.findall(r"\*([^*]+)\*", told[1])]
    heads = {file: re.search(r"(?m)^# (.+)$", source(file))[1] for file in PAGES}
    found = [file for file, head in heads.items() if head.rstrip("*") in titles]
    assert len(found) == len(titles), (titles, found)
    return found


@pytest.mark.parametrize("path", LABS, ids=lambda path: path.stem)
def test_a_lab_uses_the_symbols_of_its_chapters(path):
    lab, listed = path.read_text(), table()
    pages = set(chapters_of(lab))
    known = [symbol for row in listed for symbol in row.symbols]
    allowed = {s for row in listed if row.everywhere or pages & set(row.pages) for s in row.symbols}
    words = re.sub(r"(?ms)^(`{3,})\w.*?^\1\s*$", "", lab)  # the cells of a lab are fenced code
    assert symbols_of(words, known) <= allowed | INDICES


TABLE = r"""
| $N$ | tokens | `length` | everywhere |
| $d$ | width | | everywhere |
| $d_k$ | width of a head | | [B](../b.md) |
| $Q$, $q$ | queries | `q` | [A](../a.md), [B](../b.md) |
| $i$, $j$ | places | | everywhere |
"""
A = "Here $q_i$ and `q` have $N$ rows of $d$, `length` of them.\n\n$$\nq_j\n$$\n"
B = "```{dropdown} Solution\n$N d_k$ is $Q$, and not $d$ for $i$.\n```\n"


@pytest.mark.parametrize(
    ("listed", "a", "b", "told"),
    [
        (TABLE, A, B, []),
        (TABLE, A + "And $k_i$.", B, ["uses k_i"]),
        (TABLE, A + r"And $\mathcal{L}$.", B, [r"uses \mathcal{L}"]),
        (TABLE, A + "And $d_k$.", B, ["a uses d_k"]),
        (TABLE, A, B.replace("d_k", "d"), ["b does not use d_k", "d_k is used by no page"]),
        (
            TABLE,
            A.replace("$q_i$", "$i$").replace("q_j", "j"),
            B,
            ["a does not use Q, q", "q is used by no"],
        ),
        (TABLE, A.replace("`q`", ""), B, ["Q, q: the code of its pages has no q"]),
        (TABLE.replace("`q`", "`queries`"), A, B, ["has no queries"]),
        (
            TABLE + "| $d_{k}$ | keys | | everywhere |\n",
            A,
            B,
            ["d_k has two rows", "not everywhere"],
        ),
        (
            TABLE.replace("../b", "../c", 1),
            A,
            B,
            ["b uses d_k", "c is no chapter", "c does not use"],
        ),
    ],
)
def test_what_does_not_fit_is_told(listed, a, b, told):
    found = faults(rows(listed), {"chapters/a": a, "chapters/b": b})
    missing = [part for part in told if not any(part in fault for fault in found)]
    assert missing == []
    assert bool(found) is bool(told)


@pytest.mark.parametrize(
    ("formula", "known", "symbols"),
    [
        (r"\mathrm{softmax}(Q_i K^\top / \sqrt{d_k})", ["d_k"], {"Q_i", "i", "K^\\top", "d_k"}),
        (r"\mathrm{softmax}(Q_i K^\top / \sqrt{d_k})", ["Q", "K", "d"], {"Q", "K", "d", "i", "k"}),
        (r"\tilde J_i^{(t)}", ["J"], {"J", "i", "t"}),
        (r"\hat q \cdot X'_{j'}", [r"\hatq", "X'", "j"], {r"\hatq", "X'", "j"}),
        (r"\bar X", ["X"], {"X"}),
        (r"N_{\text{hop}} + 2^{n_l}", ["N", "n"], {"N", "n", "l"}),
        (r"\mathrm{place}_i \mathbf{1}", [], {"i", r"\mathbf{1}"}),
    ],
)
def test_symbols_are_read_out_of_a_formula(formula, known, symbols):
    assert {name for symbol in parsed(formula) for name in symbol.found(known)} == symbols


def test_an_unknown_command_is_an_error():
    with pytest.raises(ValueError, match="wp"):
        parsed(r"\wp(N)")


def test_formulas_stand_in_words_and_not_in_code():
    page = "---\na: $x$\n---\n$a$ `$b$`\n\n```{code-cell} ipython3\nc = '$c$'\n```\n"
    page += "| $d$ | `e` |\n\n$$\nf\n$$\n"
    page += "```{math}\n:label: g\nh\n```\n\n```{dropdown} Solution\n$i\n+ j$\n```\n"
    assert [formula.strip() for formula in formulas(page)] == [
        ":label: g\nh",
        "f",
        "a",
        "d",
        "i\n+ j",
    ]
