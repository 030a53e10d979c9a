// A Vega-Lite chart in the page's colors. Vega is fetched when the first chart is drawn, from where
// the page says: the site's Sphinx extension leaves an element `#frugal-vega` with the address.
import { color, onThemeChange } from "./controls.js";

let arriving;

function vegaEmbed() {
  if (window.vegaEmbed) return Promise.resolve(window.vegaEmbed);
  arriving ??= new Promise((resolve, reject) => {
    const address = document.getElementById("frugal-vega")?.dataset.src;
    if (!address) {
      reject(new Error("Vega is not in this page; the still picture stays."));
      return;
    }
    const script = document.createElement("script");
    script.src = address;
    script.onload = () => resolve(window.vegaEmbed);
    script.onerror = () => reject(new Error("Vega was not loaded; the still picture stays."));
    document.head.append(script);
  });
  return arriving;
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

// Vega-Lite cannot fit panels below each other to a container, so their widths are set here; small
// charts side by side go on in the next row.
const MARGIN = 80; // for the y axis, its labels and its title
const NARROWEST = 180;
const PHONE = 480;

// `columns`: of legends that lie in a row, where the chart's own number was too wide.
function fitted(spec, width, columns) {
  const copy = structuredClone(spec);
  for (const panel of copy.vconcat ?? []) panel.width = Math.max(width - MARGIN, NARROWEST);
  if (copy.facet?.column && width < PHONE) {
    copy.facet = copy.facet.column;
    copy.columns = 2;
    copy.spec.width = Math.floor((width - MARGIN - 20) / 2);
  }
  adapt(copy, width < PHONE, columns);
  return copy;
}

// On a phone the names of rows take a line more where they have a comma, and leave room for the rows.
function adapt(spec, narrow, columns) {
  for (const part of [...(spec.layer ?? []), ...(spec.vconcat ?? []), ...(spec.spec ? [spec.spec] : [])]) {
    adapt(part, narrow, columns);
  }
  const { y, ...others } = spec.encoding ?? {};
  for (const { legend } of Object.values(others)) {
    if (!legend) continue;
    legend.labelLimit ??= 300;
    if (columns && legend.direction !== "vertical") legend.columns = columns;
  }
  if (narrow && y?.type === "nominal" && y.axis !== null) {
    y.axis = { labelExpr: "split(datum.label, ', ')", ...y.axis };
  }
}

function legendIsCut(place) {
  const edge = place.getBoundingClientRect().right + 1;
  const legends = [...place.querySelectorAll(".role-legend")];
  return legends.some((legend) => legend.getBoundingClientRect().right > edge);
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
      for (const columns of [undefined, 2, 1]) {
        embedded = await embed(place, fitted(spec, drawnAt, columns), options);
        for (const [name, value] of values) embedded.view.signal(name, value);
        await embedded.view.runAsync();
        if (columns === 1 || !legendIsCut(place)) break;
        embedded.finalize();
      }
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
