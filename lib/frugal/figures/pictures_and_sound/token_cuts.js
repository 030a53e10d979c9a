// How an input is cut into tokens: a picture, a sound and a cube of voxels, each a function from the
// state to nodes, and to how many lines stand for one that is drawn.
import { shape } from "../../show/controls.js";
import { text } from "../../show/drawing.js";
import { windowOf } from "./token_formulas.js";

const MOST_LINES = 40;

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
  const at = (share) => 30 + 200 * share;
  return {
    every,
    nodes: [
      shape("rect", { class: "tokens-sky", x: 30, y: 30, width: 200, height: 200 }),
      shape("circle", { class: "tokens-sun", cx: 178, cy: 78, r: 22 }),
      shape("path", { class: "tokens-far", d: "M30 160L90 90L150 165L185 130L230 175V230H30Z" }),
      shape("path", { class: "tokens-near", d: "M30 190Q110 160 230 205V230H30Z" }),
      ...lines.flatMap((share) => [
        shape("path", { class: "tokens-cut", d: `M${at(share)} 30V230` }),
        shape("path", { class: "tokens-cut", d: `M30 ${at(share)}H230` }),
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
