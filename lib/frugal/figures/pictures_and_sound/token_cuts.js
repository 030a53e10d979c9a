// How an input is cut into tokens: a picture, a sound and a cube of voxels, each a function from the
// state to nodes, and to how many lines stand for one that is drawn.
import { shape } from "../../show/controls.js";
import { text } from "../../show/drawing.js";
import { windowOf } from "./token_formulas.js";

const MOST_LINES = 40;
const LARGEST = 1024; // pixels, of a picture that fills its place

// With very many lines only every second, fourth, … is drawn.
function thinned(count) {
  let every = 1;
  while (count / every > MOST_LINES) every *= 2;
  return every;
}

// Borders of `count` equal parts.
function borders(count) {
  const every = thinned(count);
  const lines = [];
  for (let index = 0; index <= count; index += every) lines.push(index / count);
  return { lines, every };
}

function drawPicture({ side, patch }) {
  const { lines, every } = borders(side / patch);
  const size = 200 * Math.sqrt(side / LARGEST); // a larger picture is drawn larger
  const [left, low] = [130 - size / 2, 230];
  const at = (share) => left + size * share;
  const up = (share) => low - size * share;
  const path = (...points) => points.map(([a, b]) => `${at(a)} ${up(b)}`).join("L");
  return {
    every,
    nodes: [
      shape("rect", { class: "tokens-sky", x: left, y: low - size, width: size, height: size }),
      shape("circle", { class: "tokens-sun", cx: at(0.74), cy: up(0.76), r: 0.11 * size }),
      shape("path", { class: "tokens-far", d: `M${path([0, 0.35], [0.3, 0.7], [0.6, 0.33], [0.78, 0.5], [1, 0.28], [1, 0], [0, 0])}Z` }),
      shape("path", { class: "tokens-near", d: `M${path([0, 0.2], [0.25, 0.27], [0.5, 0.25], [0.75, 0.2], [1, 0.12], [1, 0], [0, 0])}Z` }),
      ...lines.flatMap((share) => [
        shape("path", { class: "tokens-cut", d: `M${at(share)} ${up(1)}V${low}` }),
        shape("path", { class: "tokens-cut", d: `M${left} ${up(share)}H${at(1)}` }),
      ]),
      text(130, 250, `${side} pixels`, { anchor: "middle" }),
    ],
  };
}

// A tenth of a second; frames overlap, so they take turns on two rows below the wave.
function drawSound({ sample_rate: rate, hop }) {
  const shown = Math.round(rate / 10);
  const x = (sample) => 14 + (232 * sample) / shown;
  const wave = Array.from({ length: 233 }, (_, index) => {
    const time = (index / 232) * 0.1;
    const loud = 0.35 + 0.65 * Math.sin(Math.PI * time * 10) ** 2;
    const pitch = Math.sin(2 * Math.PI * (120 * time + 600 * time * time));
    return `${14 + index},${95 - 52 * loud * pitch}`;
  });
  const every = thinned(Math.ceil(shown / hop));
  const frames = [];
  for (let index = 0; index * hop < shown; index += every) {
    const start = index * hop;
    const end = Math.min(shown, start + windowOf(hop));
    frames.push(
      shape("rect", {
        class: "tokens-frame",
        x: x(start),
        y: (index / every) % 2 ? 186 : 168,
        width: Math.max(1, x(end) - x(start)),
        height: 14,
      }),
      shape("path", { class: "tokens-cut", d: `M${x(start)} 36V206` }),
    );
  }
  return {
    every,
    nodes: [
      shape("polyline", { class: "tokens-wave", points: wave.join(" ") }),
      ...frames,
      text(130, 228, "0.1 seconds", { anchor: "middle" }),
    ],
  };
}

function drawVoxels({ voxel_side: side, voxel_patch: patch }) {
  const { lines, every } = borders(side / patch);
  const place = (a, b, c) => [130 + 92 * (a - b), 128 + 53 * (a + b) - 106 * c];
  const line = (from, to) => {
    const [start, end] = [place(...from), place(...to)];
    return shape("path", { class: "tokens-cut", d: `M${start}L${end}` });
  };
  const face = (name, ...corners) =>
    shape("path", {
      class: `tokens-face tokens-${name}`,
      d: `M${corners.map((corner) => place(...corner)).join("L")}Z`,
    });
  return {
    every,
    nodes: [
      face("upper", [0, 0, 1], [1, 0, 1], [1, 1, 1], [0, 1, 1]),
      face("left", [0, 1, 0], [1, 1, 0], [1, 1, 1], [0, 1, 1]),
      face("right", [1, 0, 0], [1, 1, 0], [1, 1, 1], [1, 0, 1]),
      ...lines.flatMap((s) => [
        line([s, 0, 1], [s, 1, 1]),
        line([0, s, 1], [1, s, 1]),
        line([s, 1, 0], [s, 1, 1]),
        line([0, 1, s], [1, 1, s]),
        line([1, s, 0], [1, s, 1]),
        line([1, 0, s], [1, 1, s]),
      ]),
      text(130, 254, `${side} voxels a side`, { anchor: "middle" }),
    ],
  };
}

export const CUTS = { picture: drawPicture, sound: drawSound, voxels: drawVoxels };
