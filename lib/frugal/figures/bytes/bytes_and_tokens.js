// The reader's text as characters, as bytes and as pieces, and what attention among them costs.
import { element, readout, select, slider, store, toolbar } from "../../show/controls.js";
import { pieces, ranks, utf8 } from "./byte_pairs.js";

const LONGEST = 240;
const OFFSET = 3; // byte b has the id b + 3, as in frugal.tokens.bytes

const hex = (byte) => byte.toString(16).toUpperCase().padStart(2, "0");
const hexes = (bytes) => bytes.map(hex).join(" ");
const count = (n, word) => `${n.toLocaleString("en")} ${word}${n === 1 ? "" : "s"}`;

// White space has to be seen; bytes that are no character alone are shown in hex.
function shown(text) {
  return text.replace(/[ \n\t\u00a0]/g, (space) => ({ "\n": "↵", "\t": "⇥" })[space] ?? "␣");
}

function pieceText(bytes) {
  try {
    return shown(new TextDecoder("utf-8", { fatal: true }).decode(new Uint8Array(bytes)));
  } catch {
    return hexes(bytes);
  }
}

// Characters, bytes and pieces as [label, first byte, byte after the last].
function cut(text, rank, limit) {
  let at = 0;
  const characters = Array.from(text, (character) => {
    const from = at;
    at += utf8(character).length;
    return [shown(character), from, at];
  });
  const bytes = utf8(text).map((byte, i) => [hex(byte), i, i + 1]);
  at = 0;
  const tokens = pieces(text, rank, limit).map((token) => {
    const from = at;
    at += token.length;
    return [pieceText(token), from, at];
  });
  return { characters, bytes, pieces: tokens };
}

function textBox(model) {
  const id = `frugal-text-${Math.random().toString(36).slice(2)}`;
  const box = element("textarea", { id, rows: 3, maxlength: LONGEST, spellcheck: "false" });
  const show = () => {
    if (box.value !== model.get("text")) box.value = model.get("text");
  };
  box.addEventListener("input", () => store(model, "text", box.value));
  model.on("change:text", show);
  show();
  const label = element("label", { for: id }, `Your text (up to ${LONGEST} characters)`);
  return { box, node: element("div", { class: "bt-text" }, label, box) };
}

