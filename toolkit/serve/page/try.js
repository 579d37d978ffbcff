// The form to try a model: one way of giving its inputs at a time, the answer below.

import { showAnswer, showProblem } from "./answer.js";
import { ask } from "./api.js";
import { make } from "./dom.js";
import { draw } from "./draw.js";
import { editor, file, numbers, text } from "./fields.js";
import { droppable, picture } from "./picture.js";
import { imageOf, waysOf } from "./specs.js";

const TITLES = {
  draw: "Draw", picture: "Picture", text: "Text", numbers: "Numbers", file: "File", json: "JSON",
};

/** The card; `onAsked` is called after every answer, `onLocked` when the token is not taken. */
export function tryCard(name, version, onAsked, onLocked) {
  const isLong = version.decision === "argmax";
  const answer = make("div", { class: isLong ? "answer tall" : "answer" });
  const said = make("p", { class: "unseen", role: "status" });
  const place = make("div", { class: "way" });
  const run = make("button", { class: "primary" }, "Run");
  const example = make("button", { type: "button" }, "Use the example");
  let way = null;
  let turn = 0;

  const ask_ = async () => {
    const mine = (turn += 1);
    answer.setAttribute("aria-busy", "true");
    const told = await attempt(name, way, version);
    if (mine !== turn) return; // a later one is under way
    answer.removeAttribute("aria-busy");
    if (told.error) showProblem(answer, told.error.message, told.error.status);
    else showAnswer(answer, told.reply, version, told.milliseconds);
    said.textContent = told.error
      ? `Error: ${told.error.message}`
      : `Answer: ${answer.querySelector(".headline").textContent}`;
    if (told.error?.status === 401) onLocked();
    onAsked();
  };
  const choose = (kind) => {
    way = made(kind, version, ask_);
    place.replaceChildren(way.element);
    example.hidden = !version.example || !way.fill;
  };
  example.addEventListener("click", () => {
    try {
      way.fill(version.example[version.inputs[0].name], version.example);
      run.focus();
    } catch (error) {
      showProblem(answer, error.message, 0);
    }
  });
  const ways = waysOf(version);
  choose(ways[0]);
  answer.append(make("p", { class: "hint idle" }, "The answer comes here."));
  const form = make("form", { class: "asking", novalidate: true },
    ways.length > 1 && tabs(ways, choose), place,
    make("div", { class: "row actions" }, run, example));
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    ask_();
  });
  return make("section", { class: "card try", "aria-labelledby": "try-title" },
    make("h2", { id: "try-title" }, "Try it"), make("div", { class: "split" }, form,
      make("div", { class: "answering" }, make("h3", {}, "Answer"), said, answer)));
}

async function attempt(name, way, version) {
  try {
    const given = await way.read();
    const path = `api/models/${encodeURIComponent(name)}/try`;
    const [body, type] = given.content
      ? [given.content, given.type]
      : [JSON.stringify({ inputs: alone(given.inputs, version) }), "application/json"];
    const begun = performance.now();
    const reply = await ask(path, { body, type });
    return { reply, milliseconds: performance.now() - begun };
  } catch (error) {
    return { error };
  }
}

/** JSON that is no object is the value of the only input. */
function alone(inputs, version) {
  const isObject = typeof inputs === "object" && inputs !== null && !Array.isArray(inputs);
  return isObject || version.inputs.length > 1 ? inputs : { [version.inputs[0].name]: inputs };
}

function made(kind, version, onReady) {
  const [spec] = version.inputs;
  const image = () => imageOf(spec, version.example?.[spec.name]);
  switch (kind) {
    case "draw": return draw(spec, image(), onReady);
    case "picture": return picture(spec, image(), onReady);
    case "text": return text(spec);
    case "numbers": return numbers(spec);
    case "file": return file(spec, droppable, onReady);
    default: return editor(version.inputs);
  }
}

/** Radio buttons that look like tabs: arrow keys work as people know them. */
function tabs(ways, choose) {
  return make("fieldset", { class: "tabs" }, make("legend", { class: "unseen" }, "How to give it"),
    ways.map((kind, index) => make("label", {},
      make("input", {
        type: "radio", name: "way", value: kind, checked: index === 0, onchange: () => choose(kind),
      }), make("span", {}, TITLES[kind]))));
}
