// The editor of the workspace file: what may stand here by its JSON Schema, mistakes by Signalpost's own check.
(() => {
"use strict";
const form = document.querySelector("form.editor");
const area = document.getElementById("text");
if (!form || !area || !window.CodeMirror) return;
const CM = window.CodeMirror;

// ---- where a place of the text is in the file: the keys above it, "[]" for an item of a list --------------------------------

const LINE = /^(\s*)((?:- +)*)(?:("?)([^:#"{}[\]]+)\3:(?:\s.*)?)?/;

function above(doc, number, indent) {
  const path = [];
  let limit = indent, item = false;
  for (let at = number - 1; at > 0 && (limit > 0 || item); at--) {
    const text = doc.line(at).text;
    if (!text.trim() || text.trim().startsWith("#")) continue;
    const [, blank, dashes, , key] = LINE.exec(text);
    const inner = blank.length + dashes.length;
    if (key !== undefined && (inner < limit || (item && !dashes && inner <= limit))) {
      path.unshift(key.trim());
      limit = inner;
      item = false;
    }
    if (dashes && blank.length < limit) {
      path.unshift("[]");
      limit = blank.length;
      item = true;
    }
  }
  return path;
}

// The braces and brackets of this line that are open before the cursor: `a: {b: [` is the path a, b, [].
function within(text) {
  const open = [];
  for (let at = 0; at < text.length; at++) {
    const sign = text[at];
    if (sign === "{" || sign === "[") open.push({ sign, at });
    else if (sign === "}" || sign === "]") open.pop();
  }
  return open;
}

function placeOf(doc, pos) {
  const line = doc.lineAt(pos);
  const before = line.text.slice(0, pos - line.from).replace(/\$\{\w*\}?/g, (found) => "$".repeat(found.length));
  const [, blank, dashes] = LINE.exec(before);
  const inner = blank.length + dashes.length;
  let path = above(doc, line.number, blank.length + (dashes ? 1 : 0));
  if (dashes) {
    if (path.at(-1) === "[]") path.pop();
    path = [...path, "[]"];
  } else if (inner) path = above(doc, line.number, inner);
  let rest = before.slice(inner);
  for (const { sign, at } of within(rest)) {
    const key = /([\w.$ -]+?):\s*$/.exec(rest.slice(0, at).split(/[{,[]/).pop());
    if (key) path.push(key[1].trim());
    if (sign === "[") path.push("[]");
  }
  const open = within(rest).at(-1);
  if (open) rest = rest.slice(Math.max(open.at, rest.lastIndexOf(",")) + 1);
  const value = /^\s*"?([^:"]+?)"?:\s+(.*)$/.exec(rest);
  if (value) return { path: [...path, value[1].trim()], value: true, typed: value[2] };
  return { path, value: open?.sign === "[", typed: rest.trimStart() };
}

// ---- what the schema says there -----------------------------------------------------------------------------------------------

let schema = null;

function expand(one, depth = 0) {
  if (!one || typeof one !== "object" || depth > 8) return [];
  const parts = [...(one.anyOf ?? []), ...(one.oneOf ?? []), ...(one.allOf ?? [])].flatMap((each) => expand(each, depth + 1));
  const named = one.$ref ? expand(one.$ref.split("/").slice(1).reduce((at, key) => at?.[key], schema), depth + 1) : [];
  return [one, ...parts, ...named];
}

function step(ones, key) {
  const found = ones.flatMap((one) => expand(one));
  if (key === "[]") return found.map((one) => one.items).filter(Boolean);
  const named = found.map((one) => one.properties?.[key]).filter(Boolean);
  if (named.length) return named;
  return found.map((one) => one.additionalProperties).filter((one) => one && typeof one === "object");
}

const reach = (path) => path.reduce(step, [schema]);
const described = (ones) => ones.map((one) => one.description).find(Boolean) ?? "";

function kindOf(ones) {
  const kinds = ones.flatMap((one) => expand(one)).flatMap((one) => one.type ?? []);
  return [...new Set(kinds.filter((kind) => kind !== "null"))].join(" or ");
}

function completions(context) {
  if (!schema) return null;
  const { path, value, typed } = placeOf(context.state.doc, context.pos);
  if (!context.explicit && !typed) return null;
  const found = reach(path).flatMap((one) => expand(one));
  const from = context.pos - typed.length;
  const options = value ? valuesOf(found) : keysOf(found);
  return options.length ? { from, options, validFor: /^[\w $.-]*$/ } : null;
}

function keysOf(found) {
  const keys = new Map(found.flatMap((one) => Object.entries(one.properties ?? {})));
  return [...keys].map(([label, one]) => ({
    label,
    type: "property",
    detail: kindOf([one]),
    info: described(expand(one)) || undefined,
    apply: /object|array/.test(kindOf([one])) ? `${label}:` : `${label}: `,
  }));
}

function valuesOf(found) {
  const values = found.flatMap((one) => [...(one.enum ?? []), ...("const" in one ? [one.const] : []), ...(one.type === "boolean" ? [true, false] : [])]);
  const usual = found.map((one) => one.default).filter((one) => ["string", "number", "boolean"].includes(typeof one));
  return [...new Set([...values, ...usual].filter((one) => one !== null && one !== "").map(String))].map((label) => ({
    label, type: "enum", detail: usual.map(String).includes(label) ? "the default" : undefined,
  }));
}

const hover = CM.hoverTooltip((view, pos) => {
  const line = view.state.doc.lineAt(pos);
  const keys = [...line.text.matchAll(/([A-Za-z_][\w ]*?):(?=\s|$)/g)];
  const key = keys.find((each) => line.from + each.index <= pos && pos <= line.from + each.index + each[1].length);
  if (!schema || !key) return null;
  const start = line.from + key.index;
  const text = described(reach([...placeOf(view.state.doc, start).path, key[1]]).flatMap((one) => expand(one)));
  if (!text) return null;
  return { pos: start, end: start + key[1].length, above: true, create: () => {
    const dom = document.createElement("div");
    dom.className = "cm-about";
    dom.textContent = text;
    return { dom };
  } };
});

// ---- mistakes -------------------------------------------------------------------------------------------------------------------

const checked = form.querySelector(".checked");
const plain = (sentence) => sentence.replaceAll("`", "");

async function mistakes(view) {
  const doc = view.state.doc;
  let found;
  try {
    const answer = await fetch("/changes/check", {
      method: "POST", headers: { "x-csrf": form.elements.csrf.value }, body: new URLSearchParams({ text: doc.toString() }),
    });
    if (!answer.ok) throw new Error(answer.status);
    found = await answer.json();
  } catch {
    checked.textContent = "The text could not be checked just now; it is checked again when you save it.";
    return [];
  }
  const wrong = found.filter((each) => each.severity === "mistake");
  checked.textContent = wrong.length
    ? `${wrong.length} ${wrong.length === 1 ? "mistake" : "mistakes"}. ${wrong[0].line ? `Line ${wrong[0].line}: ` : ""}${plain(wrong[0].sentence)}`
    : "No mistakes.";
  checked.classList.toggle("wrong", wrong.length > 0);
  return found.map(({ line, column, sentence, severity }) => {
    const at = doc.line(Math.min(Math.max(line, 1), doc.lines));
    const from = Math.min(at.from + Math.max(column - 1, 0), at.to);
    const word = /^[^\s,{}[\]]+/.exec(doc.sliceString(from, at.to));
    return { from, to: from + (word ? word[0].length : 0), severity: severity === "mistake" ? "error" : "warning", message: plain(sentence) };
  });
}

// ---- the editor -----------------------------------------------------------------------------------------------------------------

const { tags } = CM;
const colours = CM.HighlightStyle.define([
  { tag: [tags.definition(tags.propertyName), tags.propertyName], color: "var(--accent)" },
  { tag: tags.comment, color: "var(--soft)", fontStyle: "italic" },
  { tag: [tags.string, tags.attributeValue], color: "var(--accepted)" },
  { tag: [tags.keyword, tags.typeName, tags.labelName], color: "var(--unknown)" },
  { tag: [tags.separator, tags.punctuation, tags.squareBracket, tags.brace], color: "var(--soft)" },
]);
const look = CM.EditorView.theme({
  "&": { color: "var(--ink)" },
  ".cm-scroller": { fontFamily: "var(--mono)", lineHeight: "1.55" },
  ".cm-content": { caretColor: "var(--ink)", padding: ".6rem 0" },
  ".cm-cursor": { borderLeftColor: "var(--ink)" },
  ".cm-gutters": { background: "var(--paper)", color: "var(--soft)", borderRight: "1px solid var(--line)" },
  ".cm-activeLine": { background: "color-mix(in srgb, var(--withheld-paper) 45%, transparent)" },
  ".cm-activeLineGutter": { background: "var(--withheld-paper)", color: "var(--ink)" },
  "&.cm-focused > .cm-scroller > .cm-selectionLayer .cm-selectionBackground, .cm-selectionBackground": { background: "var(--waiting-paper)" },
  ".cm-matchingBracket": { background: "var(--withheld-paper)" },
  ".cm-tooltip": { background: "var(--paper)", color: "var(--ink)", border: "1px solid var(--line-strong)", borderRadius: "8px", overflow: "hidden" },
  ".cm-tooltip-autocomplete ul li": { padding: ".15rem .6rem" },
  ".cm-tooltip-autocomplete ul li[aria-selected]": { background: "var(--waiting-paper)", color: "var(--ink)" },
  ".cm-completionDetail": { color: "var(--soft)", fontStyle: "normal" },
  ".cm-completionInfo, .cm-about": { padding: ".5rem .7rem", maxWidth: "24rem", font: ".8125rem/1.45 var(--sans)" },
  ".cm-diagnostic": { font: ".8125rem/1.45 var(--sans)", padding: ".4rem .7rem", maxWidth: "34rem" },
});

const label = form.querySelector("label[for=text]");
const view = new CM.EditorView({
  parent: Object.assign(document.createElement("div"), { className: "code-editor" }),
  state: CM.EditorState.create({
    doc: area.value,
    extensions: [
      CM.EditorView.cspNonce.of(form.dataset.nonce),
      CM.EditorState.tabSize.of(2), CM.indentUnit.of("  "),
      CM.lineNumbers(), CM.highlightActiveLineGutter(), CM.highlightActiveLine(), CM.highlightSpecialChars(), CM.drawSelection(),
      CM.history(), CM.indentOnInput(), CM.bracketMatching(),
      CM.yaml(), CM.syntaxHighlighting(colours), look,
      CM.autocompletion({ override: [completions] }), hover,
      CM.lintGutter(), CM.linter(mistakes, { delay: 400 }),
      CM.keymap.of([...CM.completionKeymap, ...CM.defaultKeymap, ...CM.historyKeymap, ...CM.lintKeymap, CM.indentWithTab]),
      CM.EditorView.contentAttributes.of({ "aria-label": label.textContent, "aria-describedby": "text-hint", tabindex: "0" }),
    ],
  }),
});
label.after(form.querySelector("#text-hint"), view.dom.parentElement);
label.removeAttribute("for");
area.hidden = true;
area.required = false;
form.querySelector(".with-script").hidden = false;
form.querySelector(".server-mistakes")?.remove();
const written = area.value;
let leaving = false;
form.addEventListener("submit", () => {
  area.value = view.state.doc.toString();
  leaving = true;
});
window.addEventListener("beforeunload", (event) => {
  if (!leaving && view.state.doc.toString() !== written) event.preventDefault();
});
fetch("/changes/schema").then((answer) => answer.json()).then((found) => { schema = found; });
})();
