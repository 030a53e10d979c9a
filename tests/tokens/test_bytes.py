"""Byte ids against ByT5's, byte pairs against merging by hand, and files read by a ByteFormer."""

import io
import math
import struct
import subprocess
import sys
import zlib

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from frugal.attention.patterns import pattern_mask
from frugal.data import digits
from frugal.data.picture_files import FORMATS, picture_file
from frugal.data.typos import add_typos
from frugal.measure import count_flops
from frugal.tokens.byte_pairs import BytePairTokenizer, visible_bytes
from frugal.tokens.byteformer import PAD, ByteFormer, PairMerging, StridedEmbedding
from frugal.tokens.bytes import OFFSET, ByteTokenizer, pad_rows

BYTES = ByteTokenizer()
STORY = "the three thieves thought that the other thing was theirs. " * 3 + "Zoë naïve 12 1234"
PIECES = BytePairTokenizer.train(STORY, vocab_size=300)
UNICODE = st.text(st.characters(exclude_categories=("Cs",)))
ANY_STR = st.text(st.characters())  # lone surrogates too


# --- bytes


@given(UNICODE)
def test_every_unicode_string_comes_back(text):
    ids = BYTES.encode(text)
    assert BYTES.decode(ids, invalid="refuse") == text
    assert len(ids) == len(text.encode()) + 1
    assert set(ids[:-1]) <= set(range(OFFSET, 256 + OFFSET))


@given(ANY_STR)
def test_only_a_lone_surrogate_is_refused(text):
    surrogates = [place for place, c in enumerate(text) if 0xD800 <= ord(c) <= 0xDFFF]
    if not surrogates:
        assert BYTES.decode(BYTES.encode(text)) == text
        return
    place = surrogates[0]
    told = rf"lone surrogate U\+{ord(text[place]):04X} at {place}"
    with pytest.raises(ValueError, match=told):
        BYTES.encode(text)


@given(st.binary(min_size=1))
def test_every_byte_string_comes_back_by_escaping(data):
    text = BYTES.decode([byte + OFFSET for byte in data], invalid="escape")
    assert BYTES.to_bytes(BYTES.encode(text, invalid="escape")) == data


@given(st.binary())
def test_invalid_bytes_are_handled_as_documented(data):
    ids = [byte + OFFSET for byte in data]
    try:
        text = data.decode()
    except UnicodeDecodeError as error:
        with pytest.raises(ValueError, match=f"byte 0x{data[error.start]:02X} at {error.start}"):
            BYTES.decode(ids, invalid="refuse")
        assert "\N{REPLACEMENT CHARACTER}" in BYTES.decode(ids)
        kept = BYTES.decode(ids, invalid="ignore").encode()
        remaining = iter(data)
        assert len(kept) < len(data)
        assert all(byte in remaining for byte in kept)  # in order, nothing invented
    else:
        assert {BYTES.decode(ids, invalid=how) for how in ("replace", "ignore", "refuse")} == {text}


@pytest.mark.parametrize(
    ("data", "wanted"),
    [
        (b"a\xffb", "a�b"),
        (b"\xe2\x82", "�"),  # the longest beginning of a character is one replacement
        (b"\xe2\x82A", "�A"),
        (b"\xc0\xaf", "��"),  # an overlong slash is not a slash
        (b"\xed\xa0\x80", "���"),  # a surrogate is not UTF-8
        (b"\xf0\x9f\x98\x80", "😀"),
    ],
)
def test_replacement_follows_unicode(data, wanted):
    assert BYTES.decode([byte + OFFSET for byte in data]) == wanted


def test_ids_are_those_of_byt5():
    from transformers import ByT5Tokenizer

    theirs = ByT5Tokenizer()
    for text in ("", "a", "Grüße, 世界 😀", "tab\tand\nline", "\x00\x7f"):
        assert BYTES.encode(text) == theirs(text).input_ids
    ids = BYTES.encode("añb", eos=False)
    broken = ids[:2] + ids[3:]  # half of ñ is missing
    assert BYTES.decode(broken, invalid="ignore") == theirs.decode(broken)
    assert (theirs.pad_token_id, theirs.eos_token_id) == (BYTES.pad, BYTES.eos)
    assert theirs.unk_token_id == BYTES.unknown


