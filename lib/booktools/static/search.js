// Below each page that the search found: the sentence that has most of the words, with the next one
// where there is room, and a link to its section.
(() => {
  "use strict";
  const LONGEST = 240;
  const root = document.documentElement.dataset.content_root ?? "./";
  const arrived = new Map();
  const waiting = new Map();

  window.frugalSentences = (page, sentences) => {
    arrived.set(page, sentences);
    for (const tell of waiting.get(page) ?? []) tell(sentences);
    waiting.delete(page);
  };

  function load(page, tell) {
    if (arrived.has(page)) return tell(arrived.get(page));
    if (waiting.has(page)) return waiting.get(page).push(tell);
    waiting.set(page, [tell]);
    const script = document.createElement("script");
    script.src = `${root}_static/frugal/sentences/${page}.js`;
    document.head.append(script);
  }

  const words = () =>
    (new URLSearchParams(location.search).get("q") ?? "")
      .toLowerCase()
      .split(/[^\p{Letter}\p{Number}]+/u)
      .filter((word) => word.length > 1);

  // How many of the words a sentence has: whole words count more than beginnings.
  function score(sentence, asked) {
    const low = sentence.toLowerCase();
    return asked.reduce((sum, word) => {
      const at = low.search(new RegExp(`(?<![\\p{L}\\p{N}])${word}`, "u"));
      if (at < 0) return sum + (low.includes(word) ? 0.25 : 0);
      const end = low[at + word.length];
      return sum + (end === undefined || !/[\p{L}\p{N}]/u.test(end) ? 1 : 0.75);
    }, 0);
  }

  function best(sentences, asked, section) {
    let chosen = -1;
    let most = 0;
    sentences.forEach(([anchor, sentence], index) => {
      const found = score(sentence, asked);
      const leads = sentence.endsWith(":") ? 0.4 : 0; // to code, which is not shown here
      const value = found && found - leads + (section && anchor === section ? 0.5 : 0);
      if (value > most) [chosen, most] = [index, value];
    });
    return chosen;
  }

  function marked(text, asked) {
    const pattern = asked.map((word) => word.replace(/[^\p{L}\p{N}]/gu, "")).filter(Boolean).join("|");
    const line = document.createElement("p");
    line.className = "frugal-excerpt";
    if (!pattern) line.textContent = text;
    else {
      text.split(new RegExp(`((?<![\\p{L}\\p{N}])(?:${pattern}))`, "giu")).forEach((part, index) => {
        if (index % 2) line.append(Object.assign(document.createElement("mark"), { textContent: part }));
        else line.append(part);
      });
    }
    return line;
  }

  function excerpt(sentences, at) {
    const [section, first] = sentences[at];
    const [next, second] = sentences[at + 1] ?? [];
    if (next === section && first.length + second.length < LONGEST) return `${first} ${second}`;
    if (first.length <= LONGEST) return first;
    return `${first.slice(0, LONGEST).replace(/\s+\S*$/, "")} …`;
  }

  function tell(item) {
    const link = item.querySelector("a");
    const { pathname, hash } = new URL(link.href);
    const base = new URL(root, location.href).pathname;
    const page = decodeURI(pathname).slice(decodeURI(base).length).replace(/\.html$/, "");
    load(page, (sentences) => {
      const asked = words();
      const at = best(sentences, asked, hash.slice(1));
      if (at < 0) return;
      const [section] = sentences[at];
      if (section && !hash) link.hash = section;
      item.append(marked(excerpt(sentences, at), asked));
    });
  }

  const told = new WeakSet();
  function look() {
    for (const item of document.querySelectorAll("#search-results li")) {
      if (told.has(item) || !item.querySelector("a")) continue;
      told.add(item);
      tell(item);
    }
  }
  addEventListener("DOMContentLoaded", () => {
    const results = document.getElementById("search-results");
    if (results) new MutationObserver(look).observe(results, { childList: true, subtree: true });
    look();
  });
})();
