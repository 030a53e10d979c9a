// The reader's text as characters, as bytes and as pieces, and what attention among them costs.
import { element, guide, readout, select, slider, store, toolbar, uniqueId } from "../../show/controls.js";
import { follow, watch } from "../../show/drawing.js";
import { pieces, ranks, utf8 } from "./byte_pairs.js";

const LONGEST = 240;
const OFFSET = 3; // byte b has the id b + 3, as in frugal.tokens.bytes
const KINDS = [
  ["characters", "Characters", "what you see: code points"],
  ["bytes", "Bytes", "UTF-8, in hex"],
  ["pieces", "Pieces", "byte pairs"],
];

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

// [label, number of bytes] pairs as [label, first byte, byte after the last].
function placed(parts) {
  let at = 0;
  return parts.map(([label, length]) => {
    const from = at;
    at += length;
    return [label, from, at];
  });
}

// Characters, bytes and pieces as [label, first byte, byte after the last].
export function cut(text, rank, limit) {
  return {
    characters: placed(Array.from(text, (one) => [shown(one), utf8(one).length])),
    bytes: placed(utf8(text).map((byte) => [hex(byte), 1])),
    pieces: placed(pieces(text, rank, limit).map((token) => [pieceText(token), token.length])),
  };
}

const overlaps = ([, from, to], [, otherFrom, otherTo]) => from < otherTo && otherFrom < to;

// What stands at a byte: its character, the bytes of that, and the pieces that hold them.
function describe({ bytes, pieces: tokens }, character) {
  if (!character) return "Point at a box, or move the cursor in your text.";
  const inside = bytes.filter((byte) => overlaps(byte, character)).map(([label]) => label);
  const ids = inside.map((byte) => parseInt(byte, 16) + OFFSET);
  const holding = tokens.filter((piece) => overlaps(piece, character));
  return (
    `“${character[0]}” is ${count(inside.length, "byte")}: ${inside.join(" ")}, ` +
    `as ${ids.length === 1 ? "id" : "ids"} ${ids.join(" ")}. It lies in ` +
    `${holding.length === 1 ? "the piece" : count(holding.length, "piece") + ","} ` +
    `${holding.map(([label]) => `“${label}”`).join(", ")}.`
  );
}

function sentence([characters, bytes, tokens]) {
  if (!bytes) return "No text: nothing to read, in any of the three.";
  return (
    `${count(characters, "character")}, ${count(bytes, "byte")}, ${count(tokens, "piece")}. ` +
    `A byte model reads ${(bytes / tokens).toFixed(2)} times as many tokens, and full ` +
    `attention compares ${((bytes / tokens) ** 2).toFixed(1)} times as many pairs.`
  );
}

function textBox(model) {
  const id = uniqueId("text");
  const box = element("textarea", { id, rows: 3, maxlength: LONGEST, spellcheck: "false" });
  box.addEventListener("input", () => store(model, "text", box.value));
  const stop = follow(model, "text", () => {
    if (box.value !== model.get("text")) box.value = model.get("text");
  });
  const label = element("label", { for: id }, `Your text (up to ${LONGEST} characters)`);
  return { box, node: element("div", { class: "bt-text" }, label, box), stop };
}

// A text that is longer than its strip is high can be scrolled by keys, too.
function scrolls(strip) {
  if (strip.scrollHeight > strip.clientHeight) strip.setAttribute("tabindex", "0");
  else strip.removeAttribute("tabindex");
}

