// What a model said, for people: a label and scores, or values; and all of it as JSON.

import { counted, duration, make, number, percent } from "./dom.js";

const TOP = 10; // classes with a bar
const ROWS = 50; // samples in a list
const LONG = 20000; // characters of raw JSON that are shown

/** Show the reply of /api/models/NAME/try. */
export function showAnswer(target, reply, version, milliseconds) {
  const name = version.outputs[0]?.name ?? Object.keys(reply.outputs)[0];
  const scores = reply.outputs[name];
  const isClass = version.decision !== "value" && isFlat(reply.answers);
  const shown = isClass ? classes(reply, scores, version) : values(reply, name);
  target.replaceChildren(
    ...shown.filter(Boolean),
    make("p", { class: "hint time" }, `Round trip ${duration(milliseconds)}`),
    raw(reply));
}

/** Show why there is no answer, in the server's words. */
export function showProblem(target, message, status) {
  const [first, ...more] = message.split("\n");
  target.replaceChildren(make("div", { class: "failed" },
    make("strong", {}, status ? `Refused (${status})` : "Not sent"),
    make("p", {}, first), more.map((line) => make("p", {}, line))));
}

const isFlat = (list) => Array.isArray(list) && list.every((each) => !Array.isArray(each));

function classes(reply, scores, version) {
  const called = (index) => version.labels?.[index] ?? `class ${index}`;
  const labels = reply.labels ?? reply.answers.map(called);
  if (labels.length > 1) return [headline(counted(labels.length, "answer")), list(labels)];
  const row = [bestOf(reply, scores)].flat(Infinity);
  if (version.decision === "sign" || row.length < 2) {
    return [headline(labels[0]), make("p", { class: "hint" }, `Value ${number(row[0])}`)];
  }
  return [headline(labels[0]), bars(row, called)];
}

/** The scores after postprocessing such as softmax, where it keeps one for each class. */
function bestOf(reply, scores) {
  const after = reply.processed?.[0];
  return isFlat(after) && after.length === scores[0].length ? after : scores[0];
}

function headline(text) {
  return make("p", { class: "headline" }, text);
}

/** Bars of the best scores; shares of one as percent, others from zero. */
function bars(scores, called) {
  const sum = scores.reduce((a, b) => a + b, 0);
  const isShare = scores.every((score) => score >= 0) && Math.abs(sum - 1) < 0.02;
  const low = Math.min(0, ...scores.slice(0, 100000));
  const high = isShare ? 1 : Math.max(0, ...scores.slice(0, 100000));
  const span = high - low || 1;
  const best = scores.map((score, index) => [score, index]).sort((a, b) => b[0] - a[0]).slice(0, TOP);
  const rows = best.map(([score, index], rank) => {
    const fill = make("span", { class: rank ? "fill" : "fill best" });
    fill.style.left = `${(100 * (Math.min(score, 0) - low)) / span}%`;
    fill.style.width = `${(100 * Math.abs(score)) / span}%`;
    return make("li", {},
      make("span", { class: "of", title: called(index) }, called(index)),
      make("span", { class: "track", "aria-hidden": "true" }, fill),
      make("span", { class: "score" }, isShare ? percent(score) : number(score)));
  });
  const of = scores.length > TOP ? `, ${TOP} best of ${scores.length}` : "";
  return make("div", {}, make("p", { class: "caption" }, `${isShare ? "Share" : "Score"}${of}`),
    make("ol", { class: "bars" }, rows));
}

function list(items) {
  const rest = items.length - ROWS;
  return make("ol", { class: "samples" }, items.slice(0, ROWS).map((each) => make("li", {}, each)),
    rest > 0 && make("li", { class: "hint" }, `and ${rest} more`));
}

function values(reply, name) {
  const found = reply.processed ?? reply.answers ?? reply.outputs[name];
  const rows = found.map((row) => [row].flat(Infinity));
  const one = (row) => {
    const more = row.length > TOP ? ` … (${row.length} numbers)` : "";
    return row.slice(0, TOP).map(number).join(", ") + more;
  };
  const others = Object.keys(reply.outputs).filter((each) => each !== name);
  return [
    rows.length === 1 ? headline(one(rows[0])) : headline(counted(rows.length, "answer")),
    rows.length > 1 && list(rows.map(one)),
    make("p", { class: "hint" }, `Output ${name}`),
    others.length > 0 && make("dl", { class: "facts" }, others.flatMap((each) => [
      make("dt", {}, each), make("dd", {}, one([reply.outputs[each][0]].flat(Infinity)))])),
  ];
}

function raw(reply) {
  const whole = JSON.stringify(reply);
  const shown = whole.length > LONG ? `${whole.slice(0, LONG)}\n… ${whole.length} characters` : whole;
  return make("details", { class: "raw" }, make("summary", {}, "Raw JSON"),
    make("pre", { tabindex: "0" }, shown));
}
