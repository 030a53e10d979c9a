// The map of the book: a small Transformer, and what each part's methods leave of it. The reader
// chooses a part (or clicks what it is about in the picture) and points at its methods.
import { element, readout, shape, store } from "../../show/controls.js";
import {
  BYTES,
  HEADS,
  HUBS,
  LAYERS,
  PARTS,
  ROWS,
  TOKENS,
  counts,
  node,
  pair,
  scene,
  spoke,
} from "./question_scenes.js";

const [WIDTH, HEIGHT] = [424, 316];
const x = (place) => 18 + 31 * place;
const y = (row) => 282 - 60 * row;
const middle = (layer) => (y(layer) + y(layer + 1)) / 2;
const byteX = (index) => x((index + 0.5) / 2 - 0.5);
const BYTE_Y = 307;
const WORDS = ["what", "can", "be", "left", "out", "of", "it", "?"];
const MOVE = 600; // milliseconds

const curve = (x0, y0, x1, y1) => {
  const half = (y0 + y1) / 2;
  return `M${x0} ${y0}C${x0} ${half} ${x1} ${half} ${x1} ${y1}`;
};

// Builds the drawing once; `draw(scene)` then only sets strengths and places.
function stack() {
  const svg = shape("svg", { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, class: "map-stack", role: "img" });
  const group = (name) => svg.appendChild(shape("g", { class: `map-${name}` }));
  const label = (parent, lx, ly, words, anchor = "start") =>
    parent.append(shape("text", { x: lx, y: ly, "text-anchor": anchor }, words));
  const [labels, edges, ghosts, nodes, layers] = [
    "labels",
    "edges",
    "ghosts",
    "nodes",
    "layers",
  ].map(group);
  const times = (size, build) => Array.from({ length: size }, (_, index) => build(index));
  const path = () => edges.appendChild(shape("path"));
  const circle = (parent, r) => parent.appendChild(shape("circle", { r }));

  const pairs = times(LAYERS * TOKENS * TOKENS, path);
  const gather = times(LAYERS * TOKENS * HUBS, path);
  const spread = times(LAYERS * TOKENS * HUBS, path);
  const byteEdges = times(BYTES, path);
  const hubs = times(LAYERS * HUBS, (index) => {
    const hub = circle(edges, 5);
    hub.setAttribute("cx", hubX(index % HUBS));
    hub.setAttribute("cy", middle(Math.floor(index / HUBS)));
    return hub;
  });
  times(ROWS * TOKENS, (index) => {
    const ghost = circle(ghosts, 5.5);
    ghost.setAttribute("cx", x(index % TOKENS));
    ghost.setAttribute("cy", y(Math.floor(index / TOKENS)));
  });
  const dots = times(ROWS * TOKENS, () => circle(nodes, 5.5));
  const bytes = times(BYTES, (index) =>
    nodes.appendChild(
      shape("rect", { x: byteX(index) - 3.5, y: BYTE_Y - 3.5, width: 7, height: 7 }),
    ),
  );
  const heads = times(LAYERS * HEADS, (index) => {
    const [layer, head] = [Math.floor(index / HEADS), index % HEADS];
    return layers.appendChild(shape("circle", { cx: 290 + 11 * head, cy: middle(layer), r: 4 }));
  });
  const parts = times(LAYERS * PARTS, (index) => {
    const [layer, part] = [Math.floor(index / PARTS), index % PARTS];
    return layers.appendChild(
      shape("rect", { x: 362 + 12 * part, y: middle(layer) - 13, width: 10, height: 26, rx: 2 }),
    );
  });

  const words = group("words");
  WORDS.forEach((word, token) => label(words, x(token), BYTE_Y + 4, word, "middle"));
  // The header names what stands below it, and shows what a dot and a line mean.
  const header = 14;
  labels.append(shape("circle", { cx: x(0), cy: header - 4, r: 5 }));
  label(labels, x(0) + 10, header, "representations");
  labels.append(
    shape("path", {
      d: `M133 ${header - 1}C138 ${header - 1} 138 ${header - 8} 143 ${header - 8}`,
    }),
  );
  label(labels, 148, header, "interactions");
  label(labels, 272, header, "layer", "end");
  label(labels, 306, header, "heads", "middle");
  label(labels, WIDTH, header, "feed-forward", "end");
  for (let layer = 0; layer < LAYERS; layer += 1) {
    label(labels, 270, middle(layer) + 4, String(layer + 1), "end");
  }

  const show = (item, strength, name = "opacity") => item.setAttribute(name, strength.toFixed(3));
  function draw(now) {
    dots.forEach((dot, index) => {
      dot.setAttribute("cx", x(now.place[index]).toFixed(1));
      dot.setAttribute("cy", y(Math.floor(index / TOKENS)));
      show(dot, now.nodes[index]);
    });
    for (let layer = 0; layer < LAYERS; layer += 1) {
      for (let query = 0; query < TOKENS; query += 1) {
        const above = x(now.place[node(layer + 1, query)]);
        for (let key = 0; key < TOKENS; key += 1) {
          const item = pairs[pair(layer, query, key)];
          item.setAttribute(
            "d",
            curve(x(now.place[node(layer, key)]), y(layer), above, y(layer + 1)),
          );
          show(item, now.pairs[pair(layer, query, key)]);
        }
        for (let hub = 0; hub < HUBS; hub += 1) {
          const index = spoke(layer, query, hub);
          const below = x(now.place[node(layer, query)]);
          gather[index].setAttribute("d", curve(below, y(layer), hubX(hub), middle(layer)));
          spread[index].setAttribute("d", curve(hubX(hub), middle(layer), above, y(layer + 1)));
          show(gather[index], now.gather[index]);
          show(spread[index], now.spread[index]);
        }
      }
    }
    hubs.forEach((hub, index) => show(hub, now.hubs[index]));
    heads.forEach((head, index) => show(head, now.heads[index], "fill-opacity"));
    parts.forEach((part, index) => show(part, now.parts[index], "fill-opacity"));
    bytes.forEach((byte, index) => {
      show(byte, now.bytes[index]);
      const token = Math.floor(index / 2);
      byteEdges[index].setAttribute("d", curve(byteX(index), BYTE_Y, x(now.place[token]), y(0)));
      show(byteEdges[index], now.bytes[index]);
    });
    show(words, 1 - now.bytes[0]);
  }
  function mark({ groups, fixed }) {
    edges.classList.toggle("map-fixed", fixed);
    dots.forEach((dot, index) => {
      dot.style.fill = groups ? `var(--frugal-accent-${[1, 2, 4][groups[index % TOKENS]]})` : "";
    });
  }
  // Regions to click, over everything: the rows, what lies between them, and the layers' parts.
  const regions = group("regions");
  const region = (about, left, top, width, height) =>
    regions.append(shape("rect", { x: left, y: top, width, height, "data-about": about }));
  region("interactions", 0, y(LAYERS) + 12, 248, y(0) - y(LAYERS) - 24);
  for (let row = 0; row < ROWS; row += 1) region("representations", 0, y(row) - 12, 248, 24);
  region("parameters", 252, 20, WIDTH - 252, 262);
  return { svg, draw, mark, regions };
}

