// What figures draw with: SVG pictures and their words, numbers in words, and a drawing that follows
// the state.
import { shape } from "./controls.js";

// A picture of `width` by `height` units; give it an "aria-label" that says what it shows.
export function svg(width, height, attributes = {}) {
  return shape("svg", { viewBox: `0 0 ${width} ${height}`, role: "img", ...attributes });
}

// Words in a picture: they start at x, or have their middle or end there (`anchor`).
export function text(x, y, words, { anchor = null, ...attributes } = {}) {
  return shape("text", { x, y, "text-anchor": anchor, ...attributes }, words);
}

// The width to draw at. A narrow page gets a narrower drawing, not smaller letters.
export function widthOf(el, narrow = 380, wide = 640) {
  return el.clientWidth && el.clientWidth < 520 ? narrow : wide;
}

export function sum(values) {
  return values.reduce((total, value) => total + value, 0);
}

export function mean(values) {
  return sum(values) / values.length;
}

// From outside of low … high a value comes back to the nearer end.
export function clamp(value, low, high) {
  return Math.min(high, Math.max(low, value));
}

// 0.123 → "12 %", 0.012 → "1.2 %": two digits that say something, or as many decimals as are given.
export function percent(share, decimals = share < 0.0995 ? 1 : 0) {
  return `${(100 * share).toFixed(decimals)} %`;
}

// The parts of the state that have these names (in one string, or in a list), as an object.
export function read(model, names) {
  return Object.fromEntries(listed(names).map((name) => [name, model.get(name)]));
}

// Draws now, and again whenever one of these names of the state changes. Gives a function that ends
// this, for the figure's cleanup.
export function follow(model, names, draw) {
  const stop = watch(model, names, draw);
  draw();
  return stop;
}

// The same for what need not be done now.
export function watch(model, names, act) {
  const events = listed(names)
    .map((name) => `change:${name}`)
    .join(" ");
  model.on(events, act);
  return () => model.off(events, act);
}

// The tab key stops at what scrolls, and only there.
export function reachable(node) {
  const { scrollWidth, clientWidth, scrollHeight, clientHeight } = node;
  if (scrollWidth > clientWidth || scrollHeight > clientHeight) node.tabIndex = 0;
  else node.removeAttribute("tabindex");
}

// Gives `node` the height of the tallest that may be drawn in it, now and where its width has changed:
// `draw` draws each of `all`, and `done` at last what is to be seen. What is taller still scrolls. Gives
// a function that ends this.
export function keepHeight(node, all, draw, done) {
  let width = null;
  const fit = () => {
    if (node.clientWidth === width) return;
    width = node.clientWidth;
    node.style.height = "";
    const heights = all.map((one) => {
      draw(one);
      return node.getBoundingClientRect().height;
    });
    node.style.height = `${Math.ceil(Math.max(...heights))}px`;
    done();
  };
  const resized = new ResizeObserver(fit);
  resized.observe(node);
  fit();
  return () => resized.disconnect();
}

function listed(names) {
  return typeof names === "string" ? names.split(" ") : names;
}
