// Latency as it goes: p50 and p99 of the latest requests, and their course.

import { counted, duration, make, shape } from "./dom.js";

const POINTS = 60; // of the course: two minutes
const [WIDTH, HEIGHT] = [240, 48];

/** Keeps the course of every version; what is shown is changed in place. */
export class Latencies {
  constructor() {
    this.courses = new Map();
    this.shown = new Map();
  }

  /** Take in what /api/models says. */
  add(models) {
    for (const { name, versions } of models) {
      for (const { version, latency } of versions) {
        if (!latency) continue;
        const key = JSON.stringify([name, version]);
        const course = this.courses.get(key) ?? [];
        course.push(latency);
        this.courses.set(key, course.slice(-POINTS));
        this.shown.get(key)?.show(this.courses.get(key));
      }
    }
  }

  /** The card for the versions of one model; the one before it is forgotten. */
  card(model) {
    this.shown.clear();
    const rows = model.versions.filter((row) => row.latency).map((row) => {
      const key = JSON.stringify([model.name, row.version]);
      const one = new Latency(row.version);
      this.shown.set(key, one);
      one.show(this.courses.get(key) ?? []);
      return one.element;
    });
    return make("section", { class: "card", "aria-labelledby": "latency-title" },
      make("h2", { id: "latency-title" }, "Latency"),
      rows.length ? rows : make("p", { class: "hint" }, "No version answers."));
  }
}

class Latency {
  constructor(version) {
    this.p50 = make("dd", {});
    this.p99 = make("dd", {});
    this.count = make("p", { class: "hint" });
    this.lines = ["p99", "p50"].map((kind) => shape("polyline", { class: kind, points: "" }));
    this.ends = ["p99", "p50"].map((kind) => shape("circle", { class: kind, r: "2.5", cx: "-9" }));
    const chart = shape("svg", {
      viewBox: `0 0 ${WIDTH} ${HEIGHT}`, class: "spark", "aria-hidden": "true",
    }, shape("line", { class: "base", x1: "0", x2: WIDTH, y1: HEIGHT - 1, y2: HEIGHT - 1 }),
    this.lines, this.ends);
    this.element = make("div", { class: "latency" },
      make("p", { class: "caption" }, `Version ${version}`),
      make("dl", { class: "figures" },
        make("div", {}, make("dt", { class: "p50" }, "p50"), this.p50),
        make("div", {}, make("dt", { class: "p99" }, "p99"), this.p99)),
      chart, this.count);
  }

  show(course) {
    const last = course[course.length - 1] ?? {};
    this.p50.textContent = duration(last.p50_ms);
    this.p99.textContent = duration(last.p99_ms);
    this.count.textContent = last.count
      ? `of the latest ${counted(last.count, "request")}`
      : "No request yet";
    const most = 1.1 * Math.max(...course.map((each) => each.p99_ms ?? 0)) || 1;
    ["p99_ms", "p50_ms"].forEach((kind, index) => {
      const points = placed(course, kind, most);
      this.lines[index].setAttribute("points", points.map((point) => point.join(",")).join(" "));
      const end = points[points.length - 1] ?? [-9, 0];
      this.ends[index].setAttribute("cx", end[0]);
      this.ends[index].setAttribute("cy", end[1]);
    });
  }
}

/** Points from right to left, so that the newest stands still. */
function placed(course, kind, most) {
  const step = (WIDTH - 6) / (POINTS - 1);
  return course.flatMap((each, index) => {
    if (each[kind] === undefined) return [];
    const x = WIDTH - 3 - (course.length - 1 - index) * step;
    const y = HEIGHT - 3 - (each[kind] / most) * (HEIGHT - 6);
    return [[Number(x.toFixed(1)), Number(y.toFixed(1))]];
  });
}
