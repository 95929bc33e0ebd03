// The report's frame is as high as the report; without this it scrolls by itself.
(() => {
"use strict";
for (const frame of document.querySelectorAll("iframe.report")) {
  const fit = () => {
    const page = frame.contentDocument?.documentElement;
    if (page) frame.style.height = `${page.scrollHeight + 2}px`;
  };
  frame.addEventListener("load", fit);
  addEventListener("resize", fit);
  if (frame.contentDocument?.readyState === "complete") fit();
}
})();