def test_special_ids_end_and_vanish():
    ids = [0, *BYTES.encode("ab", eos=False), 2, 0, *BYTES.encode("c"), *BYTES.encode("never")]
    assert BYTES.decode(ids) == "abc"
    assert BYTES.encode("</s>", eos=False) == [c + 3 for c in b"</s>"]  # text is only text


def test_empty_text_is_an_end_or_refused():
    assert BYTES.encode("") == [BYTES.eos]
    assert BYTES.decode([]) == BYTES.decode([BYTES.eos]) == ""
    assert PIECES.encode("") == [PIECES.eos]
    for tokenizer in (BYTES, PIECES):
        with pytest.raises(ValueError, match="text is empty; without the end id"):
            tokenizer.encode("", eos=False)
    with pytest.raises(ValueError, match="text is empty; it must have a character"):
        BytePairTokenizer.train("", vocab_size=300)


@pytest.mark.parametrize("tokenizer", [BYTES, PIECES])
def test_a_batch_is_padded_on_the_right(tokenizer):
    texts = ["the", "", "the thieves ñ"]
    ids, padding = tokenizer.batch(texts)
    assert ids.shape == padding.shape
    for row, real, text in zip(ids, padding, texts, strict=True):
        assert row[real].tolist() == tokenizer.encode(text)
        assert (row[~real] == tokenizer.pad).all()
        assert tokenizer.decode(row.tolist()) == text
    assert not padding[1, 1]
    assert padding[2].all()


@pytest.mark.usefixtures("unchecked")
@pytest.mark.parametrize(
    ("call", "told"),
    [
        (
            lambda: BYTES.encode("a", invalid="replace"),
            "invalid is 'replace'; it must be one of",
        ),
        (lambda: BYTES.decode([5], invalid="guess"), "invalid is 'guess'; it must be one of"),
        (lambda: BYTES.decode([259]), r"ids has 259; each must lie in 0 \.\.\. 258"),
        (lambda: BYTES.decode([-1]), "ids has -1"),
        (lambda: BYTES.batch("abc"), "texts is one string"),
        (lambda: BYTES.batch([]), "rows is empty"),
        (lambda: pad_rows([b"a", b""], pad=0), "an empty row"),
        (lambda: PIECES.batch("abc"), "texts is one string"),
        (lambda: PIECES.decode([PIECES.vocab_size]), f"ids has {PIECES.vocab_size}"),
        (lambda: PIECES.encode("a\ud800"), r"lone surrogate U\+D800 at 1"),
        (lambda: BytePairTokenizer.train("a", vocab_size=258), "vocab_size is 258"),
    ],
)
def test_bad_text_is_named(call, told):
    with pytest.raises(ValueError, match=told):
        call()


# --- byte pairs


def merged_by_hand(word: bytes, merges: list[tuple[str, str]]) -> list[bytes]:
    """One merge after the other, in the order in which they were learned."""
    shown = visible_bytes()
    back = {c: byte for byte, c in enumerate(shown)}
    parts = [shown[byte] for byte in word]
    for left, right in merges:
        place = 0
        while place < len(parts) - 1:
            if (parts[place], parts[place + 1]) == (left, right):
                parts[place : place + 2] = [left + right]
            place += 1
    return [bytes(back[c] for c in part) for part in parts]


def test_the_alphabet_is_that_of_the_library():
    from tokenizers.pre_tokenizers import ByteLevel

    assert sorted(visible_bytes()) == sorted(ByteLevel.alphabet())
    space = ByteLevel(add_prefix_space=False).pre_tokenize_str(" é")[0][0]
    assert space == "".join(visible_bytes()[byte] for byte in " é".encode())


@given(UNICODE)
def test_pieces_come_back_and_cover_the_bytes(text):
    assert PIECES.decode(PIECES.encode(text)) == text
    assert b"".join(PIECES.pieces(text)) == text.encode()


