// The same question from a shell, in both protocols, with the model's own example.

import { copier, make, save } from "./dom.js";
import { hasToken } from "./api.js";
import { datatype, flat, zeros } from "./specs.js";

const LONG = 1500; // characters of a body that goes into the command itself

/** The card with one command for each protocol. */
export function commandsCard(name, version) {
  const example = version.example ?? zeros(version);
  const place = encodeURIComponent(name).replaceAll("'", "%27");
  return make("section", { class: "card", "aria-labelledby": "shell-title" },
    make("h2", { id: "shell-title" }, "From a program"),
    command("TensorFlow Serving", `v1/models/${place}:predict`, predict(version, example), "predict"),
    command("Open Inference Protocol", `v2/models/${place}/infer`, infer(version, example), "infer"),
    make("p", { class: "hint" }, "All addresses, with examples: ",
      make("a", { href: "docs" }, "API"), ". For generators of clients: ",
      make("a", { href: "openapi.json" }, "openapi.json"), "."));
}

function command(title, path, body, verb) {
  const address = new URL(path, document.baseURI).href;
  const sent = JSON.stringify(body);
  const isLong = sent.length > LONG;
  const parts = [`curl ${quoted(address)}`];
  if (hasToken()) parts.push('-H "Authorization: Bearer $TOOLKIT_TOKEN"');
  parts.push("-H 'Content-Type: application/json'");
  parts.push(isLong ? `-d @${verb}.json` : `-d ${quoted(sent)}`);
  const text = parts.join(" \\\n  ");
  const keep = () => save(`${verb}.json`, sent, "application/json");
  return make("div", { class: "command" },
    make("div", { class: "row" }, make("h3", {}, title),
      make("span", { class: "row" },
        isLong && make("button", { type: "button", class: "small", onclick: keep }, `Save ${verb}.json`),
        copier(`the ${title} command`, () => text))),
    make("pre", { tabindex: "0" }, text));
}

/** For a POSIX shell. */
export function quoted(text) {
  return `'${text.replaceAll("'", "'\\''")}'`;
}

function predict(version, example) {
  const [only] = version.inputs;
  if (version.inputs.length === 1) return { instances: example[only.name] };
  const rows = Object.fromEntries(version.inputs.map(({ name }) => [name, example[name][0]]));
  return { instances: [rows] };
}

function infer(version, example) {
  const inputs = version.inputs.map(({ name, dtype }) => ({
    name, shape: extents(example[name]), datatype: datatype(dtype), data: flat(example[name]),
  }));
  return { inputs };
}

function extents(value) {
  return Array.isArray(value) ? [value.length, ...extents(value[0])] : [];
}
