// The map of the book: a small Transformer, and what each part's methods leave of it. It plays by
// itself, one method after the other, until the reader chooses a part or a method.
import { element, readout, store, uniqueId } from "../../show/controls.js";
import { follow, percent } from "../../show/drawing.js";
import { player } from "./question_play.js";
import { LAYERS, TOKENS, counts, scene, whole } from "./question_scenes.js";
import { stack } from "./question_stack.js";

const MOVE = 800; // milliseconds
const ABOUT = ["interactions", "representations", "parameters"];
const BASELINE = counts(whole());

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

// Moves the drawing from what is on the screen now, so that a reader who moves on in mid-flight sees
// no jump. `draw` gets every scene on the way.
function mover(mark, draw) {
  let current = whole();
  let frame = 0;
  const stop = () => cancelAnimationFrame(frame);
  const moveTo = (target) => {
    stop();
    mark(target);
    const from = current;
    const still = matchMedia("(prefers-reduced-motion: reduce)").matches;
    const begin = performance.now();
    const step = (time) => {
      const passed = still ? 1 : Math.min(1, Math.max(0, time - begin) / MOVE);
      const eased = passed * passed * (3 - 2 * passed);
      current = between(from, target, eased);
      draw(current);
      if (passed < 1) frame = requestAnimationFrame(step);
    };
    step(begin);
  };
  return { moveTo, stop };
}

// What is saved and what is left, in numbers and bars.
function metersView() {
  const meters = ABOUT.map((name) => {
    const [saved, value, bar] = [element("b", {}), element("span", {}), element("i")];
    const node = element(
      "div",
      { class: `map-about-${name}` },
      element("span", { class: "map-name" }, name),
      saved,
      value,
      element("span", { class: "map-meter", "aria-hidden": "true" }, bar),
    );
    return { name, saved, value, bar, node };
  });
  const show = (left) => {
    for (const { name, saved, value, bar, node } of meters) {
      const ofParameters = name === "parameters";
      const share = ofParameters ? left[name] : left[name] / BASELINE[name];
      saved.textContent = share < 0.995 ? `−${percent(1 - share, 0)}` : "all";
      const kept = ofParameters ? `${percent(share, 0)} in use` : "";
      value.textContent = kept || `${left[name]} of ${BASELINE[name]}`;
      bar.style.width = `${Math.min(1, share) * 100}%`;
      node.classList.toggle("map-less", share < 0.995);
    }
  };
  return { node: element("div", { class: "map-counts" }, ...meters.map(({ node }) => node)), show };
}