@given(st.text("the orhisv", min_size=1, max_size=30))
def test_pieces_are_the_merges_in_their_order(word):
    word = word.replace(" ", "")
    if word:
        assert PIECES.pieces(word) == merged_by_hand(word.encode(), PIECES.merges)


def test_frequent_words_become_one_piece():
    assert PIECES.pieces("the the") == [b"the", b" the"]
    assert len(PIECES.pieces("世")) == 3
    assert PIECES.vocab_size == 3 + 256 + len(PIECES.merges)
    first = max(PIECES.merges, key=lambda pair: -PIECES.merges.index(pair))
    counted = STORY.count("th")
    assert first == ("t", "h")
    assert counted == max(STORY.count(a + b) for a in "abcdehist" for b in "abcdehist")


def test_text_that_spells_a_special_token_is_text():
    assert PIECES.decode(PIECES.encode("a</s>b<pad>")) == "a</s>b<pad>"
    assert PIECES.encode("</s>", eos=False).count(PIECES.eos) == 0


def test_bytes_need_no_tokenizers_and_byte_pairs_say_that_they_do():
    code = (
        "import sys; sys.modules['tokenizers'] = None\n"
        "from frugal.tokens.bytes import ByteTokenizer\n"
        "from frugal.tokens.byte_pairs import BytePairTokenizer\n"
        "print(ByteTokenizer().encode('a'))\n"
        "try: BytePairTokenizer.train('aa', vocab_size=300)\n"
        "except ValueError as error: print(error)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines() == [
        "[100, 1]",
        "tokenizers is not installed; byte pairs need `pip install tokenizers`.",
    ]


# --- files


def randomise(module):
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.copy_(torch.randn(parameter.shape, generator=generator) * 0.3)
    return module.eval()


def byteformer(**options):
    given = {"d_model": 8, "n_heads": 2, "n_layers": 3, "window": 2, "kernel_size": 4}
    return randomise(ByteFormer(5, **{**given, "merge_after": (1, 3), **options}))


