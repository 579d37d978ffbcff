// Giving a picture: chosen, or dropped. It is brought to the model's size and values here; where the
// model takes colour of any size, the file is sent as it is.

import { make } from "./dom.js";
import { typeOf } from "./fields.js";
import { extent, levels, nested } from "./specs.js";

const MOST_NUMBERS = 1 << 20; // of a picture sent as JSON

/** The way "picture": {element, read, fill}; `onReady` is called when one was chosen. */
export function picture(spec, image, onReady) {
  const isFree = !image.height || !image.width;
  const shown = make("canvas", { class: "shown", role: "img", "aria-label": "No picture yet" });
  const told = make("p", { class: "hint" }, isFree
    ? "PNG, JPEG, WebP or BMP, of any size."
    : `PNG, JPEG, WebP or BMP; cut and scaled to ${image.width} × ${image.height} here.`);
  const invert = make("input", { type: "checkbox", onchange: () => show() });
  let chosen = null; // {bitmap, file} or {example}

  const show = () => {
    if (!chosen?.bitmap) return;
    const [width, height] = isFree ? within(chosen.bitmap) : [image.width, image.height];
    [shown.width, shown.height] = [width, height];
    cover(shown.getContext("2d"), chosen.bitmap, width, height);
    if (image.channels === 1 || invert.checked) recolor(shown, image.channels === 1, invert.checked);
  };
  const take = async (file) => {
    try {
      chosen = { bitmap: await createImageBitmap(file), file };
    } catch {
      told.textContent = `${file.name} is no picture that this browser reads.`;
      return;
    }
    told.textContent = `${file.name}, ${chosen.bitmap.width} × ${chosen.bitmap.height}`;
    shown.setAttribute("aria-label", file.name);
    invert.checked = false;
    show();
    invert.checked = !isFree && image.channels === 1 && paperIsWrong(shown, image);
    if (invert.checked) show();
    onReady();
  };

  const asked = make("input", {
    type: "file", accept: "image/png,image/jpeg,image/webp,image/bmp", "aria-label": "Picture",
    onchange: () => asked.files[0] && take(asked.files[0]),
  });
  const area = make("div", { class: "drop" }, shown,
    make("div", { class: "chooser" },
      make("label", { class: "button" }, "Choose a picture", asked),
      make("span", { class: "hint" }, "or drop one here"), told,
      !isFree && image.channels === 1 && make("label", { class: "check" }, invert, "Invert")));
  droppable(area, take);

  return {
    element: area,
    read: () => {
      if (!chosen) throw new Error("Choose a picture first.");
      if (chosen.example) return { inputs: { [spec.name]: chosen.example } };
      const type = typeOf(chosen.file.name);
      if (isFree && image.channels === 3 && type && !invert.checked) {
        return { content: chosen.file, type };
      }
      return fitted(spec, { ...image, height: shown.height, width: shown.width }, shown);
    },
    fill: (example) => {
      const [height, width] = extent(image, example);
      [shown.width, shown.height] = [width, height];
        drawLevels(shown, levels(image, example), image.channels);
      chosen = { example };
      told.textContent = `The example, ${width} × ${height}`;
      shown.setAttribute("aria-label", "The example");
    },
  };
}

/** Let files be dropped on an element. */
export function droppable(element, take) {
  const over = (is) => (event) => {
    event.preventDefault();
    element.classList.toggle("over", is);
  };
  element.addEventListener("dragover", over(true));
  element.addEventListener("dragleave", over(false));
  element.addEventListener("drop", (event) => {
    over(false)(event);
    if (event.dataTransfer.files[0]) take(event.dataTransfer.files[0]);
  });
}

/** The canvas as the model's values; as a file where JSON would be long. */
async function fitted(spec, image, canvas) {
  const { width, height, channels } = image;
  const isBytes = image.low === 0 && image.high === 255 && image.layout === "hwc" && channels === 3;
  if (width * height * channels > MOST_NUMBERS && isBytes) {
    const content = await new Promise((resolve) => canvas.toBlob(resolve, "image/png"));
    return { content, type: "image/png" };
  }
  const { data } = canvas.getContext("2d").getImageData(0, 0, width, height);
  const level = (y, x, c) => data[4 * (y * width + x) + c] / 255;
  return { inputs: { [spec.name]: nested(image, level) } };
}

/** Fill the canvas with the middle of a picture, on white where it is transparent. */
function cover(context, bitmap, width, height) {
  const scale = Math.max(width / bitmap.width, height / bitmap.height);
  const [w, h] = [bitmap.width * scale, bitmap.height * scale];
  context.fillStyle = "white";
  context.fillRect(0, 0, width, height);
  context.imageSmoothingQuality = "high";
  context.drawImage(bitmap, (width - w) / 2, (height - h) / 2, w, h);
}

function within(bitmap) {
  const scale = Math.min(1, 512 / Math.max(bitmap.width, bitmap.height));
  return [bitmap.width, bitmap.height].map((size) => Math.max(1, Math.round(size * scale)));
}

function recolor(canvas, toGrey, inverted) {
  const context = canvas.getContext("2d");
  const pixels = context.getImageData(0, 0, canvas.width, canvas.height);
  const { data } = pixels;
  for (let at = 0; at < data.length; at += 4) {
    if (toGrey) {
      const grey = 0.299 * data[at] + 0.587 * data[at + 1] + 0.114 * data[at + 2];
      data.fill(grey, at, at + 3);
    }
    for (let c = at; inverted && c < at + 3; c += 1) data[c] = 255 - data[c];
  }
  context.putImageData(pixels, 0, 0);
}

/** Whether a grey picture has dark corners where the model knows bright ones, or the other way. */
function paperIsWrong(canvas, image) {
  const context = canvas.getContext("2d");
  const [right, bottom] = [canvas.width - 1, canvas.height - 1];
  const corners = [[0, 0], [right, 0], [0, bottom], [right, bottom]];
  const sum = corners.reduce((all, [x, y]) => all + context.getImageData(x, y, 1, 1).data[0], 0);
  return sum / corners.length > 127 !== image.paper > image.low;
}

function drawLevels(canvas, level, channels) {
  const context = canvas.getContext("2d");
  const pixels = context.createImageData(canvas.width, canvas.height);
  for (let y = 0; y < canvas.height; y += 1) {
    for (let x = 0; x < canvas.width; x += 1) {
      const at = 4 * (y * canvas.width + x);
      for (let c = 0; c < 3; c += 1) pixels.data[at + c] = 255 * level(y, x, channels === 1 ? 0 : c);
      pixels.data[at + 3] = 255;
    }
  }
  context.putImageData(pixels, 0, 0);
}
