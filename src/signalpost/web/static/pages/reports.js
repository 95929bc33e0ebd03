// The report's frame is as high as the report; without this it scrolls by itself.
(() => {
"use strict";
function fit(frame) {
  const page = frame.contentDocument?.documentElement;
  if (page) frame.style.height = `${page.scrollHeight + 2}px`;
}
const every = (work) => document.querySelectorAll("iframe.report").forEach(work);
function begin(frame) {
  frame.addEventListener("load", () => fit(frame));
  fit(frame);
}
every(begin);
document.addEventListener("htmx:afterSettle", () => every(begin));
addEventListener("resize", () => every(fit));
})();
