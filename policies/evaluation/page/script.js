"use strict";
// The conversations: a list that is searched, filtered and sorted, and one of them to read. All that can be chosen
// stands in the address after the #, as SCENE/TRIAL?kind=...&q=..., so that every view can be linked to.
// Texts are only ever put in as text, never as HTML.

const { prompts, talks } = JSON.parse(document.getElementById("data").textContent);
const form = document.getElementById("filters");
const list = document.getElementById("list");
const article = document.getElementById("talk");
const ORDERS = {
  worst: ["lowest return", (a, b) => unknown(a) - unknown(b) || a.total - b.total],
  best: ["highest return", (a, b) => unknown(a) - unknown(b) || b.total - a.total],
  scene: ["scene", (a, b) => (a.scene < b.scene ? -1 : a.scene > b.scene ? 1 : a.trial - b.trial)],
  longest: ["most turns", (a, b) => b.turns.length - a.turns.length],
  breaches: ["most broken rules", (a, b) => broken(b) - broken(a)],
};
const FIELDS = ["q", "result", "kind", "difficulty", "outcome", "rule", "sort"];
const ANY_RULE = "(any)";
let shown = [];
let words = null; // what is searched for, as one expression that finds any of the words

for (const talk of talks) talk.id = `${encodeURIComponent(talk.scene).replaceAll("%2F", "/")}/${talk.trial}`;
const byId = new Map(talks.map((talk) => [talk.id, talk]));

function unknown(talk) {
  return talk.result === "not measured" ? 1 : 0;
}

function broken(talk) {
  return talk.turns.reduce((sum, turn) => sum + turn.hear.filter(([who]) => who === "violation").length, 0);
}

function make(tag, style, ...children) {
  const node = document.createElement(tag);
  if (style) node.className = style;
  node.append(...children);
  return node;
}

// A text with the words that are searched for marked.
function marked(text) {
  const node = document.createDocumentFragment();
  if (!words) return text;
  let end = 0;
  for (const hit of text.matchAll(words)) {
    node.append(text.slice(end, hit.index), make("mark", "", hit[0]));
    end = hit.index + hit[0].length;
  }
  node.append(text.slice(end));
  return node;
}

function signed(value) {
  return (value < 0 ? "\u2212" : "+") + Math.abs(value).toFixed(2);
}

// --- the address ---

function address() {
  const [path, query] = location.hash.slice(1).split("?");
  return { id: path, chosen: new URLSearchParams(query || "") };
}

function link(id) {
  const chosen = new URLSearchParams();
  for (const name of FIELDS) {
    const value = form.elements[name].value;
    if (value && !(name === "sort" && value === "worst")) chosen.set(name, value);
  }
  const query = chosen.toString();
  return `#${id}${query ? "?" + query : ""}`;
}

// --- the list ---

function choices(name, values, all) {
  const counts = new Map();
  for (const value of values) counts.set(value, (counts.get(value) || 0) + 1);
  const select = form.elements[name];
  select.append(new Option(all, ""));
  for (const [value, count] of [...counts].sort((a, b) => b[1] - a[1])) {
    if (value) select.append(new Option(`${value.replaceAll("_", " ")} (${count})`, value));
  }
}

function textOf(talk) {
  if (!talk.text) {
    const parts = [talk.scene, talk.kind, talk.error, ...talk.opening.map(([, text]) => text)];
    for (const turn of talk.turns) parts.push(turn.say || "", turn.act || "", ...turn.hear.map(([, text]) => text));
    talk.text = parts.join("\n").toLowerCase();
  }
  return talk.text;
}

function fits(talk) {
  const value = (name) => form.elements[name].value;
  for (const name of ["result", "kind", "difficulty", "outcome"]) {
    if (value(name) && talk[name] !== value(name)) return false;
  }
  const rule = value("rule");
  if (rule && !(rule === ANY_RULE ? talk.rules.length : talk.rules.includes(rule))) return false;
  return wanted().every((word) => textOf(talk).includes(word));
}

