// Text as UTF-8 bytes and as byte pairs, as frugal.tokens.byte_pairs cuts it.

// Words with the space before them, numbers, runs of signs, and white space.
const WORDS =
  /'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\p{White_Space}\p{L}\p{N}]+|\p{White_Space}+(?!\P{White_Space})|\p{White_Space}+/gu;

// The characters in which bytes are written in merges; a space is "Ġ".
export const VISIBLE = (() => {
  const prints = (byte) =>
    (byte > 0x20 && byte < 0x7f) || (byte > 0xa0 && byte < 0xad) || byte > 0xad;
  let next = 0x100;
  return Array.from({ length: 256 }, (_, byte) =>
    String.fromCharCode(prints(byte) ? byte : next++),
  );
})();
const BYTE = new Map(VISIBLE.map((shown, byte) => [shown, byte]));

// The bytes of a text; a lone surrogate, which has none, counts as U+FFFD.
export function utf8(text) {
  return Array.from(new TextEncoder().encode(text));
}

// "left right" pairs, first learned first, to a rank by pair.
export function ranks(merges) {
  return new Map(merges.map((pair, rank) => [pair, rank]));
}

// The tokens of one word: of all neighbours, the pair learned first is joined first.
function join(word, rank, limit) {
  let parts = utf8(word).map((byte) => VISIBLE[byte]);
  for (;;) {
    let best = limit;
    for (let i = 0; i + 1 < parts.length; i += 1) {
      best = Math.min(best, rank.get(`${parts[i]} ${parts[i + 1]}`) ?? limit);
    }
    if (best === limit) return parts;
    const joined = [];
    for (let i = 0; i < parts.length; i += 1) {
      if (i + 1 < parts.length && rank.get(`${parts[i]} ${parts[i + 1]}`) === best) {
        joined.push(parts[i] + parts[i + 1]);
        i += 1;
      } else joined.push(parts[i]);
    }
    parts = joined;
  }
}

// The bytes of every token, when the first `limit` merges are known.
export function pieces(text, rank, limit) {
  return (text.match(WORDS) ?? []).flatMap((word) =>
    join(word, rank, limit).map((token) => Array.from(token, (shown) => BYTE.get(shown))),
  );
}
