// The console's keyboard and small behaviours. Everything works without it.
(() => {
"use strict";
const typing = ({ target }) => target.closest("input, textarea, select, [contenteditable], .cm-editor");
const menu = document.querySelector(".menu");
menu?.addEventListener("click", () => {
  const open = menu.getAttribute("aria-expanded") !== "true";
  menu.setAttribute("aria-expanded", open);
});

document.addEventListener("click", (event) => {
  const { target } = event, opens = target.closest("[data-opens]"), copies = target.closest("[data-copies]"), asks = target.closest("[data-asks]");
  if (opens) document.getElementById(opens.dataset.opens)?.showModal();
  if (copies) navigator.clipboard?.writeText(document.getElementById(copies.dataset.copies).textContent.trim());
  if (asks && !confirm(asks.dataset.asks)) event.preventDefault();
});
// A filter applies when it is chosen.
document.addEventListener("change", ({ target }) => target.closest("form[data-applies]")?.requestSubmit());

// Lists: j and k walk the rows, Enter opens.
const rows = () => [...document.querySelectorAll("[data-row] a:first-of-type, a[data-row]")].filter((each, at, all) => each.offsetParent && all.findIndex((one) => one.closest("[data-row]") === each.closest("[data-row]")) === at);
function walk(by) {
  const all = rows(), at = all.findIndex((each) => each.closest("[data-row]")?.contains(document.activeElement));
  all[Math.max(0, Math.min(all.length - 1, at + by))]?.focus();
}
let going = 0;
document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || typing(event) || document.querySelector("dialog[open]")) return;
  const to = Date.now() - going < 1500 && document.querySelector(`nav [data-key="${CSS.escape(event.key)}"]`);
  going = 0;
  if (to) to.click();
  else if (event.key === "g") going = Date.now();
  else if (event.key === "/") document.getElementById("find")?.focus();
  else if (event.key === "?") document.getElementById("keys")?.showModal();
  else if (event.key === "j") walk(1);
  else if (event.key === "k") walk(-1);
  else return;
  event.preventDefault();
});
})();