function wanted() {
  return form.elements.q.value.toLowerCase().split(/\s+/).filter(Boolean);
}

function entry(talk) {
  const scene = talk.scene.split("/").slice(1).join("/") || talk.scene;
  const trial = talks.some((other) => other.trial) ? `, trial ${talk.trial}` : "";
  const ink = `total ${talk.result.replace(" ", "-")}-ink`;
  const end = talk.result === "not measured" ? "not measured" : `${talk.result}, ${talk.outcome}`;
  const faults = talk.rules.length ? `, ${broken(talk)} broken` : "";
  const node = make("a", "",
    make("b", "", talk.kind.replaceAll("_", " ")), make("span", ink, talk.result === "not measured" ? "?" : signed(talk.total)),
    make("small", "", scene + trial), make("small", "total", `${talk.turns.length} turns`),
    make("small", ink.replace("total ", ""), end), make("small", "total failure-ink", faults.slice(2)));
  node.dataset.id = talk.id;
  return make("li", "", node);
}

function fill() {
  const found = wanted().map((word) => word.replace(/[.*+?^${}()|[\]\\]/g, "\\$&"));
  words = found.length ? new RegExp(found.join("|"), "gi") : null;
  shown = talks.filter(fits).sort(ORDERS[form.elements.sort.value][1]);
  list.replaceChildren(...shown.map(entry));
  for (const node of list.querySelectorAll("a")) node.href = link(node.dataset.id);
  const size = shown.length === talks.length ? `${talks.length}` : `${shown.length} of ${talks.length}`;
  document.getElementById("count").textContent = `${size} conversation${talks.length === 1 ? "" : "s"}`;
}

// --- a conversation ---

// JSON, its names, texts and values told apart.
function code(text) {
  const node = document.createDocumentFragment();
  let end = 0;
  for (const part of text.matchAll(/("(?:\\.|[^"\\])*")(\s*:)?|\b(?:true|false|null)\b|-?\b\d+(?:\.\d+)?\b/g)) {
    const style = part[1] ? (part[2] ? "name" : "text") : "value";
    node.append(marked(text.slice(end, part.index)), make("span", style, marked(part[1] || part[0])), part[2] || "");
    end = part.index + part[0].length;
  }
  node.append(marked(text.slice(end)));
  return node;
}

function chips(terms) {
  return Object.entries(terms).map(([name, value]) => make("span", `chip ${value < 0 ? "down" : "up"}`, `${signed(value)} ${name}`));
}

function heard(lines) {
  const parts = [];
  let last = "";
  for (const [who, text] of lines) {
    const speaker = who === "customer" ? "customer" : "desk";
    if (speaker !== last || speaker === "customer") {
      parts.push(make("div", `part ${speaker}`, make("div", "who", speaker === "customer" ? "Customer" : "Desk")));
      last = speaker;
    }
    parts.at(-1).append(speaker === "customer" ? make("p", "", marked(text)) : make("pre", who, marked(text)));
  }
  return parts;
}

function said(turn) {
  const part = make("div", "part agent", make("div", "who", "Agent"));
  if (turn.say) part.append(make("p", "", marked(turn.say)));
  if (turn.act) part.append(make("pre", "", code(turn.act)));
  return part;
}

function turnOf(turn, number) {
  const body = make("div", "", said(turn), ...heard(turn.hear));
  const pays = chips(turn.terms || {});
  if (turn.wait) pays.push(make("span", "quiet", `${turn.wait.toFixed(turn.wait < 1 ? 3 : 1)} s`));
  if (pays.length) body.append(make("div", "pays", ...pays));
  return make("section", "turn", make("div", "number", String(number)), body);
}

function step(name, label, by) {
  const node = make("button", "", name);
  node.type = "button";
  node.setAttribute("aria-label", label);
  node.addEventListener("click", () => move(by));
  return node;
}