// The text three times, in boxes. `mark` lights the character at a byte up in all of them; `point`
// is told which byte the pointer is over.
function stripsView(point) {
  const strips = KINDS.map(([name, title]) =>
    element("div", { class: `bt-strip bt-${name}`, role: "group", "aria-label": title }),
  );
  const notes = KINDS.map(() => element("span", { class: "bt-note" }));
  const sections = KINDS.map(([, title], k) => {
    const heading = element("p", { class: "bt-title" }, element("strong", {}, title), " ", notes[k]);
    return element("section", {}, heading, strips[k]);
  });
  const show = (parts) =>
    KINDS.forEach(([name, , about], k) => {
      const boxes = parts[name].map(([label, from, to]) =>
        element("span", { class: "bt-box", "data-from": from, "data-to": to }, label),
      );
      strips[k].replaceChildren(...boxes);
      scrolls(strips[k]);
      notes[k].textContent = `${boxes.length}, ${about}`;
    });
  const mark = (parts, character) =>
    KINDS.forEach(([name], k) => {
      parts[name].forEach((part, i) => {
        const on = Boolean(character) && overlaps(part, character);
        strips[k].children[i].classList.toggle("bt-on", on);
      });
    });
  for (const strip of strips) {
    strip.addEventListener("pointerover", ({ target }) => {
      if (target.dataset.from !== undefined) point(Number(target.dataset.from));
    });
  }
  const resized = new ResizeObserver(() => strips.forEach(scrolls)); // also when first laid out
  strips.forEach((strip) => resized.observe(strip));
  return { sections, show, mark, stop: () => resized.disconnect() };
}

// What full attention compares, a row for each of the three.
function tableView() {
  const rows = element("tbody");
  const titles = ["", "tokens N", "pairs N²", "against pieces", ""];
  const heads = titles.map((words) =>
    element(words ? "th" : "td", words ? { scope: "col" } : {}, words),
  );
  const node = element(
    "table",
    { class: "bt-costs" },
    element("caption", {}, "Full attention, per head and layer"),
    element("thead", {}, element("tr", {}, ...heads)),
    rows,
  );
  const show = (sizes) => {
    const pairs = sizes.map((size) => size * size);
    const top = Math.max(...pairs, 1);
    const ratio = (own) => (pairs[2] ? `${(own / pairs[2]).toPrecision(3)} ×` : "–");
    rows.replaceChildren(
      ...KINDS.map(([name, title], k) => {
        const bar = element("span", { class: `bt-bar bt-${name}` });
        bar.style.width = `${(100 * pairs[k]) / top}%`;
        return element(
          "tr",
          { "data-kind": name, "data-pairs": pairs[k] },
          element("th", { scope: "row" }, title),
          element("td", {}, sizes[k].toLocaleString("en")),
          element("td", {}, pairs[k].toLocaleString("en")),
          element("td", {}, ratio(pairs[k])),
          element("td", { class: "bt-bars" }, bar),
        );
      }),
    );
  };
  return { node, show };
}

function controls(model, samples, limit) {
  return toolbar(
    select(model, "sample", { label: "Sample", options: Object.keys(samples) }),
    slider(model, "n_merges", {
      label: "Merges known",
      min: 0,
      max: limit,
      format: (n) => (n ? n.toLocaleString("en") : "0: bytes"),
    }),
  );
}

function render({ model, el }) {
  const rank = ranks(model.get("merges"));
  const samples = model.get("samples");
  const { box, node, stop } = textBox(model);
  const strips = stripsView(mark);
  const table = tableView();
  const said = readout();
  const detail = element("p", { class: "bt-detail" });
  let parts;

  function mark(at) {
    const character = parts.characters.find(([, from, to]) => from <= at && at < to);
    strips.mark(parts, character);
    detail.textContent = describe(parts, character);
  }

  for (const event of ["keyup", "click"]) {
    box.addEventListener(event, () => mark(utf8(box.value.slice(0, box.selectionStart)).length));
  }
  const stopChoosing = watch(model, "sample", () => {
    if (model.get("sample") in samples) store(model, "text", samples[model.get("sample")]);
  });
  const stopDrawing = follow(model, "text n_merges", () => {
    parts = cut(model.get("text"), rank, model.get("n_merges"));
    const sizes = KINDS.map(([name]) => parts[name].length);
    strips.show(parts);
    table.show(sizes);
    said.textContent = sentence(sizes);
    mark(-1);
  });
  const chosen = controls(model, samples, model.get("merges").length);
  const views = [...guide(model), chosen, node, ...strips.sections, detail, table.node, said];
  el.append(element("div", { class: "bt-figure" }, ...views));
  return () => [stop, stopChoosing, stopDrawing, strips.stop].forEach((end) => end());
}

export default { render };