function render({ model, el }) {
  const rank = ranks(model.get("merges"));
  const limit = model.get("merges").length;
  const samples = model.get("samples");
  const KINDS = [
    ["characters", "Characters", "what you see: Unicode code points"],
    ["bytes", "Bytes", "UTF-8, in hex"],
    ["pieces", "Pieces", "byte pairs"],
  ];
  const { box, node } = textBox(model);
  const strips = KINDS.map(([name]) => element("div", { class: `bt-strip bt-${name}` }));
  const notes = KINDS.map(() => element("span", { class: "bt-note" }));
  const rows = element("tbody");
  const said = readout();
  const detail = element("p", { class: "bt-detail" });
  let parts = cut("", rank, 0);

  // The byte at `at`, its character and its piece, in all three strips.
  function mark(at) {
    const inside = ([, from, to]) => from <= at && at < to;
    KINDS.forEach(([name], k) => {
      parts[name].forEach((part, i) => {
        const character = parts.characters.find(inside);
        const on = character && part[1] < character[2] && character[1] < part[2];
        strips[k].children[i].classList.toggle("bt-on", Boolean(on));
      });
    });
    const character = parts.characters.find(inside);
    if (!character) {
      detail.textContent = "Point at a box, or move the cursor in your text.";
      return;
    }
    const bytes = parts.bytes.slice(character[1], character[2]).map(([label]) => label);
    const ids = bytes.map((byte) => parseInt(byte, 16) + OFFSET);
    const holding = parts.pieces.filter((p) => p[1] < character[2] && character[1] < p[2]);
    detail.textContent =
      `“${character[0]}” is ${count(bytes.length, "byte")}: ${bytes.join(" ")}, ` +
      `as ${ids.length === 1 ? "id" : "ids"} ${ids.join(" ")}. It lies in ` +
      `${holding.length === 1 ? "the piece" : count(holding.length, "piece") + ","} ` +
      `${holding.map(([label]) => `“${label}”`).join(", ")}.`;
  }

  function draw() {
    const text = model.get("text");
    parts = cut(text, rank, model.get("n_merges"));
    const sizes = KINDS.map(([name]) => parts[name].length);
    const [, bytes, tokens] = sizes;
    KINDS.forEach(([name, , about], k) => {
      strips[k].replaceChildren(
        ...parts[name].map(([label, from, to]) =>
          element("span", { class: "bt-box", "data-from": from, "data-to": to }, label),
        ),
      );
      notes[k].textContent = `${sizes[k]}, ${about}`;
    });
    const top = Math.max(...sizes.map((n) => n * n), 1);
    rows.replaceChildren(
      ...KINDS.map(([name, title], k) => {
        const pairs = sizes[k] * sizes[k];
        const bar = element("span", { class: `bt-bar bt-${name}` });
        bar.style.width = `${(100 * pairs) / top}%`;
        const ratio = tokens ? pairs / (tokens * tokens) : 0;
        return element(
          "tr",
          { "data-kind": name, "data-pairs": pairs },
          element("th", { scope: "row" }, title),
          element("td", {}, sizes[k].toLocaleString("en")),
          element("td", {}, pairs.toLocaleString("en")),
          element("td", {}, tokens ? `${ratio.toPrecision(3)} ×` : "–"),
          element("td", { class: "bt-bars" }, bar),
        );
      }),
    );
    said.textContent = bytes
      ? `${count(sizes[0], "character")}, ${count(bytes, "byte")}, ${count(tokens, "piece")}. ` +
        `A byte model reads ${(bytes / tokens).toFixed(2)} times as many tokens, and full ` +
        `attention compares ${((bytes / tokens) ** 2).toFixed(1)} times as many pairs.`
      : "No text: nothing to read, in any of the three.";
    mark(-1);
  }

  function atCursor() {
    const before = box.value.slice(0, box.selectionStart);
    mark(utf8(before).length);
  }

  function choose() {
    const sample = model.get("sample");
    if (sample in samples) store(model, "text", samples[sample]);
  }

  strips.forEach((strip) =>
    strip.addEventListener("pointerover", ({ target }) => {
      if (target.dataset.from !== undefined) mark(Number(target.dataset.from));
    }),
  );
  ["keyup", "click"].forEach((event) => box.addEventListener(event, atCursor));
  model.on("change:text change:n_merges", draw);
  model.on("change:sample", choose);
  draw();

  const heads = ["", "tokens N", "pairs N²", "against pieces", ""];
  const table = element(
    "table",
    { class: "bt-costs" },
    element("caption", {}, "What full attention compares, a head and a layer"),
    element(
      "thead",
      {},
      element(
        "tr",
        {},
        ...heads.map((words) => element(words ? "th" : "td", words ? { scope: "col" } : {}, words)),
      ),
    ),
    rows,
  );
  el.append(
    element(
      "div",
      { class: "bt-figure" },
      toolbar(
        select(model, "sample", { label: "Sample", options: Object.keys(samples) }),
        slider(model, "n_merges", {
          label: "Merges known",
          min: 0,
          max: limit,
          format: (n) => (n ? n.toLocaleString("en") : "0: bytes"),
        }),
      ),
      node,
      ...KINDS.map(([, title], k) =>
        element(
          "section",
          {},
          element("p", { class: "bt-title" }, element("strong", {}, title), " ", notes[k]),
          strips[k],
        ),
      ),
      detail,
      table,
      said,
    ),
  );
  return () => {
    model.off("change:text change:n_merges", draw);
    model.off("change:sample", choose);
  };
}

export default { render };
