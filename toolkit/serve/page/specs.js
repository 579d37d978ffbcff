// What a model's inputs are to people: a picture, a text, numbers. Decisions only, no elements.

const MOST_DRAWN = 96; // pixels of a side; more cannot be drawn with a mouse
const TYPES = {
  float16: "FP16", float32: "FP32", float64: "FP64", bool: "BOOL", str: "BYTES",
  int8: "INT8", int16: "INT16", int32: "INT32", int64: "INT64",
  uint8: "UINT8", uint16: "UINT16", uint32: "UINT32", uint64: "UINT64",
};

/** The Open Inference Protocol's name of a dtype. */
export const datatype = (dtype) => TYPES[dtype] ?? dtype.toUpperCase();

/** Ways to give an input, the best first: draw, picture, text, numbers, file, json. */
export function waysOf(version) {
  if (version.inputs.length !== 1) return ["json"];
  const [spec] = version.inputs;
  if (spec.dtype === "str") return ["text", "file"];
  const image = imageOf(spec, version.example?.[spec.name]);
  if (!image) return ["numbers", "file"];
  const drawn = image.channels === 1 && image.height && image.width &&
    Math.max(image.height, image.width) <= MOST_DRAWN;
  return drawn ? ["draw", "picture", "json", "file"] : ["picture", "json", "file"];
}

/**
 * How an input is a picture, or null: height, width (null where free), channels, layout ("hwc",
 * "chw" or "hw"), and values: low, high, paper (of an empty background), whole (integers only).
 */
export function imageOf(spec, example) {
  const found = layoutOf(spec.shape.slice(1));
  if (!found || !/^(float|u?int)/.test(spec.dtype)) return null;
  return { ...found, ...valuesOf(spec, example, found) };
}

function layoutOf(shape) {
  const isSide = (size) => size === null || size >= 4;
  const [a, b, c] = shape;
  if (shape.length === 3 && [1, 3].includes(c) && isSide(a) && isSide(b)) {
    return { height: a, width: b, channels: c, layout: "hwc" };
  }
  if (shape.length === 3 && [1, 3].includes(a) && isSide(b) && isSide(c)) {
    return { height: b, width: c, channels: a, layout: "chw" };
  }
  if (shape.length === 2 && a === b && a >= 8) {
    return { height: a, width: b, channels: 1, layout: "hw" };
  }
  return null;
}

/** The range of the example's values: 0 to 16 for one model, 0 to 255 or -1 to 1 for another. */
function valuesOf(spec, example, { layout }) {
  const whole = /^u?int/.test(spec.dtype);
  const known = example ? flat(example) : [];
  if (known.length === 0) return { low: 0, high: whole ? 255 : 1, paper: 0, whole };
  let [low, high] = [Infinity, -Infinity];
  for (const value of known) {
    low = Math.min(low, value);
    high = Math.max(high, value);
  }
  if (low >= 0) {
    low = 0;
    high = [1, 255].find((most) => high <= most && high > 0.75 * most) ?? (high || 1);
  }
  const corners = layout === "chw" ? cornersOf(example[0][0]) : cornersOf(example[0]);
  const paper = middle(corners) > (low + high) / 2 ? high : low;
  return { low, high, paper, whole };
}

function cornersOf(rows) {
  const ends = [rows[0], rows[rows.length - 1]];
  return ends.flatMap((row) => flat([row[0], row[row.length - 1]]));
}

function middle(values) {
  return [...values].sort((a, b) => a - b)[Math.floor(values.length / 2)];
}

/** All numbers of lists in lists. */
export function flat(value) {
  return Array.isArray(value) ? value.flat(Infinity) : [value];
}

/** Lists in lists of a picture, one sample, from shares of ink at [row][column][channel], 0 to 1. */
export function nested(image, level) {
  const value = (share) => {
    const exact = image.low + share * (image.high - image.low);
    return image.whole ? Math.round(exact) : Number(exact.toFixed(4));
  };
  const at = (row, column, channel) => value(level(row, column, channel));
  const list = (count, make) => Array.from({ length: count }, (_, index) => make(index));
  const { height, width, channels, layout } = image;
  if (layout === "hw") return [list(height, (y) => list(width, (x) => at(y, x, 0)))];
  if (layout === "chw") {
    return [list(channels, (c) => list(height, (y) => list(width, (x) => at(y, x, c))))];
  }
  return [list(height, (y) => list(width, (x) => list(channels, (c) => at(y, x, c))))];
}

/** The other way: (row, column, channel) -> 0 to 1, of an example of a picture. */
export function levels(image, example) {
  const [sample] = example;
  const share = (value) => Math.min(1, Math.max(0, (value - image.low) / (image.high - image.low)));
  if (image.layout === "hw") return (y, x) => share(sample[y][x]);
  if (image.layout === "chw") return (y, x, c) => share(sample[c][y][x]);
  return (y, x, c) => share(sample[y][x][c]);
}

/** Height and width of an example of a picture. */
export function extent(image, example) {
  const [sample] = example;
  const rows = image.layout === "chw" ? sample[0] : sample;
  return [rows.length, rows[0].length];
}

/** A sample where the model has none of its own: zeros, one where a size is free. */
export function zeros(version) {
  const filled = ([size, ...rest], zero) => (
    size === undefined ? zero : Array.from({ length: size ?? 1 }, () => filled(rest, zero)));
  const zero = { str: "a text", bool: false };
  return Object.fromEntries(version.inputs.map(
    ({ name, shape, dtype }) => [name, filled(shape, zero[dtype] ?? 0)]));
}
