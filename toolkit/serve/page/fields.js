// Typing an input: text, numbers, JSON; or a file of one of the kinds that the server reads.

import { make, sizes } from "./dom.js";
import { zeros } from "./specs.js";

const TYPES = {
  npy: "application/x-npy", csv: "text/csv", txt: "text/plain", wav: "audio/wav",
  png: "image/png", jpg: "image/jpeg", jpeg: "image/jpeg", bmp: "image/bmp", webp: "image/webp",
};
const SHORT = 60000; // characters of an example that a field can show

/** The Content-Type of a file by its name; undefined for others. */
export const typeOf = (name) => TYPES[name.split(".").pop().toLowerCase()];

/** The way "text": one text, as it is. */
export function text(spec) {
  const field = make("textarea", { id: "field", rows: "5", maxlength: "200000" });
  return {
    element: labelled("Text", field, "As people write it; the model's own steps prepare it."),
    read: () => {
      if (!field.value) throw new Error("Type a text first.");
      return { inputs: { [spec.name]: [field.value] } };
    },
    fill: (example) => { [field.value] = example; },
  };
}

/** The way "numbers": separated by commas or spaces, a line a sample; or JSON. */
export function numbers(spec) {
  const shape = spec.shape.slice(1);
  const count = shape.every((size) => size !== null) ? shape.reduce((a, b) => a * b, 1) : null;
  const field = make(count === 1 ? "input" : "textarea", {
    id: "field", class: "code", autocomplete: "off", spellcheck: "false",
    rows: count === 1 ? null : "4",
  });
  const many = count === null ? "Numbers" : count === 1 ? "One number" : `${count} numbers`;
  const hint = count === 1 ? "; several separated by commas are several samples."
    : ", separated by commas or spaces, a line for each sample; or JSON.";
  return {
    element: labelled(`${spec.name}, ${spec.dtype}, ${sizes(spec.shape)}`, field, many + hint),
    read: () => ({ inputs: { [spec.name]: parsed(field.value, count) } }),
    fill: (example) => {
      const isFlat = example[0] === undefined || [example[0]].flat().every((x) => !Array.isArray(x));
      field.value = isFlat ? [example[0]].flat().join(", ") : JSON.stringify(example);
    },
  };
}

function parsed(typed, count) {
  const whole = typed.trim();
  if (!whole) throw new Error("Type numbers first.");
  if (whole.startsWith("[")) return json(whole);
  const lines = whole.split(/\n+/).map((line) => line.split(/[\s,;]+/).filter(Boolean).map(one));
  if (count === 1) return lines.flat().map((value) => [value]);
  return lines;
}

function one(word) {
  if (word === "true" || word === "false") return word === "true";
  const value = Number(word);
  if (Number.isFinite(value)) return value;
  throw new Error(`“${word.slice(0, 40)}” is not a number.`);
}

function json(typed) {
  try {
    return JSON.parse(typed);
  } catch (error) {
    throw new Error(`This is not JSON: ${error.message}`);
  }
}

/** The way "json": an object with a value for each input. */
export function editor(specs) {
  const field = make("textarea", { id: "field", class: "code", rows: "10", spellcheck: "false" });
  const template = written(zeros({ inputs: specs }));
  if (template.length < 400) field.placeholder = template;
  const names = specs.map((spec) => `${spec.name} ${sizes(spec.shape)} ${spec.dtype}`).join(", ");
  return {
    element: labelled("Inputs as JSON", field, `An object with ${names}; n samples of each.`),
    read: () => {
      if (!field.value.trim()) throw new Error("Type JSON first.");
      return { inputs: json(field.value) };
    },
    fill: (_, whole) => {
      const made = written(whole);
      if (made.length > SHORT) throw new Error("The example is too long for this field.");
      field.value = made;
    },
  };
}

/** An object of lists, a line for each input. */
function written(inputs) {
  const lines = Object.entries(inputs).map(
    ([name, value]) => `  ${JSON.stringify(name)}: ${JSON.stringify(value)}`);
  return `{\n${lines.join(",\n")}\n}`;
}

/** The way "file": sent as it is. */
export function file(spec, drop, onReady) {
  let chosen = null;
  const told = make("p", { class: "hint" }, ".npy, .csv, .json, .txt, .wav, or a picture");
  const take = (given) => {
    chosen = given;
    told.textContent = `${given.name}, ${given.size} bytes`;
    onReady();
  };
  const asked = make("input", {
    type: "file", "aria-label": "File", onchange: () => asked.files[0] && take(asked.files[0]),
  });
  const area = make("div", { class: "drop" }, make("div", { class: "chooser" },
    make("label", { class: "button" }, "Choose a file", asked),
    make("span", { class: "hint" }, "or drop one here"), told));
  drop(area, take);
  return {
    element: area,
    read: async () => {
      if (!chosen) throw new Error("Choose a file first.");
      if (/\.json$/i.test(chosen.name)) return { inputs: json(await chosen.text()) };
      const type = typeOf(chosen.name);
      if (!type) throw new Error(`${chosen.name} is none of .npy .csv .json .txt .wav or a picture.`);
      return { content: chosen, type };
    },
    fill: null,
  };
}

function labelled(label, field, hint) {
  field.setAttribute("aria-describedby", "field-hint");
  return make("div", { class: "field" }, make("label", { for: "field" }, label), field,
    make("p", { class: "hint", id: "field-hint" }, hint));
}
