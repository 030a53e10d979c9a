// The attention explorer: heads side by side, the chosen head as a heat map, and the chosen query
// as bands from its token to the tokens it reads. All three show the same row of the same matrix.
import {
  color,
  element,
  heat,
  onThemeChange,
  readout,
  segmented,
  select,
  shape,
  store,
  toolbar,
} from "../../show/controls.js";
import {
  KINDS,
  decode,
  describe,
  headSpread,
  masked,
  matrix,
  percent,
  row,
  visible,
} from "./attention_maps.js";

const BAND_WIDTH = 100; // of the drawing between the two columns; it is stretched to fit

// Colors follow √w, so that a weight of 5 % can be told from nothing; the scale below says so.
// One pixel a cell, which the style sheet enlarges without blurring.
function paint(canvas, map, kind, layer, head) {
  const ramp = heat(canvas);
  const empty = color(canvas, "--frugal-panel");
  canvas.width = map.keys.length;
  canvas.height = map.queries.length;
  const context = canvas.getContext("2d");
  matrix(map, layer, head).forEach((weight, index) => {
    const query = Math.floor(index / map.keys.length);
    const key = index % map.keys.length;
    context.fillStyle = masked(kind, query, key) ? empty : ramp(Math.sqrt(weight));
    context.fillRect(key, query, 1, 1);
  });
}

// A strip that keeps its width's share of the query's row: 72 % of the attention, 72 % of the height.
function band(top, bottom, left, right) {
  const middle = BAND_WIDTH / 2;
  return (
    `M0 ${left[0]}C${middle} ${left[0]} ${middle} ${top} ${BAND_WIDTH} ${top}` +
    `V${bottom}C${middle} ${bottom} ${middle} ${left[1]} 0 ${left[1]}Z`
  );
}

