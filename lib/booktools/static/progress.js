// Which chapters are read, which labs are done, and the minutes spent on each chapter: kept under one
// name in this browser, sent nowhere. Without storage nothing of it is shown.
(() => {
  "use strict";
  const KEY = "frugal-progress";
  const TICK_S = 15;
  const AWAY_MS = 90_000; // without a key, a touch or a scroll the reader may be elsewhere
  const root = new URL(document.documentElement.dataset.content_root ?? ".", location.href);
  const page = document.querySelector("[data-chapter]")?.dataset.chapter;

  function kept() {
    const found = JSON.parse(localStorage.getItem(KEY) ?? "{}");
    return { read: {}, labs: {}, minutes: {}, ...found };
  }

  function keep(change) {
    const now = kept();
    change(now);
    localStorage.setItem(KEY, JSON.stringify(now));
    show();
  }

  try {
    kept();
    localStorage.setItem(`${KEY}-try`, "1");
    localStorage.removeItem(`${KEY}-try`);
  } catch {
    return; // storage is refused, or holds what is not ours
  }

  // "chapters/2-interactions/hashing" for a link to it from any page.
  function docname(link) {
    const { pathname } = new URL(link.getAttribute("href"), location.href);
    return decodeURI(pathname).slice(decodeURI(root.pathname).length).replace(/\.html$/, "");
  }

  const minutes = (value) => (value >= 1 ? Math.round(value) : 0);
  const sum = (numbers) => Object.values(numbers).reduce((one, other) => one + other, 0);
  const count = (number, word) => `${number} ${word}${number === 1 ? "" : "s"}`;

  function show() {
    const now = kept();
    for (const label of document.querySelectorAll("[data-lab]")) {
      label.removeAttribute("data-waiting");
      label.querySelector("input").checked = Boolean(now.labs[label.dataset.lab]);
    }
    if (page) {
      const line = document.querySelector("[data-chapter]");
      const spent = minutes(now.minutes[page] ?? 0);
      line.hidden = false;
      line.querySelector("input").checked = Boolean(now.read[page]);
      line.querySelector("[data-minutes]").textContent = spent ? `${count(spent, "minute")} so far.` : "";
    }
    for (const link of document.querySelectorAll(".bd-docs-nav a.internal")) {
      link.classList.toggle("frugal-read", Boolean(now.read[docname(link)]));
    }
    for (const card of document.querySelectorAll(".frugal-card")) {
      const line = card.querySelector(".frugal-card-minutes");
      const name = docname(card.querySelector("a"));
      const spent = minutes(now.minutes[name] ?? 0);
      line.dataset.whole ??= line.textContent;
      const mine = [now.read[name] && "✓ read", spent && `${spent} min spent`].filter(Boolean);
      line.textContent = [line.dataset.whole, ...mine].join(" · ");
    }
    const line = document.querySelector("[data-told]")?.closest("[data-kept]"); // a figure may have one
    if (line) {
      const [read, labs] = [now.read, now.labs].map((all) => Object.values(all).filter(Boolean).length);
      const spent = minutes(sum(now.minutes));
      line.hidden = !read && !labs && !spent;
      line.querySelector("[data-told]").textContent =
        `${count(read, "chapter")} read, ${count(labs, "lab")} done, ${count(spent, "minute")} spent.`;
    }
  }

  document.querySelector("[data-chapter] input")?.addEventListener("change", ({ target }) =>
    keep((now) => {
      now.read[page] = target.checked;
    }),
  );
  for (const label of document.querySelectorAll("[data-lab]")) {
    label.querySelector("input").addEventListener("change", ({ target }) =>
      keep((now) => {
        now.labs[label.dataset.lab] = target.checked;
      }),
    );
  }
  document.querySelector("[data-kept]:has([data-told]) button")?.addEventListener("click", () => {
    localStorage.removeItem(KEY);
    show();
  });

  if (page) {
    let active = Date.now();
    for (const event of ["keydown", "pointerdown", "pointermove", "scroll"]) {
      addEventListener(event, () => (active = Date.now()), { passive: true });
    }
    setInterval(() => {
      if (document.visibilityState !== "visible" || Date.now() - active > AWAY_MS) return;
      keep((now) => {
        now.minutes[page] = (now.minutes[page] ?? 0) + TICK_S / 60;
      });
    }, TICK_S * 1000);
  }
  addEventListener("storage", ({ key }) => key === KEY && show());
  addEventListener("pageshow", ({ persisted }) => persisted && show());
  show();
})();
