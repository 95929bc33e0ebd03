// The tail of the list: new rows come in on top, and never under the eyes of whoever reads or points at one.
(() => {
"use strict";
const tail = document.querySelector("[data-tail]"), list = document.querySelector(".rows.signals");
if (!tail || !list) return;
const MOST = 300;
const pause = tail.querySelector(".pause"), fresh = tail.querySelector(".fresh"), state = tail.querySelector(".state");
let paused = pause.getAttribute("aria-pressed") === "true", source, waiting = new Map();

const reading = () => list.matches(":hover") || list.contains(document.activeElement) || !getSelection().isCollapsed;

function show() {
  const first = list.querySelector(".row:not(.heads)");
  for (const row of waiting.values()) {
    row.classList.add("came");
    list.insertBefore(row, first);
  }
  if (waiting.size) {
    list.hidden = false;
    document.querySelector(".nothing")?.remove();
  }
  waiting.clear();
  const rows = list.querySelectorAll(".row:not(.heads)");
  for (let at = MOST; at < rows.length; at += 1) rows[at].remove();
  told();
}
function told() {
  fresh.hidden = !waiting.size;
  fresh.textContent = waiting.size === 1 ? "Show 1 new signal" : `Show ${waiting.size} new signals`;
  state.textContent = paused ? "Paused" : waiting.size ? "Held while you read" : "Live";
  tail.classList.toggle("held", paused || waiting.size > 0);
}
function heard({ data }) {
  const page = new DOMParser().parseFromString(data, "text/html");
  const came = new Map();
  for (const row of page.querySelectorAll(".row")) {
    const known = document.getElementById(row.id);
    if (!known) came.set(row.id, row);
    else if (known.innerHTML !== row.innerHTML && !known.contains(document.activeElement)) known.replaceChildren(...row.childNodes);
  }
  const number = (id) => BigInt(id.slice(2));
  const newest = list.querySelector(".row:not(.heads)");
  for (const [id, row] of came) if (newest && number(id) < number(newest.id)) came.delete(id);
  waiting = new Map([...came, ...[...waiting].filter(([id]) => !came.has(id))].slice(0, MOST));
  if (!reading()) show(); else told();
}
function watch() {
  source = new EventSource(tail.dataset.tail);
  source.addEventListener("signals", heard);
  source.addEventListener("error", () => { state.textContent = "Looking for the server"; });
  source.addEventListener("open", told);
}
pause.addEventListener("click", () => {
  paused = !paused;
  pause.setAttribute("aria-pressed", paused);
  pause.textContent = paused ? "Go on" : "Pause";
  if (paused) source?.close(); else watch();
  told();
});
fresh.addEventListener("click", show);
list.addEventListener("mouseleave", () => { if (!paused && !reading()) show(); });
addEventListener("pagehide", () => source?.close());
addEventListener("pageshow", ({ persisted }) => { if (persisted && !paused) watch(); });
if (!paused) watch();
})();