function header(talk) {
  const state = { success: "up", failure: "down" }[talk.result] || "unknown";
  const title = make("h3", "", talk.kind.replaceAll("_", " "), make("span", `chip ${state}`, talk.result));
  const at = shown.indexOf(talk);
  const back = step("\u2190", "Previous conversation", -1), on = step("\u2192", "Next conversation", 1);
  back.disabled = at === 0;
  on.disabled = at === shown.length - 1;
  const top = make("div", "top", title, make("div", "", back, " ", on));
  const told = [`${talk.scene}, trial ${talk.trial}`, `${talk.turns.length} turns (par ${talk.par})`];
  if (talk.outcome) told.push(talk.outcome);
  if (talk.seconds >= 0.1) told.push(`${talk.seconds.toFixed(1)} s`);
  const nodes = [top, make("p", "quiet", told.join(" \u00b7 "))];
  if (talk.error) nodes.push(make("p", "warning", `Not measured: ${talk.error}`));
  else nodes.push(make("div", "pays", make("span", "quiet", `return ${signed(talk.total)}`), ...chips(talk.terms)));
  return nodes;
}

function read(talk) {
  if (!talk) {
    article.replaceChildren(make("p", "quiet", "No conversation fits: widen the search or the filters."));
    return;
  }
  const nodes = header(talk);
  if (talk.prompt >= 0) {
    nodes.push(make("details", "", make("summary", "", "System message"), make("pre", "", prompts[talk.prompt])));
  }
  nodes.push(make("section", "turn", make("div", "number", ""), make("div", "", ...heard(talk.opening))));
  article.replaceChildren(...nodes, ...talk.turns.map((turn, place) => turnOf(turn, place + 1)));
}

// --- what is chosen ---

function current() {
  const talk = byId.get(address().id);
  return talk && shown.includes(talk) ? talk : shown[0];
}

function choose(talk) {
  for (const node of list.querySelectorAll("a")) {
    if (talk && node.dataset.id === talk.id) {
      node.setAttribute("aria-current", "true");
      list.scrollTop = Math.max(0, node.offsetTop - list.offsetTop - list.clientHeight / 2);
    } else node.removeAttribute("aria-current");
  }
  read(talk);
}

function move(by) {
  const talk = shown[shown.indexOf(current()) + by];
  if (!talk) return;
  history.replaceState(null, "", link(talk.id));
  choose(talk);
  article.scrollIntoView({ block: "start" });
}

function follow() {
  const { id, chosen } = address();
  for (const name of FIELDS) {
    const field = form.elements[name];
    field.value = chosen.get(name) || (name === "sort" ? "worst" : "");
    if (field.selectedIndex === -1) field.selectedIndex = 0; // a link to what this page does not hold
  }
  // A link to a conversation leads to it, whatever is filtered.
  fill();
  const talk = byId.get(id);
  if (talk && !shown.includes(talk)) {
    form.reset();
    fill();
  }
  choose(current());
  if (location.hash) (talk ? article : document.getElementById("conversations")).scrollIntoView({ block: "start" });
}

function refine() {
  fill();
  const talk = current();
  history.replaceState(null, "", link(talk ? talk.id : ""));
  choose(talk);
}

choices("result", talks.map((talk) => talk.result), "all");
choices("kind", talks.map((talk) => talk.kind), "all");
choices("difficulty", talks.map((talk) => talk.difficulty), "all");
choices("outcome", talks.map((talk) => talk.outcome), "all");
choices("rule", talks.flatMap((talk) => talk.rules), "all");
if (talks.some((talk) => talk.rules.length)) form.elements.rule.add(new Option("any broken", ANY_RULE), 1);
for (const [name, [label]] of Object.entries(ORDERS)) form.elements.sort.append(new Option(label, name));
form.addEventListener("input", refine);
form.addEventListener("submit", (event) => event.preventDefault());
window.addEventListener("hashchange", follow);
document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  if (event.target.matches("input, select")) {
    if (event.key === "Escape") event.target.blur();
    return;
  }
  if (event.key === "j" || event.key === "k") move(event.key === "j" ? 1 : -1);
  if (event.key === "/") {
    event.preventDefault();
    form.elements.q.focus();
  }
});
follow();
