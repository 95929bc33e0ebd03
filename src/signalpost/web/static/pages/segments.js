// The rule editor: a line written by choosing; the fields of an audience only where one is made.
(() => {
"use strict";
const rule = document.getElementById("rule"), line = document.getElementById("shape-line");
if (!rule || !line) return;
const value = (id) => document.getElementById(id).value.trim();
const text = (word) => (/^[\w .-]+$/.test(word) ? word : JSON.stringify(word));

function choose() {
  document.querySelectorAll("#shape [data-for]").forEach((each) => { each.hidden = !each.dataset.for.split(" ").includes(line.value); });
}
line.addEventListener("change", choose);
choose();

// The parts of what is chosen: mappings in one line each.
function parts() {
  if (line.value === "trait") return [`trait: {${value("shape-fact")}: {${value("shape-compare")}: ${value("shape-value")}}}`];
  const bounds = [`${line.value}: ${text(value("shape-event"))}`];
  if (line.value === "last") bounds.push(`age: ${value("shape-low") || "0h"}..${value("shape-high")}`);
  else if (value("shape-within")) bounds.push(`within: ${value("shape-within")}`);
  if (line.value === "did" && Number(value("shape-times")) > 1) bounds.push(`times: {gte: ${value("shape-times")}}`);
  if (value("shape-where") && value("shape-least")) bounds.push(`where: {${value("shape-where")}: {gte: ${value("shape-least")}}}`);
  const made = [bounds.join(", ")];
  if (line.value === "last" && value("shape-unless") && value("shape-unless") !== value("shape-event")) made.push(`did_not: ${text(value("shape-unless"))}, since: ${text(value("shape-event"))}`);
  return made;
}
const listed = (all) => all.map((each) => `  - {${each}}\n`).join("");

document.querySelectorAll("[data-writes]").forEach((button) => button.addEventListener("click", () => {
  const made = parts(), before = rule.value.trimEnd();
  if (button.dataset.writes === "replace" || !before) rule.value = made.length === 1 ? made[0].replace(/, (?=(within|times|where|since): )/g, "\n") + "\n" : `all:\n${listed(made)}`;
  else if (/^all:\s*\n/.test(before)) rule.value = `${before}\n${listed(made)}`;
  else rule.value = `all:\n${before.split("\n").map((each, place) => (place ? `    ${each}` : `  - ${each}`)).join("\n")}\n${listed(made)}`;
  rule.dispatchEvent(new Event("written", { bubbles: true }));
}));
})();
