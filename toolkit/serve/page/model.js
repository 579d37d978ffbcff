// One model: who it is, what it takes, which versions there are.

import { Latencies } from "./charts.js";
import { commandsCard } from "./commands.js";
import { make, sizes } from "./dom.js";
import { banner, proofCard, refusals } from "./proof.js";
import { tryCard } from "./try.js";

/** The version that answers: the newest loaded one, or null. */
export function answering(model) {
  const loaded = model.versions.filter((row) => row.inputs);
  const available = loaded.filter((row) => row.state === "AVAILABLE");
  const most = (rows) => rows.reduce((a, b) => (b.version > a.version ? b : a));
  if (available.length) return most(available);
  return loaded.length ? most(loaded) : null;
}

/** Shows one model in the page; a form in use is kept while the inputs are the same. */
export class ModelView {
  constructor(target, onAsked, onLocked) {
    this.target = target;
    this.latencies = new Latencies();
    this.calls = [onAsked, onLocked];
    this.kept = { key: null, card: null };
  }

  show(model) {
    const version = answering(model);
    this.target.setAttribute("aria-label", model.name);
    if (!version) {
      this.kept = { key: null, card: null };
      this.target.replaceChildren(head(model, null), versionsCard(model));
      return;
    }
    const side = make("div", { class: "side" }, this.latencies.card(model), versionsCard(model),
      specsCard(version));
    const main = make("div", { class: "main" }, this.form(model, version), proofCard(version),
      commandsCard(model.name, version));
    const focused = document.activeElement;
    const notes = [banner(version), ...refusals(model, version)].filter(Boolean);
    this.target.replaceChildren(head(model, version), ...notes,
      make("div", { class: "columns" }, main, side));
    if (this.target.contains(focused)) focused.focus();
  }

  form(model, version) {
    const { inputs, outputs, labels, decision, example } = version;
    const key = JSON.stringify([model.name, inputs, outputs, labels, decision, example]);
    if (key !== this.kept.key) {
      this.kept = { key, card: tryCard(model.name, version, ...this.calls) };
    }
    return this.kept.card;
  }
}

function head(model, version) {
  const chips = version
    ? [version.precision, version.runtime, version.target, version.framework].filter(Boolean)
    : [];
  const text = version?.text ? ` (${version.text})` : "";
  return make("header", { class: "model-head" },
    make("h1", {}, model.name),
    make("p", { class: "chips" },
      version && make("span", { class: "chip strong" }, `Version ${version.version}${text}`),
      chips.map((chip) => make("span", { class: "chip" }, chip)),
      !version && make("span", { class: "badge bad" }, "No version answers")));
}

function specsCard(version) {
  const rows = (specs) => specs.map((spec) => make("li", {},
    make("strong", {}, spec.name), make("span", {}, `${spec.dtype}, ${sizes(spec.shape)}`)));
  const decisions = { argmax: "the class with the greatest score", sign: "yes above zero", value: "the value" };
  const labels = version.labels ?? [];
  return make("section", { class: "card", "aria-labelledby": "spec-title" },
    make("h2", { id: "spec-title" }, "Takes and gives"),
    make("h3", {}, "Inputs"), make("ul", { class: "specs" }, rows(version.inputs)),
    make("h3", {}, "Outputs"), make("ul", { class: "specs" }, rows(version.outputs)),
    make("dl", { class: "facts" },
      make("dt", {}, "Answer"), make("dd", {}, decisions[version.decision] ?? version.decision),
      labels.length > 0 && [make("dt", {}, "Labels"), make("dd", {}, some(labels))],
      make("dt", {}, "Threads"), make("dd", {}, String(version.threads))));
}

function some(labels) {
  const more = labels.length > 20 ? ` … (${labels.length})` : "";
  return labels.slice(0, 20).join(", ") + more;
}

const STATES = {
  START: "starting", LOADING: "loading", AVAILABLE: "answers", UNLOADING: "unloading", END: "unloaded",
};

function versionsCard(model) {
  const rows = [...model.versions].sort((a, b) => b.version - a.version).map((row) => {
    const state = row.error ? "refused" : (STATES[row.state] ?? row.state.toLowerCase());
    const looks = row.error ? "bad" : row.state === "AVAILABLE" ? "good" : "calm";
    const facts = [row.text, row.precision, row.runtime].filter(Boolean).join(", ");
    return make("li", {},
      make("strong", {}, `Version ${row.version}`),
      make("span", { class: `badge ${looks}` }, state),
      facts && make("span", { class: "hint" }, facts),
      row.proof && !row.proof.verified && make("span", { class: "badge bad" }, "not verified"),
      row.error && make("p", { class: "reason" }, row.error));
  });
  return make("section", { class: "card", "aria-labelledby": "versions-title" },
    make("h2", { id: "versions-title" }, "Versions"), make("ul", { class: "versions" }, rows));
}
