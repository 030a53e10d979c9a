// Runs figures on a page without a kernel: a registry of modules and a stand-in for the model that
// anywidget would hand over. A classic script, so that it also works from disk.
window.frugal ??= (() => {
  "use strict";
  const modules = new Map();

  class Model {
    #state;
    #changed = new Set();
    #listeners = new Map();

    constructor(state) {
      this.#state = { ...state };
    }

    get(name) {
      return this.#state[name];
    }

    set(name, value) {
      if (typeof name === "object") {
        for (const [key, item] of Object.entries(name)) this.set(key, item);
        return;
      }
      if (Object.is(this.#state[name], value)) return;
      this.#state[name] = value;
      this.#changed.add(name);
      this.#tell(`change:${name}`, value);
      this.#tell("change", value);
    }

    on(names, listener) {
      for (const name of names.split(/\s+/)) {
        if (!this.#listeners.has(name)) this.#listeners.set(name, new Set());
        this.#listeners.get(name).add(listener);
      }
    }

    off(names = null, listener = null) {
      const chosen = names ? names.split(/\s+/) : [...this.#listeners.keys()];
      for (const name of chosen) {
        if (listener) this.#listeners.get(name)?.delete(listener);
        else this.#listeners.delete(name);
      }
    }

    // There is no kernel to tell; what has changed since the last call is forgotten, as it would be.
    save_changes() {
      this.#changed.clear();
    }

    #tell(event, value) {
      for (const listener of [...(this.#listeners.get(event) ?? [])]) listener(this, value);
    }
  }

  async function mount(figure) {
    const stage = figure.querySelector(".frugal-stage");
    const still = [...stage.childNodes];
    const state = JSON.parse(figure.querySelector('script[type="application/json"]').textContent);
    const model = new Model({ ...state, alt: figure.getAttribute("aria-label") });
    figure.model = model;
    try {
      const { initialize, render } = modules.get(figure.dataset.module).default;
      await initialize?.({ model });
      stage.replaceChildren();
      figure.cleanup = await render({ model, el: stage });
      figure.dataset.mounted = "true";
    } catch (error) {
      stage.replaceChildren(...still); // the still picture is better than half a figure
      console.error(`The figure ${figure.dataset.module} could not be drawn.`, error);
    }
  }

  // A figure is drawn shortly before it comes into view, so that a page with many opens at once.
  const near = new IntersectionObserver(
    (entries) => {
      for (const { isIntersecting, target } of entries) if (isIntersecting) draw(target);
    },
    { rootMargin: "60% 0px" },
  );

  function draw(figure) {
    near.unobserve(figure);
    figure.drawn ??= mount(figure);
    return figure.drawn;
  }

  function waiting() {
    const all = [...document.querySelectorAll(".frugal-figure[data-module]")];
    return all.filter((figure) => !figure.drawn && modules.has(figure.dataset.module));
  }

  const frugal = {
    define(key, exported) {
      if (!modules.has(key)) modules.set(key, exported);
    },
    // Every figure that is in the page and whose module has arrived is drawn when it comes near.
    start() {
      for (const figure of waiting()) near.observe(figure);
    },
    // Draws all that is left now; the promise is kept when they stand.
    finish() {
      return Promise.all(waiting().map(draw));
    },
  };
  window.addEventListener("beforeprint", () => frugal.finish());
  return frugal;
})();
