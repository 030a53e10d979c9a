// A Vega-Lite chart in the page's colors. Vega comes from a script that a page with a chart loads
// once; the site's Sphinx extension adds it.
import { color, onThemeChange } from "./controls.js";

function vegaEmbed() {
  if (window.vegaEmbed) return Promise.resolve(window.vegaEmbed);
  if (document.readyState === "complete") {
    return Promise.reject(new Error("Vega is not in this page; the still picture stays."));
  }
  return new Promise((resolve, reject) => {
    window.addEventListener("load", () => {
      if (window.vegaEmbed) resolve(window.vegaEmbed);
      else reject(new Error("Vega was not loaded; the still picture stays."));
    });
  });
}

// The config with custom properties replaced by what they are where `el` stands.
function resolved(config, el) {
  if (Array.isArray(config)) return config.map((item) => resolved(item, el));
  if (config && typeof config === "object") {
    return Object.fromEntries(
      Object.entries(config).map(([name, value]) => [name, resolved(value, el)]),
    );
  }
  if (config === "--frugal-font") return getComputedStyle(el).fontFamily;
  return typeof config === "string" && config.startsWith("--") ? color(el, config) : config;
}

// Vega-Lite cannot fit panels below each other to a container, so their widths are set here.
const MARGIN = 80; // for the y axis, its labels and its title
const NARROWEST = 180;

function fitted(spec, width) {
  const copy = structuredClone(spec);
  for (const panel of copy.vconcat ?? []) panel.width = Math.max(width - MARGIN, NARROWEST);
  return copy;
}

export default {
  async render({ model, el }) {
    const embed = await vegaEmbed();
    const spec = model.get("spec");
    const bound = (spec.params ?? []).filter((param) => param.bind).map((param) => param.name);
    const place = document.createElement("div");
    place.className = "frugal-chart";
    el.replaceChildren(place);
    let embedded;
    let drawing = Promise.resolve();
    let drawnAt;

    const draw = async () => {
      const values = embedded ? bound.map((name) => [name, embedded.view.signal(name)]) : [];
      embedded?.finalize();
      place.replaceChildren();
      const config = resolved(model.get("config"), el);
      const options = { actions: false, renderer: "svg", config };
      drawnAt = place.clientWidth;
      embedded = await embed(place, fitted(spec, drawnAt), options);
      for (const [name, value] of values) embedded.view.signal(name, value);
      await embedded.view.runAsync();
      for (const name of bound) {
        const show = () => model.set(name, embedded.view.signal(name));
        embedded.view.addSignalListener(name, show);
        show();
      }
    };
    const drawNext = () => (drawing = drawing.then(draw));

    await drawNext();
    // Vega measures its container while the window changes, before the page has settled.
    const sizes = new ResizeObserver(() => {
      if (spec.width === "container") embedded.view.width(place.clientWidth).runAsync();
      else if (spec.vconcat && place.clientWidth !== drawnAt) drawNext();
    });
    sizes.observe(place);
    const stop = onThemeChange(el, drawNext);
    return () => {
      sizes.disconnect();
      stop();
      embedded.finalize();
    };
  },
};
