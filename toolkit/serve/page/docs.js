// The OpenAPI document for people: every address with its example, schema and errors.

import { admitted, ask, hasToken, wireHead } from "./api.js";
import { quoted } from "./commands.js";
import { copier, make } from "./dom.js";

const LONG = 3000; // characters of an example that are shown

function show(document_) {
  const groups = new Map();
  for (const [path, methods] of Object.entries(document_.paths)) {
    for (const [method, operation] of Object.entries(methods)) {
      const tag = operation.tags?.[0] ?? "other";
      groups.set(tag, [...(groups.get(tag) ?? []), [path, method, operation]]);
    }
  }
  const { title, version, description } = document_.info;
  const sections = [...groups].map(([tag, rows], index) => (
    make("section", { class: "card", "aria-labelledby": `tag-${index}` },
      make("h2", { id: `tag-${index}` }, tag), rows.map((row) => operation(...row)))));
  document.getElementById("content").replaceChildren(
    make("header", { class: "model-head" }, make("h1", {}, `${title} ${version}`),
      make("p", { class: "hint" }, description),
      document_.security && make("p", { class: "hint" },
        "Every address but health wants the header ", make("code", {}, "Authorization: Bearer TOKEN"), ".")),
    ...sections);
}

function operation(path, method, { summary, requestBody, responses }) {
  const content = Object.entries(requestBody?.content ?? {})[0];
  const [type, body] = content ?? [];
  return make("details", { class: "operation" },
    make("summary", {},
      make("span", { class: `method ${method}` }, method.toUpperCase()),
      make("code", {}, path), make("span", { class: "hint" }, summary)),
    make("div", { class: "inside" },
      shell(path, method, type, body?.example),
      body?.example !== undefined && block("Example", body.example),
      body && schema(body.schema),
      make("h3", {}, "Answers"), answers(responses)));
}

function shell(path, method, type, example) {
  const parts = [`curl ${quoted(new URL(path.slice(1), document.baseURI).href)}`];
  if (hasToken()) parts.push('-H "Authorization: Bearer $TOOLKIT_TOKEN"');
  if (type) parts.push(`-H 'Content-Type: ${type}'`);
  const sent = JSON.stringify(example);
  if (sent) parts.push(sent.length > LONG ? "-d @example.json" : `-d ${quoted(sent)}`);
  else if (method !== "get") parts.push(`-X ${method.toUpperCase()}`);
  const text = parts.join(" \\\n  ");
  return titled("Command", text, text);
}

function block(title, value) {
  const whole = JSON.stringify(value);
  return titled(title, shortened(pretty(value)), whole);
}

function titled(title, shown, copied) {
  return make("div", { class: "command" },
    make("div", { class: "row" }, make("h3", {}, title), copier(title.toLowerCase(), () => copied)),
    make("pre", { tabindex: "0" }, shown));
}

function schema(value) {
  return make("details", {}, make("summary", {}, "Schema"),
    make("pre", { tabindex: "0" }, shortened(JSON.stringify(value, null, 2))));
}

/** JSON of which lists without objects stay on one line. */
function pretty(value, indent = "") {
  if (Array.isArray(value)) {
    const text = JSON.stringify(value);
    if (text.length < 72 || !text.includes("{")) return text.replaceAll("]],[[", "]],\n[[");
    const inner = value.map((each) => `${indent}  ${pretty(each, `${indent}  `)}`);
    return `[\n${inner.join(",\n")}\n${indent}]`;
  }
  if (typeof value !== "object" || value === null) return JSON.stringify(value);
  const lines = Object.entries(value).map(
    ([name, each]) => `${indent}  ${JSON.stringify(name)}: ${pretty(each, `${indent}  `)}`);
  return lines.length ? `{\n${lines.join(",\n")}\n${indent}}` : "{}";
}

function shortened(text) {
  return text.length > LONG ? `${text.slice(0, LONG)}\n… ${text.length} characters` : text;
}

function answers(responses) {
  return make("dl", { class: "facts codes" }, Object.entries(responses).flatMap(([code, response]) => [
    make("dt", { class: code < "400" ? "good" : "bad" }, code),
    make("dd", {}, response.description),
  ]));
}

wireHead();
admitted(() => ask("openapi.json")).then(show).catch((error) => {
  document.getElementById("content").replaceChildren(make("p", { class: "card" }, error.message));
});