function hubX(hub) {
  return x(2 + 1.5 * hub);
}

// Every number of a scene on its way from one scene to another.
export function between(from, to, amount) {
  const now = { ...to };
  for (const [name, values] of Object.entries(to)) {
    if (values instanceof Float32Array) {
      now[name] = values.map(
        (value, index) => from[name][index] + (value - from[name][index]) * amount,
      );
    }
  }
  return now;
}

function render({ model, el }) {
  const parts = model.get("parts");
  const baseline = counts(scene("whole"));
  const drawing = stack();
  const name = `map-part-${Math.random().toString(36).slice(2)}`;
  const inputs = parts.map((part, index) =>
    element("input", { type: "radio", name, onchange: () => choose(index) }),
  );
  const tabs = parts.map(({ number, title, about }, index) =>
    element(
      "label",
      { class: about ? `map-tab map-about-${about}` : "map-tab" },
      inputs[index],
      element("span", { class: "map-number" }, String(number)),
      element("span", {}, title),
    ),
  );
  const legend = element("legend", {}, "Part of the book");
  const list = element("fieldset", { class: "map-parts" }, legend, ...tabs);
  const meters = Object.fromEntries(
    ["interactions", "representations", "parameters"].map((name) => {
      const value = element("span", {});
      const bar = element("span", { class: "map-meter", "aria-hidden": "true" }, element("i"));
      return [
        name,
        {
          value,
          bar: bar.firstChild,
          node: element(
            "div",
            { class: `map-about-${name}` },
            element("span", { class: "map-name" }, name),
            value,
            bar,
          ),
        },
      ];
    }),
  );
  const numbers = element(
    "div",
    { class: "map-counts" },
    ...Object.values(meters).map(({ node: item }) => item),
  );
  const text = element("p", { class: "map-text" });
  const methods = element("ul", { class: "map-methods" });
  const panel = element("div", { class: "map-panel" }, text, methods);
  const said = readout();
  const root = element(
    "div",
    { class: "map" },
    element(
      "div",
      { class: "map-grid" },
      element("div", { class: "map-picture" }, drawing.svg, numbers),
      list,
      element("div", { class: "map-below" }, panel, said),
    ),
  );
  el.append(root);

  function choose(index) {
    if (model.get("part") === index && model.get("method") === -1) return;
    model.set("method", -1);
    store(model, "part", index);
  }
  const preview = (index) => store(model, "method", index);

  // From what is on the screen now, so that a reader who moves on in mid-flight sees no jump.
  let current = scene("whole");
  let frame = 0;
  function moveTo(target) {
    cancelAnimationFrame(frame);
    drawing.mark(target);
    const from = current;
    const still = matchMedia("(prefers-reduced-motion: reduce)").matches;
    const begin = performance.now();
    const step = (time) => {
      const passed = still ? 1 : Math.min(1, Math.max(0, time - begin) / MOVE);
      const eased = passed * passed * (3 - 2 * passed);
      current = between(from, target, eased);
      drawing.draw(current);
      if (passed < 1) frame = requestAnimationFrame(step);
    };
    step(begin);
  }

  function show() {
    const part = parts[model.get("part")];
    const method = part.methods[model.get("method")];
    const target = scene((method ?? part).scene);
    const left = counts(target);
    for (const [name, { value, bar }] of Object.entries(meters)) {
      const share = name === "parameters" ? left.parameters : left[name] / baseline[name];
      value.textContent =
        name === "parameters"
          ? `${Math.round(share * 100)} %`
          : `${left[name]} of ${baseline[name]}`;
      bar.style.width = `${Math.min(1, share) * 100}%`;
    }
    said.textContent = method ? `${method.name}: ${method.says}` : "";
    [...methods.querySelectorAll("a, button")].forEach((item, index) =>
      item.classList.toggle("map-shown", index === model.get("method")),
    );
    drawing.svg.setAttribute(
      "aria-label",
      `A Transformer of ${LAYERS} layers over ${TOKENS} tokens with ${left.interactions} of ${baseline.interactions} interactions, ` +
        `${left.representations} of ${baseline.representations} representations and ${Math.round(left.parameters * 100)} % of the parameters in use`,
    );
    moveTo(target);
  }

  function showPart() {
    const index = model.get("part");
    const part = parts[index];
    inputs.forEach((input, place) => {
      input.checked = place === index;
    });
    root.dataset.about = part.about ?? "all";
    text.textContent = part.text;
    methods.replaceChildren(
      ...part.methods.map((method, place) => {
        const listeners = { onpointerenter: () => preview(place), onfocus: () => preview(place) };
        const item = method.href
          ? element("a", { href: method.href, ...listeners }, method.name)
          : element(
              "button",
              { type: "button", onclick: () => preview(place), ...listeners },
              method.name,
            );
        return element("li", {}, item);
      }),
    );
    show();
  }

  drawing.regions.addEventListener("click", (event) => {
    const index = parts.findIndex(({ about }) => about === event.target.dataset.about);
    if (index >= 0) choose(index);
  });
  model.on("change:part", showPart);
  model.on("change:method", show);
  showPart();
  return () => {
    cancelAnimationFrame(frame);
    model.off("change:part", showPart);
    model.off("change:method", show);
  };
}

export default { render };
