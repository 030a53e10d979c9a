// The attention explorer: heads side by side, the chosen head as a heat map, and the chosen query
// as bands from its token to the tokens it reads. All three show the same row of the same matrix.
import { element, guide, onThemeChange, readout, segmented, select, store, toolbar } from "../../show/controls.js";
import { clamp, follow, read } from "../../show/drawing.js";
import { oneAtATime } from "../../show/parts.js";
import { KINDS, decode, describe, row } from "./attention_maps.js";
import { headsView, mapView, tokensView } from "./attention_views.js";

const NARROW = 600; // pixels, as in the style sheet

// Every example's maps, by kind of attention.
function mapsOf(model) {
  return model
    .get("examples")
    .map((example) =>
      Object.fromEntries(Object.entries(example.maps).map(([kind, map]) => [kind, decode(map)])),
    );
}

// Controls for the example, the kind and the layer, and what shows the layers that a map has.
function controlsOf(model, maps) {
  const titles = model.get("examples").map(({ title }, index) => [index, title]);
  const kinds = Object.keys(maps[0]).map((kind) => [kind, KINDS[kind].label]);
  const deepest = Math.max(...maps.flatMap((one) => Object.values(one).map((map) => map.layers)));
  const numbers = Array.from({ length: deepest }, (_, layer) => [layer, String(layer + 1)]);
  const layers = segmented(model, "layer", { label: "Layer", options: numbers });
  layers.classList.add("attention-layers");
  const chosen = toolbar(
    ...(titles.length > 1 ? [select(model, "example", { label: "Example", options: titles })] : []),
    ...(kinds.length > 1 ? [segmented(model, "kind", { label: "Attention", options: kinds })] : []),
    ...(deepest > 1 ? [layers] : []),
  );
  // Layers that this kind of attention does not have are hidden, not removed: the group stays one,
  // and keeps its room.
  const build = (map) => {
    layers.style.visibility = map.layers === 1 ? "hidden" : "";
    layers.querySelectorAll("label").forEach((label, layer) => {
      const gone = map.layers === 1 || layer >= map.layers;
      label.style.visibility = gone ? "hidden" : "";
      label.firstChild.disabled = gone;
    });
  };
  return { node: element("div", { class: "attention-controls" }, chosen), build };
}

// The height in pixels of a row of a map's tokens.
function rowOf({ queries, keys }) {
  return clamp(Math.round(460 / Math.max(queries.length, keys.length)), 17, 26);
}

function setSizes(root, sizes) {
  for (const [name, size] of Object.entries(sizes)) root.style.setProperty(`--${name}`, size);
}

// Room for the tokens of any of the maps, so that no choice changes the figure's height: of the
// tallest list, of the tallest heat map, and of the longest token.
function keepRoom(root, maps) {
  const most = (measure) => Math.max(...maps.map(measure));
  setSizes(root, {
    list: `${most((map) => rowOf(map) * Math.max(map.queries.length, map.keys.length))}px`,
    cells: `${most((map) => rowOf(map) * map.queries.length)}px`,
    longest: most(({ queries, keys }) => Math.max(...[...keys, ...queries].map((token) => token.length))),
  });
}

// The sizes of one map, which the style sheet reads.
function fit(root, map) {
  const { queries, keys } = map;
  const rows = Math.max(queries.length, keys.length);
  setSizes(root, { rows, queries: queries.length, keys: keys.length, row: `${rowOf(map)}px` });
  const single = keys.every((token) => [...token].length < 2);
  root.classList.toggle("attention-words", !single);
}

function render({ model, el }) {
  const maps = mapsOf(model);
  const mapNow = () => maps[model.get("example")][model.get("kind")];
  const placeNow = () => ({ map: mapNow(), ...read(model, "kind layer head query") });
  const choose = (name, value) => {
    if (model.get(name) !== value) store(model, name, value);
  };
  const controls = controlsOf(model, maps);
  const heads = headsView(choose);
  const tokens = tokensView(choose, placeNow);
  const picture = mapView(choose, placeNow);
  const said = readout();
  const views = element("div", { class: "attention-views" }, tokens.node, picture.node);
  const root = element("div", { class: "attention" });
  const parts = [["one token", tokens.node], ["the whole head", picture.node]];
  const seen = oneAtATime(model, { root, all: views, parts, narrow: NARROW });
  root.append(...guide(model), controls.node, heads.node, said, seen.bar, views);
  el.append(root);
  keepRoom(root, maps.flatMap((example) => Object.values(example)));
  seen.fit();

  // Another example or kind may have fewer layers, heads or tokens. While the lists are being
  // rebuilt they do not fit the state, so nothing is drawn.
  let building = false;
  const drawRow = () => {
    if (building) return;
    const place = placeNow();
    const { map, kind, layer, head, query } = place;
    const weights = row(map, layer, head, query);
    tokens.drawRow(place, weights);
    picture.drawRow(place, weights);
    said.textContent = describe(map, kind, layer, head, query);
  };
  const draw = () => {
    if (building) return;
    heads.draw(placeNow());
    picture.draw(placeNow());
    drawRow();
  };
  const build = () => {
    building = true;
    const map = mapNow();
    const sizes = { layer: map.layers, head: map.heads, query: map.queries.length };
    for (const [name, size] of Object.entries(sizes)) choose(name, clamp(model.get(name), 0, size - 1));
    for (const view of [controls, heads, picture]) view.build(map);
    tokens.build(map, model.get("kind"));
    fit(root, map);
    building = false;
    draw();
  };
  const stops = [
    follow(model, "example kind", build),
    follow(model, "layer head", draw),
    follow(model, "query", drawRow),
    onThemeChange(el, draw),
    seen.stop,
  ];
  return () => stops.forEach((stop) => stop());
}

export default { render };
