// What is known about a model's answers. What is not proven must not be missed.

import { counted, make, number, percent } from "./dom.js";

/** The line across the page for the version that answers. */
export function banner(version) {
  const { verified, reason } = version.proof;
  if (verified) return null;
  return make("div", { class: "banner bad", role: "alert" },
    make("strong", {}, "Not verified"),
    make("p", {}, "Nobody has shown that this file predicts what was trained. Do not rely on its answers."),
    reason && make("p", { class: "reason" }, reason));
}

/** A word on newer versions that were refused while this one goes on. */
export function refusals(model, version) {
  const newer = model.versions.filter((row) => row.error && row.version > version.version);
  return newer.map((row) => make("div", { class: "note", role: "status" },
    make("strong", {}, `Version ${row.version} was refused; version ${version.version} goes on.`),
    make("p", { class: "reason" }, row.error)));
}

/** Verified or not, in few words. */
export function badge(proof) {
  return make("span", { class: proof.verified ? "badge good" : "badge bad" },
    proof.verified ? "Verified" : "Not verified");
}

/** The card: replayed here, signed by, hash, and the checks of the export. */
export function proofCard(version) {
  const { proof } = version;
  const replayed = proof.samples
    ? `${counted(proof.samples, "golden sample")}, greatest error ${number(proof.error)} of the range`
    : "none";
  const signed = proof.signed_by.length
    ? proof.signed_by.map((key) => make("code", { class: "hash" }, key))
    : "no key that this server was told to trust";
  return make("section", { class: "card proof", "aria-labelledby": "proof-title" },
    make("div", { class: "row" }, make("h2", { id: "proof-title" }, "Proof"), badge(proof)),
    make("dl", { class: "facts" },
      make("dt", {}, "Replayed here"), make("dd", {}, replayed),
      make("dt", {}, "Signed by"), make("dd", {}, signed),
      proof.sha256 && [make("dt", {}, "SHA-256"),
        make("dd", {}, make("code", { class: "hash" }, proof.sha256))]),
    proof.checks.length > 0 && checks(proof.checks));
}

const COLUMNS = [
  ["File", (check) => check.file, ""],
  ["Runtime", (check) => check.runtime, ""],
  ["Result", (check) => result(check), ""],
  ["Error", (check) => number(check.error), "number"],
  ["Same answers", (check) => percent(check.kept), "number"],
  ["Metric", (check) => number(check.metric), "number"],
  ["Drop", (check) => number(check.drop), "number"],
  ["Samples", (check) => number(check.samples), "number"],
];

function checks(rows) {
  const cells = (check) => COLUMNS.map(
    ([title, cell, looks]) => make("td", { "data-title": title, class: looks }, cell(check) ?? "–"));
  return make("div", { class: "checks" },
    make("h3", {}, "Checks of the export"),
    make("div", { class: "wide" }, make("table", {},
      make("thead", {}, make("tr", {}, COLUMNS.map(([title]) => make("th", { scope: "col" }, title)))),
      make("tbody", {}, rows.map((check) => make("tr", {}, cells(check)))))),
    make("p", { class: "hint" },
      "Error: greatest difference from the trained model, in units of its outputs' range."));
}

function result(check) {
  return make("span", {},
    make("span", { class: check.passed ? "good" : "bad" }, check.passed ? "passed" : "failed"),
    check.reason && make("span", { class: "reason" }, check.reason));
}
