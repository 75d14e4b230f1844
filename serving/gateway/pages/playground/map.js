// The place of an instance, picked on a map that the contract draws from the training data: a cell, a median target.

import { colour, element, followed, isBrowsers, redrawn, sharp } from "./dom.js";
import { plain } from "./formats.js";

export class PlaceMap {
  #place;
  #picked; // {latitude, longitude}
  #onPick;

  constructor(place, unit, onPick) {
    this.#place = place;
    this.#onPick = onPick;
    this.rows = place.cells.length;
    this.columns = place.cells[0].length;
    const cell = Math.min(place.cell_height, place.cell_width);
    this.digits = Math.max(2, Math.ceil(-Math.log10(cell / 5))); // after the point: a cell has five places or more
    // A degree of longitude is shorter than one of latitude: on the ground cells are square.
    this.canvas = element("canvas", {
      class: "map", tabindex: "0", role: "application", "aria-label": "Map of the places in the training data",
      "aria-describedby": "map-keys", keydown: (event) => this.#key(event),
    });
    followed(this.canvas, (event) => this.#point(event));
    this.canvas.style.aspectRatio = `${this.columns} / ${this.rows}`;
    this.where = element("output", { class: "where" });
    this.node = element("div", { class: "map-frame" }, this.canvas, this.#legend(unit),
      element("p", { id: "map-keys", class: "hint" }, "Click, drag, or use the arrow keys (Shift: further)."));
    redrawn(this.canvas, () => this.#draw());
  }

  /** Mark a place; one that is no number is not marked. */
  show(latitude, longitude) {
    this.#picked = { latitude, longitude };
    this.where.textContent = [latitude, longitude].every(Number.isFinite)
      ? `${plain(Math.abs(latitude), this.digits + 2)}° ${latitude < 0 ? "S" : "N"}, ${plain(Math.abs(longitude), this.digits + 3)}° ${longitude < 0 ? "W" : "E"}` : "";
    this.#draw();
  }

  #legend(unit) {
    const { levels } = this.#place;
    const colours = element("canvas", { class: "ramp", "aria-hidden": "true" });
    redrawn(colours, () => {
      const { context, width, height } = sharp(colours);
      const ramp = shades(levels.length + 1);
      ramp.forEach((shade, i) => {
        context.fillStyle = shade;
        context.fillRect((i * width) / ramp.length, 0, width / ramp.length - 1, height);
      });
    });
    return element("div", { class: "legend" }, this.where,
      element("div", { class: "ramp-frame" }, element("span", {}, `< ${plain(levels[0])}`), colours,
        element("span", {}, `> ${plain(levels.at(-1))}`)),
      element("p", {}, `A dot: where training data lies; its colour: the median there, in ${unit}.`));
  }

  #pick(row, column) {
    const { north, west, cell_height: height, cell_width: width } = this.#place;
    const clamp = (value, most) => Math.min(Math.max(value, 0), most);
    const round = (value) => +value.toFixed(this.digits);
    this.#onPick(round(north - clamp(row, this.rows) * height), round(west + clamp(column, this.columns) * width));
  }

  get #at() {
    const { north, west, cell_height: height, cell_width: width } = this.#place;
    const { latitude, longitude } = this.#picked ?? {};
    if (![latitude, longitude].every(Number.isFinite)) return null;
    return { row: (north - latitude) / height, column: (longitude - west) / width };
  }

  #point(event) {
    const box = this.canvas.getBoundingClientRect();
    this.#pick(((event.clientY - box.top) / box.height) * this.rows, ((event.clientX - box.left) / box.width) * this.columns);
  }

  #key(event) {
    const step = { ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1] }[event.key];
    if (!step || isBrowsers(event)) return;
    event.preventDefault();
    const { row, column } = this.#at ?? { row: this.rows / 2, column: this.columns / 2 };
    const far = event.shiftKey ? 5 : 1;
    this.#pick(row + step[0] * far, column + step[1] * far);
  }

  #draw() {
    if (!this.canvas.clientWidth) return;
    const { context, width, height } = sharp(this.canvas);
    const size = width / this.columns;
    const ramp = shades(this.#place.levels.length + 1);
    this.#place.cells.forEach((line, row) => [...line].forEach((cell, column) => {
      if (!(cell in ramp)) return;
      context.fillStyle = ramp[cell];
      context.beginPath();
      context.arc((column + 0.5) * size, (row + 0.5) * size, size * 0.56, 0, 7);
      context.fill();
    }));
    if (this.#at) mark(context, this.#at.column * size, this.#at.row * size, width, height);
  }
}

/** Cross-hairs to the edges, and a ring where they meet. */
function mark(context, x, y, width, height) {
  context.strokeStyle = colour("accent");
  context.lineWidth = 1;
  context.globalAlpha = 0.55;
  context.beginPath();
  context.moveTo(0, y); context.lineTo(x - 9, y); context.moveTo(x + 9, y); context.lineTo(width, y);
  context.moveTo(x, 0); context.lineTo(x, y - 9); context.moveTo(x, y + 9); context.lineTo(x, height);
  context.stroke();
  context.globalAlpha = 1;
  for (const [name, line] of [["card", 6], ["accent", 3]]) {
    context.strokeStyle = colour(name);
    context.lineWidth = line;
    context.beginPath();
    context.arc(x, y, 7.5, 0, 7);
    context.stroke();
  }
}

/** So many colours, evenly from the ramp's first through its middle to its last. */
function shades(count) {
  const stops = ["ramp-low", "ramp-middle", "ramp-high"].map((name) => colour(name).match(/\w\w/g).map((part) => parseInt(part, 16)));
  return Array.from({ length: count }, (_, i) => {
    const at = (i / Math.max(1, count - 1)) * 2;
    const [from, to] = at < 1 ? [stops[0], stops[1]] : [stops[1], stops[2]];
    const share = at < 1 ? at : at - 1;
    return `rgb(${from.map((value, c) => Math.round(value + (to[c] - value) * share)).join(" ")})`;
  });
}