def file_of(length, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return torch.randint(256, (1, length), generator=generator)


def by_definition(model, ids):
    """One file, with full attention under the window's mask, and no padding anywhere."""
    kernel, stride = model.embed.join.kernel_size[0], model.embed.join.stride[0]
    vectors = model.embed.embedding(ids)[0]  # (length, d_model)
    tokens = []
    for start in range(0, ids.shape[1], stride):
        read = vectors[start : start + kernel]
        weight = model.embed.join.weight[..., : len(read)]  # (d_model, d_model, bytes read)
        tokens.append(torch.einsum("oik,ki->o", weight, read) + model.embed.join.bias)
    x = model.positions(torch.stack(tokens)[None])
    for number, layer in enumerate(model.layers, start=1):
        heads = layer.mix.sublayer
        y = layer.mix.norm(x)
        q, k, v = (heads.split(part(y)) for part in (heads.to_q, heads.to_k, heads.to_v))
        mask = pattern_mask("window", x.shape[1], window=2)
        scores = (q @ k.mT / math.sqrt(heads.head_dim)).masked_fill(~mask, -torch.inf)
        seen = (scores.softmax(-1) @ v).transpose(1, 2).flatten(2)
        x = layer.feed_forward(x + heads.to_out(seen))
        if number in (1, 3):
            halves = []
            for left in range(0, x.shape[1], 2):
                right = x[0, left + 1] if left + 1 < x.shape[1] else torch.zeros(x.shape[-1])
                merge = model.merges[str(number)]
                halves.append(merge.reduction(merge.norm(torch.cat([x[0, left], right]))))
            x = torch.stack(halves)[None]
    return model.classify(model.norm(x).mean(1))


@pytest.mark.parametrize("length", [1, 2, 3, 7, 16, 37])
def test_byteformer_is_its_definition(length):
    model = byteformer()
    ids = file_of(length)
    torch.testing.assert_close(model(ids), by_definition(model, ids), atol=2e-5, rtol=1e-4)


@settings(max_examples=30, deadline=None)
@given(st.lists(st.integers(1, 40), min_size=2, max_size=4), st.integers(1, 6))
def test_a_file_is_read_alike_beside_longer_ones(lengths, kernel):
    model = byteformer(kernel_size=kernel)
    files = [bytes(file_of(length, seed)[0].tolist()) for seed, length in enumerate(lengths)]
    ids, padding = pad_rows(files, pad=PAD)
    together = model(ids, padding)
    for file, scores in zip(files, together, strict=True):
        alone = model(torch.tensor([list(file)]))[0]
        torch.testing.assert_close(scores, alone, atol=2e-5, rtol=1e-4)


def test_what_stands_in_the_padding_does_not_matter():
    model = byteformer()
    ids, padding = pad_rows([b"abc", b"defghijklmnop"], pad=PAD)
    noise = torch.where(padding, ids, 7)
    torch.testing.assert_close(model(ids, padding), model(noise, padding), atol=0, rtol=0)


def test_every_byte_reaches_the_scores():
    model = byteformer(window=1)
    vectors = []

    def keep(module, given, out):
        out.retain_grad()
        vectors.append(out)

    model.embed.embedding.register_forward_hook(keep)
    model(file_of(23)).square().sum().backward()
    assert (vectors[0].grad.abs().sum(-1) > 0).all()


def test_no_window_sees_all():
    ids, padding = pad_rows([bytes(range(40)), b"short"], pad=PAD)
    everything = byteformer(window=None)
    assert (everything(ids, padding) - byteformer(window=2)(ids, padding)).abs().max() > 1e-3
    torch.testing.assert_close(
        everything(ids, padding), byteformer(window=40)(ids, padding), atol=2e-5, rtol=1e-4
    )


def test_token_counts_are_those_of_the_layers():
    model = byteformer()
    read = []
    for layer in [*model.layers, model.norm]:
        layer.register_forward_hook(lambda _, given, out: read.append(given[0].shape[1]))
    model(file_of(37))
    assert read == model.token_counts(37) == [19, 10, 10, 5]
    assert byteformer(kernel_size=8).token_counts(1) == [1, 1, 1, 1]


def test_cost_is_linear_in_the_length():
    model = byteformer(window=4)
    costs = [count_flops(model, file_of(length))[0] for length in (2048, 4096)]
    assert costs[1] / costs[0] == pytest.approx(2, rel=0.02)


def test_merging_learns_and_halves():
    merge = randomise(PairMerging(4))
    x = torch.randn(2, 5, 4, generator=torch.Generator().manual_seed(1))
    out, padding = merge(x)
    assert out.shape == (2, 3, 4)
    assert padding is None
    padding = torch.tensor([[True] * 3 + [False] * 2, [True] * 5])
    out, halved = merge(x, padding)
    assert halved.tolist() == [[True, True, False], [True] * 3]
    torch.testing.assert_close(out[:1, :2], merge(x[:1, :3])[0])


@pytest.mark.usefixtures("unchecked")
@pytest.mark.parametrize(
    ("call", "told"),
    [
        (lambda: ByteFormer(0), "n_classes is 0"),
        (lambda: ByteFormer(2, n_layers=2, merge_after=(3,)), r"merge_after has 3; layers .* 2\."),
        (lambda: ByteFormer(2, n_layers=2, merge_after=(0,)), "merge_after has 0"),
        (lambda: StridedEmbedding(4, kernel_size=2, stride=3), "stride is 3 and kernel_size 2"),
        (lambda: byteformer()(file_of(4), torch.ones(1, 5, dtype=torch.bool)), "padding has shape"),
        (
            lambda: byteformer()(file_of(4), torch.ones(1, 4, dtype=torch.int64)),
            r"padding has dtype torch\.int64",
        ),
        (lambda: byteformer()(file_of(4).byte()), r"ids have dtype torch\.uint8; they must be"),
        (lambda: PairMerging(4)(torch.ones(1, 3, 5)), r"x has shape \(1, 3, 5\)"),
        (lambda: byteformer()(file_of(0)), r"ids have shape \(1, 0\)"),
        (lambda: byteformer()(file_of(4) + 300), "they must be from 0 to 256"),
        (lambda: byteformer().token_counts(0), "length is 0"),
        (lambda: picture_file(torch.zeros(2, 2), "gif"), "form is 'gif'"),
        (lambda: picture_file(torch.full((2, 2), 1.5), "raw"), "outside 0"),
        (lambda: picture_file(torch.zeros(0, 2), "raw"), "pixels is empty"),
        (lambda: add_typos("a", 1.5), "rate is 1.5"),
    ],
)
def test_bad_files_and_sizes_are_named(call, told):
    with pytest.raises(ValueError, match=told):
        call()


def scanlines(png):
    """The data of a PNG file as they stand there, and decompressed."""
    at = png.index(b"IDAT")
    length = struct.unpack(">I", png[at - 4 : at])[0]
    packed = png[at + 4 : at + 4 + length]
    return packed, zlib.decompress(packed)


PICTURE = torch.rand(8, 8, generator=torch.Generator().manual_seed(0))
GREY = (PICTURE * 255).round().to(torch.uint8)


@pytest.mark.parametrize("form", ["bmp", "png", "png-stored", "jpeg"])
def test_files_show_the_picture(form):
    import numpy as np
    from PIL import Image

    shown = np.asarray(Image.open(io.BytesIO(picture_file(PICTURE, form))))
    slack = 12 if form == "jpeg" else 0
    assert np.abs(shown.astype(int) - GREY.numpy()).max() <= slack
    assert picture_file(PICTURE, form) == picture_file(PICTURE, form)


def test_where_the_pixels_lie_in_each_format():
    raw = picture_file(PICTURE, "raw")
    rows = [raw[start : start + 8] for start in range(0, 64, 8)]
    assert raw == bytes(GREY.flatten().tolist())
    bmp = picture_file(PICTURE, "bmp")
    start = struct.unpack("<I", bmp[10:14])[0]
    assert bmp[start:] == b"".join(rows[::-1])
    digit = digits.load("test").images[0]
    lines = {form: scanlines(picture_file(digit, form)) for form in ("png-stored", "png")}
    for form, (packed, line) in lines.items():
        assert len(line) == 8 * 9, form  # a filter and eight pixels a row
        assert (line in packed) is (form == "png-stored")
    assert set(FORMATS) == {"raw", "bmp", "png", "png-stored", "jpeg"}


# --- typos


def test_typos_come_at_their_rate_and_spare_the_rest():
    text = "Letters are typed, and 42 numbers are not; " * 200
    assert add_typos(text, 0) == text
    typed = add_typos(text, 0.1, seed=3)
    assert typed == add_typos(text, 0.1, seed=3) != add_typos(text, 0.1, seed=4)
    for kept in "42,; ":
        assert typed.count(kept) == text.count(kept)
    changed = sum(a != b for a, b in zip(text.split(), typed.split(), strict=True))
    letters = sum(map(str.isalpha, text)) / len(text.split())
    assert changed / len(text.split()) == pytest.approx(1 - 0.9**letters, abs=0.08)


def test_each_kind_of_typo_happens():
    found = {add_typos("ab", 1, seed=seed) for seed in range(200)}
    assert "ba" in found  # swapped
    assert "" in found  # both dropped
    assert "aabb" in found  # both doubled
    wrong = [t for t in found if len(t) == 2 and t[0] not in "ab" and t[1] not in "ab"]
    assert wrong
    assert all(letter.islower() for t in wrong for letter in t)
    assert {add_typos("ß", 1, seed=seed) for seed in range(40)} >= {"", "ßß"}


@given(UNICODE, st.floats(0, 1))
def test_typos_never_fail_and_keep_the_words_apart(text, rate):
    typed = add_typos(text, rate, seed=1)
    assert typed.count(" ") == text.count(" ")
    assert len(typed) <= 2 * len(text)


def test_a_byte_behind_padding_is_refused_for_it_would_stand_elsewhere():
    model, ids = ByteFormer(3, d_model=16, n_heads=2), torch.randint(256, (2, 40))
    padding = torch.arange(40) >= torch.tensor([[0], [8]])
    with pytest.raises(ValueError, match=r"^padding is False in front of a byte; it must be"):
        model(ids, padding)
