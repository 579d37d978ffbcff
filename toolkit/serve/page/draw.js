// Drawing a small picture with mouse, finger or keys. The model's pixels are the means of squares
// of the canvas, and are shown beside it as the model gets them.

import { make } from "./dom.js";
import { extent, levels, nested } from "./specs.js";

const SIDE = 280; // pixels of the canvas' longer side, about

/** The way "draw": {element, read, fill}; `onStroke` is called after every stroke. */
export function draw(spec, image, onStroke) {
  const { height, width } = image;
  const scale = Math.max(1, Math.floor(SIDE / Math.max(height, width)));
  const sheet = new Sheet(image, scale);
  const seen = make("canvas", { width, height, class: "seen", role: "img" });
  seen.setAttribute("aria-label", `What the model gets: ${height} × ${width} pixels`);
  const refresh = () => paint(seen, sheet.shares(), image);
  const finished = () => { refresh(); onStroke(); };
  wirePointer(sheet, refresh, finished);
  const mark = make("span", { class: "mark", hidden: true });
  wireKeys(sheet, mark, refresh, finished);
  const clear = () => { sheet.clear(); refresh(); };
  clear();
  const element = make("div", { class: "drawing" },
    make("div", { class: "sheet" }, make("div", { class: "board" }, sheet.canvas, mark),
      make("p", { class: "hint", id: "draw-hint" },
        "Draw big. With keys: arrows move, space inks, backspace clears.")),
    make("div", { class: "sees" }, seen, make("span", { class: "hint" }, "what the model sees"),
      make("button", { type: "button", class: "small", onclick: clear }, "Clear")));
  return {
    element,
    read: () => {
      if (sheet.isEmpty) throw new Error("Draw something first.");
      const shares = sheet.shares();
      const value = nested(image, (y, x) => asLevel(image, shares[y * width + x]));
      return { inputs: { [spec.name]: value } };
    },
    fill: (example) => {
      if (String(extent(image, example)) !== String([height, width])) return;
      const level = levels(image, example);
      sheet.clear();
      for (let y = 0; y < height; y += 1) {
        for (let x = 0; x < width; x += 1) sheet.ink(x, y, asLevel(image, level(y, x, 0)));
      }
      refresh();
    },
  };
}

/** Share of ink <-> share of the range of values: they differ where the paper is the high value. */
function asLevel(image, share) {
  return image.paper > image.low ? 1 - share : share;
}

/** The canvas: white ink on black, or black on white, as the model knows it. */
class Sheet {
  constructor(image, scale) {
    this.image = image;
    this.scale = scale;
    this.isEmpty = true;
    this.cursor = [Math.floor(image.width / 2), Math.floor(image.height / 2)];
    this.onWhite = image.paper > image.low;
    this.canvas = make("canvas", {
      width: image.width * scale, height: image.height * scale, class: "draw", tabindex: "0",
      role: "application", "aria-label": "Drawing", "aria-describedby": "draw-hint",
    });
    this.context = this.canvas.getContext("2d", { willReadFrequently: true });
  }

  color(share) {
    const bright = Math.round(255 * (this.onWhite ? 1 - share : share));
    return `rgb(${bright} ${bright} ${bright})`;
  }

  clear() {
    this.context.fillStyle = this.color(0);
    this.context.fillRect(0, 0, this.canvas.width, this.canvas.height);
    this.isEmpty = true;
  }

  /** One of the model's pixels. */
  ink(x, y, share) {
    this.context.fillStyle = this.color(share);
    this.context.fillRect(x * this.scale, y * this.scale, this.scale, this.scale);
    this.isEmpty = this.isEmpty && share === 0;
  }

  line(from, to) {
    const { context, scale, image } = this;
    context.strokeStyle = this.color(1);
    context.lineWidth = scale * Math.max(1.25, Math.max(image.height, image.width) / 12);
    context.lineCap = context.lineJoin = "round";
    context.beginPath();
    context.moveTo(...from);
    context.lineTo(...to);
    context.stroke();
    this.isEmpty = false;
  }

  /** Where on the canvas an event is, in its own pixels. */
  place(event) {
    const box = this.canvas.getBoundingClientRect();
    return [
      ((event.clientX - box.left) / box.width) * this.canvas.width,
      ((event.clientY - box.top) / box.height) * this.canvas.height,
    ];
  }

  /** Shares of ink, 0 to 1, row by row. */
  shares() {
    const { scale, canvas, image } = this;
    const { data } = this.context.getImageData(0, 0, canvas.width, canvas.height);
    const sums = new Float64Array(image.height * image.width);
    for (let y = 0; y < canvas.height; y += 1) {
      const row = Math.floor(y / scale) * image.width;
      for (let x = 0; x < canvas.width; x += 1) {
        sums[row + Math.floor(x / scale)] += data[4 * (y * canvas.width + x)];
      }
    }
    const most = 255 * scale * scale;
    return sums.map((sum) => (this.onWhite ? 1 - sum / most : sum / most));
  }
}

function paint(canvas, shares, image) {
  const context = canvas.getContext("2d");
  const pixels = context.createImageData(image.width, image.height);
  shares.forEach((share, index) => {
    pixels.data.fill(255 * asLevel(image, share), 4 * index, 4 * index + 3);
    pixels.data[4 * index + 3] = 255;
  });
  context.putImageData(pixels, 0, 0);
}

function wirePointer(sheet, moved, finished) {
  const { canvas } = sheet;
  let last = null;
  canvas.addEventListener("pointerdown", (event) => {
    if (event.button !== 0) return;
    canvas.setPointerCapture(event.pointerId);
    last = sheet.place(event);
    sheet.line(last, last);
    moved();
  });
  canvas.addEventListener("pointermove", (event) => {
    if (!last) return;
    const steps = event.getCoalescedEvents?.() ?? [];
    for (const each of steps.length ? steps : [event]) {
      const next = sheet.place(each);
      sheet.line(last, next);
      last = next;
    }
    moved();
  });
  for (const kind of ["pointerup", "pointercancel"]) {
    canvas.addEventListener(kind, () => {
      if (last) finished();
      last = null;
    });
  }
}

const MOVES = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };

function wireKeys(sheet, mark, moved, finished) {
  const { canvas, image } = sheet;
  const show = (shown) => {
    const [x, y] = sheet.cursor;
    mark.hidden = !shown;
    mark.style.left = `${(100 * x) / image.width}%`;
    mark.style.top = `${(100 * y) / image.height}%`;
    mark.style.width = `${100 / image.width}%`;
    mark.style.height = `${100 / image.height}%`;
    canvas.setAttribute("aria-label", `Drawing, column ${x + 1}, row ${y + 1}`);
  };
  canvas.addEventListener("blur", () => show(false));
  canvas.addEventListener("keydown", (event) => {
    const [x, y] = sheet.cursor;
    if (MOVES[event.key]) {
      const [right, down] = MOVES[event.key];
      sheet.cursor = [clamp(x + right, image.width), clamp(y + down, image.height)];
      show(true);
    } else if (event.key === " ") {
      sheet.ink(x, y, 1);
      finished();
    } else if (event.key === "Backspace" || event.key === "Delete") {
      sheet.clear();
      moved();
    } else {
      return;
    }
    event.preventDefault();
  });
}

const clamp = (value, count) => Math.min(count - 1, Math.max(0, value));