function render({ model, el }) {
  const maps = model
    .get("examples")
    .map((example) =>
      Object.fromEntries(Object.entries(example.maps).map(([kind, map]) => [kind, decode(map)])),
    );
  const map = () => maps[model.get("example")][model.get("kind")];
  const place = () => ["layer", "head", "query"].map((name) => model.get(name));

  const root = element("div", { class: "attention" });
  const controls = element("div", { class: "attention-controls" });
  const heads = element("fieldset", { class: "attention-heads" });
  const queries = element("ul", { class: "attention-queries", role: "listbox", tabindex: 0 });
  const bands = shape("svg", {
    class: "attention-bands",
    preserveAspectRatio: "none",
    "aria-hidden": "true",
  });
  const keys = element("ul", { class: "attention-keys" });
  const canvas = element("canvas", { role: "img" });
  const frame = element("div", { class: "attention-frame", "aria-hidden": "true" });
  const across = element("div", { class: "attention-across", "aria-hidden": "true" });
  const down = element("div", { class: "attention-down", "aria-hidden": "true" });
  const pointed = element("p", { class: "attention-pointed", "aria-hidden": "true" });
  const said = readout();
  const headings = [element("p", {}), element("p", {})];
  const tokens = element(
    "div",
    { class: "attention-tokens" },
    element("div", { class: "attention-headings", "aria-hidden": "true" }, ...headings),
    element("div", { class: "attention-columns" }, queries, bands, keys),
  );
  const grid = element(
    "div",
    { class: "attention-grid" },
    across,
    down,
    element("div", { class: "attention-cells" }, canvas, frame),
  );
  const legend = element("p", { class: "attention-scale", "aria-hidden": "true" });
  const picture = element("div", { class: "attention-map" }, grid, legend, pointed);
  root.append(controls, heads, said, element("div", { class: "attention-views" }, tokens, picture));
  el.append(root);

  const titles = model.get("examples").map(({ title }, index) => [index, title]);
  const kinds = Object.keys(model.get("examples")[0].maps).map((kind) => [kind, KINDS[kind].label]);
  const chosen = toolbar(
    ...(titles.length > 1 ? [select(model, "example", { label: "Example", options: titles })] : []),
    ...(kinds.length > 1 ? [segmented(model, "kind", { label: "Attention", options: kinds })] : []),
  );
  const deepest = Math.max(
    ...maps.flatMap((example) => Object.values(example).map((it) => it.layers)),
  );
  const numbers = Array.from({ length: deepest }, (_, layer) => [layer, String(layer + 1)]);
  const layers = segmented(model, "layer", { label: "Layer", options: numbers });
  layers.classList.add("attention-layers");
  chosen.append(layers);
  controls.append(chosen);

  function choose(name, value) {
    if (model.get(name) !== value) store(model, name, value);
  }

  // Layers that this kind of attention does not have are hidden, not removed: the group stays one.
  function showLayers() {
    layers.hidden = map().layers === 1;
    layers.querySelectorAll("label").forEach((label, layer) => {
      label.hidden = layers.hidden || layer >= map().layers;
      label.firstChild.disabled = label.hidden;
    });
  }

  const group = `attention-head-${Math.random().toString(36).slice(2)}`;
  function buildHeads() {
    const choices = Array.from({ length: map().heads }, (_, head) => {
      const input = element("input", {
        type: "radio",
        name: group,
        disabled: map().heads === 1,
        value: head,
        onchange: () => choose("head", head),
      });
      return element(
        "label",
        { class: "attention-head" },
        input,
        element("span", { class: "attention-thumb" }, element("canvas", { "aria-hidden": "true" })),
        element("span", { class: "attention-name" }),
        element("span", { class: "attention-spread" }),
      );
    });
    heads.replaceChildren(
      element("legend", {}, "Heads, and over how many tokens a row of each spreads"),
      ...choices,
    );
  }

  function buildTokens() {
    const { asks, asked } = KINDS[model.get("kind")];
    headings[0].textContent = `a token of the ${asks} …`;
    headings[1].textContent = `… reads the ${asked}`;
    queries.setAttribute("aria-label", `Tokens of the ${asks}: choose one to see what it reads`);
    keys.setAttribute("aria-label", `Tokens of the ${asked} with the attention they get`);
    const id = `attention-query-${Math.random().toString(36).slice(2)}`;
    queries.replaceChildren(
      ...map().queries.map((token, query) =>
        element(
          "li",
          {
            role: "option",
            id: `${id}-${query}`,
            onpointerenter: () => choose("query", query),
            onclick: () => choose("query", query),
          },
          visible(token),
        ),
      ),
    );
    keys.replaceChildren(
      ...map().keys.map((token) =>
        element(
          "li",
          {},
          element("span", { class: "attention-key" }, visible(token)),
          element("span", { class: "attention-number" }),
        ),
      ),
    );
    down.replaceChildren(...map().queries.map((token) => element("span", {}, visible(token))));
    across.replaceChildren(...map().keys.map((token) => element("span", {}, visible(token))));
    const rows = Math.max(map().queries.length, map().keys.length);
    root.style.setProperty("--rows", rows);
    root.style.setProperty("--queries", map().queries.length);
    root.style.setProperty("--keys", map().keys.length);
    root.style.setProperty("--row", `${Math.min(26, Math.max(17, Math.round(460 / rows)))}px`);
    const single = map().keys.every((token) => [...token].length < 2);
    root.classList.toggle("attention-words", !single);
    root.style.setProperty(
      "--longest",
      Math.max(
        ...map()
          .keys.concat(map().queries)
          .map((token) => token.length),
      ),
    );
  }

  function drawHeads() {
    const [layer, selected] = place();
    [...heads.querySelectorAll("label")].forEach((label, head) => {
      const equal = headSpread(map(), layer, head).toFixed(1);
      label.querySelector("input").checked = head === selected;
      label
        .querySelector("input")
        .setAttribute("aria-label", `head ${head + 1}, a row spreads over ${equal} tokens`);
      label.querySelector(".attention-name").textContent = `head ${head + 1}`;
      label.querySelector(".attention-spread").textContent = `${equal} tokens`;
      paint(label.querySelector("canvas"), map(), model.get("kind"), layer, head);
    });
  }

  function drawMap() {
    const [layer, head] = place();
    paint(canvas, map(), model.get("kind"), layer, head);
    canvas.setAttribute(
      "aria-label",
      `Heat map of layer ${layer + 1}, head ${head + 1}: a row for each token of the ${KINDS[model.get("kind")].asks}`,
    );
    const ramp = heat(canvas);
    const steps = [0, 0.05, 0.25, 1].map((weight) => [ramp(Math.sqrt(weight)), percent(weight)]);
    if (model.get("kind") === "decoder") steps.push([color(canvas, "--frugal-panel"), "masked"]);
    legend.replaceChildren(
      "weight",
      ...steps.map(([fill, text]) =>
        element("span", {}, element("i", { style: `background:${fill}` }), text),
      ),
    );
  }

  function drawRow() {
    const [layer, head, query] = place();
    const weights = row(map(), layer, head, query);
    [...queries.children].forEach((item, index) =>
      item.setAttribute("aria-selected", String(index === query)),
    );
    queries.setAttribute("aria-activedescendant", queries.children[query].id);
    const most = Math.max(...weights);
    [...keys.children].forEach((item, key) => {
      const number = item.lastChild;
      const hidden = masked(model.get("kind"), query, key);
      number.textContent = hidden ? "" : weights[key] < 0.005 ? "" : percent(weights[key]);
      item.classList.toggle("attention-most", weights[key] === most && most > 0);
      item.classList.toggle("attention-future", hidden);
      item.dataset.weight = weights[key];
      across.children[key].classList.toggle("attention-most", weights[key] >= 0.1);
    });
    [...down.children].forEach((item, index) =>
      item.classList.toggle("attention-most", index === query),
    );
    frame.style.top = `${(query / map().queries.length) * 100}%`;
    drawBands(weights, query, layer, head);
    said.textContent = describe(map(), model.get("kind"), layer, head, query);
  }

  // Behind the chosen row's bands every other row leaves thin lines: the habit of the whole head.
  function drawBands(chosenWeights, chosenQuery, layer, head) {
    const rows = Math.max(map().queries.length, map().keys.length);
    bands.setAttribute("viewBox", `0 0 ${BAND_WIDTH} ${rows}`);
    const thin = shape("g", { class: "attention-others" });
    for (let query = 0; query < map().queries.length; query += 1) {
      row(map(), layer, head, query).forEach((weight, key) => {
        if (query === chosenQuery || weight < 0.08) return;
        const [from, to, middle] = [query + 0.5, key + 0.5, BAND_WIDTH / 2];
        thin.append(
          shape("path", {
            d: `M0 ${from}C${middle} ${from} ${middle} ${to} ${BAND_WIDTH} ${to}`,
            "stroke-opacity": (weight * 0.5).toFixed(3),
          }),
        );
      });
    }
    const thick = shape("g", { class: "attention-chosen" });
    let from = chosenQuery + 0.04;
    chosenWeights.forEach((weight, key) => {
      const height = weight * 0.92;
      if (weight >= 0.004) {
        const top = key + 0.5 - height / 2;
        thick.append(
          shape("path", { d: band(top, top + height, [from, from + height]), "data-key": key }),
        );
      }
      from += height;
    });
    bands.replaceChildren(thin, thick);
  }

  function pointAt(event) {
    const box = canvas.getBoundingClientRect();
    const query = Math.floor(((event.clientY - box.top) / box.height) * map().queries.length);
    const key = Math.floor(((event.clientX - box.left) / box.width) * map().keys.length);
    if (query < 0 || key < 0 || query >= map().queries.length || key >= map().keys.length) return;
    choose("query", query);
    const weight = row(map(), model.get("layer"), model.get("head"), query)[key];
    const value = masked(model.get("kind"), query, key)
      ? "masked: the future"
      : `${(weight * 100).toFixed(1)} %`;
    pointed.textContent = `‘${visible(map().queries[query])}’ → ‘${visible(map().keys[key])}’: ${value}`;
  }
  canvas.addEventListener("pointermove", pointAt);
  canvas.addEventListener("pointerdown", pointAt);
  canvas.addEventListener("pointerleave", () => {
    pointed.textContent = "";
  });

  queries.addEventListener("keydown", (event) => {
    const [layer, head, query] = place();
    const last = map().queries.length - 1;
    const moves = {
      ArrowDown: ["query", Math.min(last, query + 1)],
      ArrowUp: ["query", Math.max(0, query - 1)],
      Home: ["query", 0],
      End: ["query", last],
      ArrowRight: ["head", (head + 1) % map().heads],
      ArrowLeft: ["head", (head + map().heads - 1) % map().heads],
      PageUp: ["layer", Math.min(map().layers - 1, layer + 1)],
      PageDown: ["layer", Math.max(0, layer - 1)],
    };
    if (!(event.key in moves) || event.ctrlKey || event.metaKey || event.altKey) return;
    event.preventDefault();
    choose(...moves[event.key]);
  });

  // Another example or kind may have fewer layers, heads or tokens. While the lists are being
  // rebuilt they do not fit the state, so nothing is drawn.
  let building = false;
  const drawAll = () => {
    if (building) return;
    drawHeads();
    drawMap();
    drawRow();
  };
  const moveRow = () => {
    if (!building) drawRow();
  };
  const rebuild = () => {
    building = true;
    const sizes = { layer: map().layers, head: map().heads, query: map().queries.length };
    for (const [name, size] of Object.entries(sizes))
      choose(name, Math.min(model.get(name), size - 1));
    showLayers();
    buildHeads();
    buildTokens();
    building = false;
    drawAll();
  };
  model.on("change:example", rebuild);
  model.on("change:kind", rebuild);
  model.on("change:layer", drawAll);
  model.on("change:head", drawAll);
  model.on("change:query", moveRow);
  rebuild();
  const stop = onThemeChange(el, drawAll);
  return () => {
    stop();
    for (const name of ["example", "kind"]) model.off(`change:${name}`, rebuild);
    for (const name of ["layer", "head"]) model.off(`change:${name}`, drawAll);
    model.off("change:query", moveRow);
  };
}

export default { render };
