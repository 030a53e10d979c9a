"""Docstrings of libraries: what is read, that splits share nothing, the tasks made of them."""

import re
import textwrap
from collections import Counter

import pytest

from frugal.data import MissingSource, docstring_tasks, docstrings
from frugal.data.docstring_tasks import Example, rouge, without_names
from frugal.data.docstrings import Docstring


@pytest.fixture(scope="module")
def small():
    return docstrings.corpus(quota=120_000)


def test_splits_share_no_module_and_each_library_is_in_all(small):
    modules = {split: {one.module for one in small.split(split)} for split in ("train", "valid")}
    modules["test"] = {one.module for one in small.test}
    assert not modules["train"] & modules["valid"]
    assert not modules["train"] & modules["test"]
    assert not modules["valid"] & modules["test"]
    for split in modules:
        assert {one.library for one in small.split(split)} == set(docstrings.LIBRARIES)
    sizes = Counter()
    for one in small.train:
        sizes[one.library] += len(one.text)
    assert max(sizes.values()) < 3 * min(sizes.values())


def test_the_hash_is_that_of_the_texts_and_changes_with_them(small):
    docstrings.corpus.cache_clear()
    again = docstrings.corpus(quota=120_000)
    assert again.fingerprint == small.fingerprint
    assert again.train == small.train
    assert set(small.versions) == set(docstrings.LIBRARIES)
    assert docstrings.corpus(quota=110_000).fingerprint != small.fingerprint


def test_no_text_mostly_repeats_another(small):
    def stretches(one: Docstring) -> set[str]:
        words = "".join(c if c.isalpha() else " " for c in one.text).split()
        return {" ".join(words[at : at + 6]).lower() for at in range(max(1, len(words) - 5))}

    seen: Counter[str] = Counter()
    for split in ("train", "valid", "test"):
        for one in small.split(split):
            seen.update(stretches(one))
    twice = sum(count - 1 for count in seen.values())
    assert twice < 0.1 * sum(seen.values())


def of(text: str, name: str = "f", module: str = "m") -> Docstring:
    return Docstring("numpy", module, name, text, docstrings.prose(text), {})


def test_near_duplicates_go_and_what_is_new_stays():
    long = "Return the sum of all elements of a along the axis given, as an array of its own."
    texts = [of(long), of(long.replace("sum", "product")), of("Something else is said here, once.")]
    kept = list(docstrings.without_repeats([*texts, of(long + " And a little more.")]))
    assert [one.text for one in kept] == [long, texts[2].text]


def test_a_file_is_read_and_not_run(tmp_path):
    source = '''
        """A module that must not run, and it says so in more than eighty characters of its text."""
        raise SystemExit("it ran")

        def f(a, b=1, *, c="x", d=None, e=[]):
            """Join all that is given, in the order in which it is given, and return what comes.

            Parameters
            ----------
            b : int
                How often.

            >>> f(1)
            1
            """
    '''
    path = tmp_path / "pack" / "mod.py"
    path.parent.mkdir()
    path.write_text(textwrap.dedent(source))
    (path.parent / "broken.py").write_text("def (")
    (path.parent / "tests").mkdir()
    (path.parent / "tests" / "test_mod.py").write_text(textwrap.dedent(source))
    found = list(docstrings.read("pack", root=path.parent))
    assert [(one.module, one.name) for one in found] == [("pack.mod", "mod"), ("pack.mod", "f")]
    assert found[1].defaults == {"b": "1", "c": "'x'", "d": "None"}
    assert ">>>" not in found[1].text
    assert "How often" in found[1].text


def test_a_missing_library_is_one_sentence(monkeypatch):
    monkeypatch.setitem(docstrings.LIBRARIES, "nowhere", "no-such-package")
    docstrings.corpus.cache_clear()
    with pytest.raises(MissingSource, match="'docstrings' needs no-such-package, which is not"):
        docstrings.corpus(quota=1000)
    with pytest.raises(MissingSource, match=r"pip install -c constraints\.txt"):
        next(docstrings.read("nowhere"))
    with pytest.raises(ValueError, match="quota is 0; it must be 1"):
        docstrings.corpus(quota=0)


def test_a_summary_is_not_in_its_source(small):
    found = docstring_tasks.examples(small, "summary", "train")
    assert len(found) > 50
    for one in found:
        assert one.target not in one.source
        assert 4 <= len(one.target.split()) <= 16


def test_libraries_are_equally_many_and_their_names_are_masked(small):
    found = docstring_tasks.examples(small, "library", "train")
    counts = Counter(one.target for one in found)
    assert set(counts) == set(docstrings.LIBRARIES)
    assert len(set(counts.values())) == 1
    for one in found:
        said = re.split(r"[^a-z]+", one.source.removeprefix("library: ").lower())
        assert not set(said) & set(docstrings.LIBRARIES)
    assert without_names("numpy.ndarray of Torch, plt.plot") == "it of it, it"


def test_a_default_is_that_of_the_signature_and_none_outweighs_the_others(small):
    raw = "Do it.\n\nParameters\n----------\na : int, optional\n    How many.\nb : str\n    Which."
    one = Docstring("numpy", "m", "f", raw, raw, {"a": "3"})
    assert docstring_tasks.default([one] * 2)[:1] == [
        Example("default of a: int, optional How many.", "3")
    ]
    found = docstring_tasks.examples(small, "default", "train")
    most = Counter(one.target for one in found).most_common(1)[0][1]
    assert most <= max(1, 0.2 * len(found))


def test_splits_of_a_task_share_no_example(small):
    for task in docstring_tasks.TASKS:
        train = {one.source for one in docstring_tasks.examples(small, task, "train")}
        test = {one.source for one in docstring_tasks.examples(small, task, "test")}
        assert test
        assert not train & test
    with pytest.raises(ValueError, match="task is 'none'; it must be one of 'summary'"):
        docstring_tasks.examples(small, "none", "train")


@pytest.mark.parametrize(
    ("written", "n", "expected"),
    [("Return the sum.", 1, 1.0), ("the SUM", 1, 0.8), ("the sum", 2, 2 / 3), ("", 1, 0.0)],
)
def test_rouge_is_the_f_measure_of_common_stretches(written, n, expected):
    assert rouge(written, "return the sum", n=n) == pytest.approx(expected)