// The parts of the book, as radio buttons.
function partsView(parts, choose) {
  const name = uniqueId("part");
  const inputs = parts.map((_, index) =>
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
  const show = (chosen) =>
    inputs.forEach((input, place) => {
      input.checked = place === chosen;
    });
  return { node: element("fieldset", { class: "map-parts" }, legend, ...tabs), show };
}

// The methods of all parts, of which one part's are seen. Each is shown when it is pointed at or
// focused; a click goes to its chapter, but a tap that only now shows it does not.
function methodsView(parts, preview) {
  let armed = true;
  const item = ({ name, href }, place) => {
    const tag = href ? "a" : "button";
    const node = element(tag, href ? { href } : { type: "button", class: "map-unwritten" }, name);
    node.addEventListener("pointerdown", ({ pointerType }) => {
      armed = pointerType !== "touch" || node.dataset.chosen === "true";
    });
    node.addEventListener("pointerenter", ({ pointerType }) => {
      if (pointerType !== "touch") preview(place);
    });
    node.addEventListener("focus", () => preview(place));
    node.addEventListener("click", (event) => {
      if (!armed) event.preventDefault();
      preview(place);
      armed = true;
    });
    return node;
  };
  const lists = parts.map(({ methods }) => {
    const nodes = methods.map(item);
    const list = element("ul", { class: "map-methods" }, ...nodes.map((it) => element("li", {}, it)));
    return { list, nodes };
  });
  const show = (part, method, byReader) =>
    lists.forEach(({ list, nodes }, index) => {
      list.classList.toggle("map-away", index !== part);
      nodes.forEach((node, place) => {
        const shown = index === part && place === method;
        node.classList.toggle("map-shown", shown);
        node.dataset.chosen = shown && byReader;
        node.disabled = index !== part;
      });
    });
  return { node: element("div", { class: "map-stacked" }, ...lists.map(({ list }) => list)), show };
}

const sentence = (part, method) => (method ? `${method.name}: ${method.says}` : part.text);

// What the picture shows, in words, with the way to the chapter. Every sentence takes its place
// unseen, so that none changes the height.
function captionView(parts) {
  const said = readout();
  const all = parts.flatMap((part) => [part, ...part.methods].map((it) => it.text ?? sentence(part, it)));
  const sizes = all.map((words) => element("p", { class: "map-away" }, words));
  const unseen = element("div", { class: "map-stacked", "aria-hidden": "true" }, ...sizes);
  const go = element("a", { class: "map-go" }, "To its chapter →");
  const unwritten = element("span", { class: "map-go" }, "Its chapter is not written yet.");
  const show = (part, method) => {
    said.textContent = sentence(part, method);
    go.hidden = !method?.href;
    unwritten.hidden = !method || Boolean(method.href);
    if (!go.hidden) {
      go.href = method.href;
      go.setAttribute("aria-label", `To its chapter: ${method.name}`);
    }
  };
  const words = element("div", { class: "map-stacked map-said" }, said, unseen);
  return { words, ways: [go, unwritten], said, show };
}

function describe(left) {
  return (
    `A Transformer of ${LAYERS} layers over ${TOKENS} tokens with ` +
    `${left.interactions} of ${BASELINE.interactions} interactions, ` +
    `${left.representations} of ${BASELINE.representations} representations and ` +
    `${percent(left.parameters, 0)} of the parameters in use`
  );
}

// The next method after (part, method) in the order of the book; the whole model is shown once a round.
export function following(parts, part, method) {
  const next = parts[part].methods[method + 1];
  return next && next.scene !== "whole" ? [part, method + 1] : [(part + 1) % parts.length, 0];
}

function grid(drawing, meters, caption, play, list, methods) {
  const ways = element("div", { class: "map-ways" }, play.button, ...caption.ways);
  const left = [drawing.picture, meters.node, caption.words, ways];
  return element(
    "div",
    { class: "map-grid" },
    element("div", { class: "map-picture" }, ...left),
    element("div", { class: "map-choice" }, list.node, methods.node),
  );
}

function render({ model, el }) {
  const parts = model.get("parts");
  const scenes = model.get("scenes");
  const drawing = stack();
  const meters = metersView();
  const { moveTo, stop } = mover(drawing.mark, (now) => {
    drawing.draw(now);
    meters.show(counts(now));
  });
  let byReader = false;
  const choose = (index) => {
    if (model.get("part") === index && model.get("method") === -1) return;
    model.set("method", -1);
    store(model, "part", index);
  };
  const preview = (place) => {
    byReader = true;
    if (model.get("method") === place) show();
    else store(model, "method", place);
  };
  const advance = () => {
    byReader = false;
    const [part, method] = following(parts, model.get("part"), model.get("method"));
    if (part !== model.get("part")) {
      model.set("method", -1);
      model.set("part", part);
    }
    model.set("method", method);
  };

  const list = partsView(parts, choose);
  const methods = methodsView(parts, preview);
  const caption = captionView(parts);
  const root = element("div", { class: "map" });
  const play = player(root, advance, (playing) => {
    caption.said.setAttribute("aria-live", playing ? "off" : "polite");
  });
  root.append(grid(drawing, meters, caption, play, list, methods));
  el.append(root);
  drawing.regions.addEventListener("click", (event) => {
    const index = parts.findIndex(({ about }) => about === event.target.dataset.about);
    if (index >= 0) choose(index);
  });

  function show() {
    const [part, place] = [model.get("part"), model.get("method")];
    const method = parts[part].methods[place];
    const target = scene(scenes[(method ?? parts[part]).scene]);
    list.show(part);
    root.dataset.about = parts[part].about ?? "all";
    methods.show(part, place, byReader);
    caption.show(parts[part], method);
    drawing.picture.setAttribute("aria-label", describe(counts(target)));
    moveTo(target);
  }

  const follows = follow(model, "part method", show);
  return () => [stop, follows, play.end].forEach((end) => end());
}

export default { render };
