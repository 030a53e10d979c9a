// A text to point at: the kernels of all heads at the chosen place, beside their mean over the text.
import { element, readout, shape, slider, steps, store, toolbar } from "../../show/controls.js";
import { follow, mean, percent, svg, text } from "../../show/drawing.js";
import { meanKernels, moves } from "./text_formulas.js";

const [WIDTH, LEFT, TOP, ROW] = [340, 30, 24, 19];
const VISIBLE = { " ": "␣", "\n": "⏎", "\t": "⇥" };
const visible = (letter) => VISIBLE[letter] ?? letter ?? "";
const strongest = (kernel) => kernel.indexOf(Math.max(...kernel));
const back = (distance) => (distance === 0 ? "the character itself" : `${distance} back`);

// Everything that is drawn, from the state.
export function read(model) {
  const [characters, place, layer] = ["characters", "place", "layer"].map((name) => model.get(name));
  const places = model.get("weights")[layer - 1];
  const [still, moved] = [meanKernels(places), moves(places)];
  const kernels = places[place - 1];
  const shares = moved.map(mean);
  const head = strongest(moved[place - 1]);
  const window = kernels[0].map((_, distance) => visible(characters[place - 1 - distance]));
  const found = { characters, place, layer, kernels, still, shares, head, window };
  return { ...found, sentence: told(found) };
}

function told({ characters, place, layer, kernels, still, shares, head, window }) {
  const [here, usual] = [kernels[head], still[head]];
  const [now, then] = [strongest(here), strongest(usual)];
  return (
    `Layer ${layer}, place ${place}, “${visible(characters[place - 1])}”: the kernels have moved ` +
    `${percent(shares[place - 1], 0)} of their weight; the mean of all places is ${percent(mean(shares), 0)}. ` +
    `Head ${head + 1} moves most: here it reads ${back(now)} most (“${window[now]}”, ` +
    `${percent(here[now], 0)}), on average ${back(then)} (${percent(usual[then], 0)}).`
  );
}

// The text: the window is shaded, and a bar says how far the kernels move at each place.
function letters(model) {
  return model.get("characters").map((letter, at) => {
    const bar = element("i", { "aria-hidden": "true" });
    const track = element("span", { class: "kit-track" }, bar);
    const go = () => store(model, "place", at + 1);
    const node = element("span", { class: "kit-letter", onclick: go }, element("b", {}, visible(letter)), track);
    return { node, bar };
  });
}

const column = (count) => (WIDTH - LEFT) / count;
const x = (distance, count) => LEFT + (count - 1 - distance) * column(count);

// A row for each head; the latest character is on the right.
function heatMap(kernels, above, head) {
  const count = kernels[0].length;
  const width = column(count);
  const cells = kernels.flatMap((kernel, row) =>
    kernel.map((weight, distance) =>
      shape("rect", {
        class: "kit-cell",
        "data-head": row + 1,
        "data-back": distance,
        "data-weight": weight,
        "fill-opacity": Math.sqrt(weight),
        x: x(distance, count) + 0.5,
        y: TOP + row * ROW + 0.5,
        width: width - 1,
        height: ROW - 1,
      }),
    ),
  );
  const rows = kernels.map((_, row) => text(LEFT - 8, TOP + row * ROW + 14, row + 1, { anchor: "end" }));
  const bottom = TOP + kernels.length * ROW;
  const middle = (distance) => x(distance, count) + width / 2;
  const heads = above.map((word, n) => text(middle(n), 16, word, { anchor: "middle", class: "kit-above" }));
  const distances = kernels[0].map((_, n) => text(middle(n), bottom + 15, n, { anchor: "middle" }));
  const box = { class: "kit-head", x: LEFT, y: TOP + head * ROW, width: WIDTH - LEFT - 1, height: ROW };
  return [...cells, ...rows, ...heads, ...distances, shape("rect", box)];
}

function guide(model) {
  const list = model.get("tries").map(({ words, place, layer }) => [
    `layer ${layer}, place ${place}: ${words}`,
    { place, layer },
  ]);
  return steps(model, model.get("question"), list);
}

function mapOf(title, height, label) {
  const picture = svg(WIDTH, height, { class: "kit-map", "aria-label": label });
  const caption = element("span", { class: "kit-title" }, title);
  return { picture, node: element("div", {}, caption, picture) };
}

function render({ model, el }) {
  const [characters, weights] = [model.get("characters"), model.get("weights")];
  const cells = letters(model);
  const height = TOP + weights[0][0].length * ROW + 22;
  const maps = [
    mapOf("kernels at this place, a row a head", height, "The kernels at the chosen place"),
    mapOf("their mean over the text", height, "The mean of the kernels over the text"),
  ];
  const controls = toolbar(
    slider(model, "place", { label: "Place in the text", min: 1, max: characters.length }),
    slider(model, "layer", { label: "Layer", min: 1, max: weights.length }),
  );
  const said = readout();
  el.append(
    element(
      "div",
      { class: "kit" },
      guide(model),
      controls,
      element("div", { class: "kit-text", "aria-label": `The text: ${characters.join("")}`, role: "img" }, ...cells.map(({ node }) => node)),
      element("p", { class: "kit-key" }, "Bars: how far the kernels move at this place. Shaded: what they read."),
      element("div", { class: "kit-maps" }, ...maps.map(({ node }) => node)),
      said,
    ),
  );
  return follow(model, "place layer", () => {
    const found = read(model);
    const reach = found.window.length;
    cells.forEach(({ node, bar }, at) => {
      const distance = found.place - 1 - at;
      node.classList.toggle("kit-read", distance >= 0 && distance < reach);
      node.classList.toggle("kit-here", distance === 0);
      bar.style.height = `${(100 * found.shares[at]).toFixed(1)}%`;
    });
    maps[0].picture.replaceChildren(...heatMap(found.kernels, found.window, found.head));
    maps[1].picture.replaceChildren(...heatMap(found.still, [], found.head));
    said.textContent = found.sentence;
  });
}

export default { render };
