// The page of models: asks for them every two seconds while somebody looks, and shows one.

import { admitted, ask, wireHead } from "./api.js";
import { counted, make } from "./dom.js";
import { ModelView, answering } from "./model.js";

const EVERY = 2000; // milliseconds
const at = (id) => document.getElementById(id);

/** Samples by model and version; asked for once, since pictures are long. */
const examples = new Map();
const key = (name, row) => JSON.stringify([name, row.version, row.proof?.sha256]);

const view = new ModelView(at("model"), () => soon(200), () => soon(0));
let models = [];
let shown = "";
let timer = 0;
let isAsking = false; // also while a token is typed

async function refresh() {
  clearTimeout(timer);
  if (isAsking) return;
  isAsking = true;
  try {
    models = await admitted(load);
    at("trouble").textContent = "";
    view.latencies.add(models);
    render();
  } catch (error) {
    at("trouble").textContent = `${error.message} Trying again …`;
  }
  isAsking = false;
  soon(EVERY);
}

function soon(milliseconds) {
  clearTimeout(timer);
  if (!document.hidden) timer = setTimeout(refresh, milliseconds);
}

async function load() {
  let found = (await ask("api/models?examples=0")).models;
  const loaded = (list) => list.flatMap(({ name, versions }) => (
    versions.filter((row) => row.inputs).map((row) => [key(name, row), row])));
  if (loaded(found).some(([each]) => !examples.has(each))) {
    found = (await ask("api/models")).models;
    examples.clear();
    for (const [each, row] of loaded(found)) examples.set(each, row.example ?? null);
  }
  for (const [each, row] of loaded(found)) row.example = examples.get(each) ?? null;
  return found;
}

/** Build anew only what is not as it was: latency is shown in place. */
function render() {
  const model = models.find(({ name }) => anchor(name) === location.hash) ?? models[0];
  const state = JSON.stringify([model?.name, models], (name, value) => (
    name === "latency" || name === "example" ? undefined : value));
  if (state === shown) return;
  shown = state;
  renderList(model);
  if (model) view.show(model);
  else at("model").replaceChildren(make("p", { class: "card" }, "No model is loaded."));
  document.title = `${model?.name ?? "Models"} · toolkit serve`;
}

/** As browsers write it: the part of the address that names a model. */
function anchor(name) {
  return new URL(`#${encodeURIComponent(name)}`, location).hash;
}

function renderList(chosen) {
  const focused = document.activeElement?.closest?.("#models a")?.hash;
  const unproven = models.filter((model) => standing(model)[1] === "bad").length;
  at("summary").textContent = counted(models.length, "model") +
    (unproven ? `, ${unproven} not verified` : ", all verified");
  const rows = models.map((model) => {
    const [words, looks] = standing(model);
    const link = {
      href: anchor(model.name), "aria-current": model === chosen ? "true" : null,
    };
    return make("li", {}, make("a", link,
      make("span", { class: "name" }, model.name), make("span", { class: `badge ${looks}` }, words)));
  });
  at("models").querySelector("ul").replaceChildren(...rows);
  if (focused) {
    for (const link of at("models").querySelectorAll("a")) if (link.hash === focused) link.focus();
  }
}

function standing(model) {
  const version = answering(model);
  if (!version) return ["No answer", "bad"];
  return version.proof.verified ? ["Verified", "good"] : ["Not verified", "bad"];
}

addEventListener("hashchange", () => {
  if (location.hash === "#model") return; // the link that skips the list
  render();
  scrollTo(0, 0);
});
document.addEventListener("visibilitychange", () => {
  if (document.hidden) clearTimeout(timer);
  else refresh();
});
document.querySelector(".skip").addEventListener("click", (event) => {
  event.preventDefault();
  at("model").focus();
});
for (const kind of ["dragover", "drop"]) { // beside the form a file would replace the page
  document.addEventListener(kind, (event) => event.preventDefault());
}
wireHead();
refresh();
