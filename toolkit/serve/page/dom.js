// Elements and numbers. Whatever comes from the server enters as text, never as HTML.

/**
 * Make an element: make("a", {class: "link", href: "#x", onclick: go}, "text", child, ...).
 * Functions become listeners, true an empty attribute; null and false are left out.
 */
export function make(tag, attributes = {}, ...children) {
  return filled(document.createElement(tag), attributes, children);
}

/** The same for a shape inside an SVG. */
export function shape(tag, attributes = {}, ...children) {
  return filled(document.createElementNS("http://www.w3.org/2000/svg", tag), attributes, children);
}

function filled(element, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) {
    if (value === null || value === undefined || value === false) continue;
    if (typeof value === "function") element.addEventListener(name.slice(2), value);
    else element.setAttribute(name, value === true ? "" : value);
  }
  const present = (child) => child !== null && child !== undefined && child !== false;
  element.append(...children.flat().filter(present));
  return element;
}

/** A number as people read it; '–' where there is none. */
export function number(value) {
  if (typeof value !== "number") return value === null || value === undefined ? "–" : String(value);
  const size = Math.abs(value);
  if (value === 0 || (Number.isInteger(value) && size < 1e9)) return String(value);
  if (size < 1e-3 || size >= 1e7) {
    return value.toExponential(2).replace(/\.?0*e\+?/, "e");
  }
  return String(Number(value.toPrecision(4)));
}

/** A share, 0 to 1, in percent; never rounded up to 100 %. */
export function percent(value) {
  if (typeof value !== "number") return "–";
  return `${Math.floor(value * 10000 + 1e-6) / 100} %`;
}

/** Milliseconds with three digits. */
export function duration(value) {
  if (typeof value !== "number") return "–";
  const digits = value < 10 ? 2 : value < 100 ? 1 : 0;
  return value < 10000 ? `${value.toFixed(digits)} ms` : `${(value / 1000).toFixed(1)} s`;
}

/** "1 sample", "2 samples". */
export function counted(count, noun) {
  return `${count} ${noun}${count === 1 ? "" : "s"}`;
}

/** A shape of which axis 0 counts the samples: "n × 8 × 8"; '?' where a size is free. */
export function sizes(given) {
  if (given.length === 0) return "one number";
  return given.map((size, axis) => size ?? (axis === 0 ? "n" : "?")).join(" × ");
}

/** A button that copies; it says so for a moment, and keeps its width. */
export function copier(what, text) {
  const label = make("span", {}, "Copy");
  const said = make("span", { class: "unseen", role: "status" });
  const copy = async () => {
    try {
      await navigator.clipboard.writeText(text());
      label.textContent = "Copied";
    } catch {
      label.textContent = "Not allowed";
    }
    said.textContent = `${what}: ${label.textContent}`;
    setTimeout(() => { label.textContent = "Copy"; said.textContent = ""; }, 1500);
  };
  const button = { type: "button", class: "small copy", "aria-label": `Copy ${what}`, onclick: copy };
  return make("span", {}, make("button", button, label), said);
}

/** Let the browser save content as a file. */
export function save(name, content, type) {
  const address = URL.createObjectURL(new Blob([content], { type }));
  make("a", { href: address, download: name }).click();
  setTimeout(() => URL.revokeObjectURL(address), 10000);
}
