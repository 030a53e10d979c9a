// Groups of like things are one stop of the tab key each: the chapters at the side, the contents, the
// folded pieces of code. Inside a group arrow keys go from one to the next; Home and End to the ends.
window.frugalStops = (all, first) => {
  const group = [...all];
  if (group.length < 2) return;
  const seen = (one) => one.checkVisibility({ visibilityProperty: true });
  const stop = (chosen) => {
    for (const one of group) one.tabIndex = one === chosen ? 0 : -1;
  };
  const shown = () => group.filter(seen);
  for (const one of group) {
    one.addEventListener("focus", () => stop(one));
    one.addEventListener("keydown", (event) => {
      if (event.altKey || event.ctrlKey || event.metaKey || event.shiftKey) return;
      const list = shown();
      const at = list.indexOf(one);
      const next = { ArrowDown: at + 1, ArrowUp: at - 1, Home: 0, End: list.length - 1 }[event.key];
      if (next === undefined || !list[next]) return;
      event.preventDefault();
      list[next].focus();
    });
  }
  stop(first ?? group.find(seen) ?? group[0]);
};

(() => {
  "use strict";
  const all = (selector) => [...document.querySelectorAll(selector)];
  const current = document.querySelector(".bd-docs-nav .current > a");
  window.frugalStops(all(".bd-docs-nav a"), current);
  window.frugalStops(all(".page-toc a"));
  window.frugalStops(all(".cell.tag_hide-input details.hide > summary"));

  window.frugalStops(all(".frugal-plan a"));

  // The terms of a section are one stop, and so are the links of a long list or table.
  for (const section of all(".bd-article section")) {
    const own = (link) => link.closest("section") === section;
    window.frugalStops([...section.querySelectorAll("a.frugal-term")].filter(own));
  }
  for (const list of all(".bd-article :is(table, dl.frugal-glossary, .citation-list, .frugal-modules)")) {
    const links = list.querySelectorAll("a[href]");
    if (links.length > 12) window.frugalStops(links);
  }

  // A paper that is cited again: its card is one stop, at the first place that names it.
  const named = new Set();
  for (const link of all(".bd-article a[data-preview]")) {
    if (named.has(link.dataset.preview)) link.tabIndex = -1;
    named.add(link.dataset.preview);
  }
})();
