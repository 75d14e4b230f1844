// The input of a model that takes named numbers: a field and a slider each, and a map where two of them are a place.

import { colour, element, isBrowsers, newId, redrawn, sharp } from "./dom.js";
import { plain } from "./formats.js";
import { PlaceMap } from "./map.js";
import { firstSample } from "./samples.js";

export class FeatureInput {
  #fields = new Map(); // name → Field
  #changed;
  #sample = null;
  #map = null;

  constructor(contract, changed) {
    this.#changed = changed;
    const { features, place } = contract.input;
    for (const feature of features) this.#fields.set(feature.name, new Field(feature, () => this.#edited()));
    const fields = element("div", { class: "fields" }, features.map((feature) => this.#fields.get(feature.name).node));
    const samples = this.#samples(contract);
    if (place) {
      this.#map = new PlaceMap(place, contract.output.unit ?? "", (latitude, longitude) => {
        this.#fields.get(place.latitude).set(latitude);
        this.#fields.get(place.longitude).set(longitude);
        this.#edited();
      });
      this.#showPlace = () => this.#map.show(this.#number(place.latitude), this.#number(place.longitude));
      this.node = element("div", { class: "stack" }, card("Pick a place", this.#map.node), samples);
      this.more = card("Say what is there", fields);
    } else {
      this.node = card("Set the features", fields);
      this.more = samples;
    }
    this.use(firstSample(contract));
  }

  get instance() { return Object.fromEntries([...this.#fields].map(([name, field]) => [name, field.value])); }

  file = null;

  get truth() { return this.#sample?.truth ?? null; }

  leave() {}

  /** Shows each fault at its field; gives back those that have none. */
  showFaults(faults) {
    const rest = new Set(faults);
    for (const [name, field] of this.#fields) {
      const own = faults.filter((fault) => fault.pointer === `/${name.replace(/~/g, "~0").replace(/\//g, "~1")}`);
      field.showFault(own.map((fault) => fault.detail).join("; "));
      own.forEach((fault) => rest.delete(fault));
    }
    return [...rest];
  }

  use(golden) {
    const values = Array.isArray(golden.instance)
      ? Object.fromEntries([...this.#fields.keys()].map((name, i) => [name, golden.instance[i]])) : golden.instance;
    for (const [name, field] of this.#fields) field.set(values[name]);
    this.#set(golden);
  }

  #showPlace = () => {};

  #number(name) { return typeof this.#fields.get(name).value === "number" ? this.#fields.get(name).value : NaN; }

  #edited() { this.#set(null); }

  #set(sample) {
    this.#sample = sample;
    for (const button of this.buttons) button.setAttribute("aria-pressed", String(button.golden === sample));
    this.#showPlace();
    this.#changed();
  }

  #samples(contract) {
    this.buttons = contract.goldens.map((golden, i) => {
      const name = golden.truth == null ? `sample ${i + 1}` : plain(golden.truth);
      const button = element("button", { type: "button", "aria-pressed": "false", click: () => this.use(golden) }, name);
      button.golden = golden;
      return button;
    });
    const unit = contract.goldens[0].truth == null ? "" : `, by its true value in ${contract.output.unit}`;
    return card(`Or a sample${unit}`, element("div", { class: "chips" }, this.buttons));
  }
}

const card = (title, ...content) => {
  const id = newId("title");
  return element("section", { class: "card", "aria-labelledby": id }, element("h2", { id }, title), content);
};

class Field {
  constructor(feature, edited) {
    this.feature = feature;
    [this.low, this.high] = sliderRange(feature);
    this.step = 10 ** Math.floor(Math.log10((this.high - this.low) / 200));
    const [field, about, fault] = ["field", "about", "fault"].map(newId);
    this.input = element("input", {
      id: field, inputmode: "decimal", autocomplete: "off", spellcheck: "false", "aria-describedby": `${about} ${fault}`,
      input: () => { this.#follow(); edited(); },
    });
    this.slider = element("input", {
      type: "range", min: this.low, max: this.high, step: "any", "aria-label": `${feature.name}, slider`, "aria-describedby": about,
      input: () => { this.set(+(Math.round(this.slider.value / this.step) * this.step).toPrecision(6)); edited(); },
      keydown: (event) => this.#key(event, edited),
    });
    this.curve = element("canvas", { class: "curve", "aria-hidden": "true" });
    this.fault = element("p", { class: "fault", id: fault, role: "status" });
    redrawn(this.curve, () => this.#draw());
    this.node = element("div", { class: "field" },
      element("div", { class: "field-head" },
        element("label", { for: field }, feature.name), this.input, element("span", { class: "unit" }, feature.unit)),
      element("div", { class: "slide" }, this.curve, this.slider),
      element("p", { class: "hint", id: about }, this.#about()), this.fault);
  }

  /** A number, or what was typed instead of one: the gateway says what is wrong with it. */
  get value() {
    const text = this.input.value.trim();
    const number = Number(text);
    return text === "" || !Number.isFinite(number) ? text : number;
  }

  set(value) {
    this.input.value = value;
    this.#follow();
  }

  showFault(words) {
    this.fault.textContent = words;
    this.input.setAttribute("aria-invalid", String(words !== ""));
  }

  #about() {
    const { description, minimum, maximum } = this.feature;
    const range = `in training ${plain(minimum)} to ${plain(maximum)}`;
    return description ? `${description}; ${range}` : range;
  }

  /** Arrow keys: a step of the number that is shown, not of a pixel. */
  #key(event, edited) {
    const steps = { ArrowUp: 1, ArrowRight: 1, ArrowDown: -1, ArrowLeft: -1, PageUp: 10, PageDown: -10 };
    if (!(event.key in steps) || isBrowsers(event)) return;
    event.preventDefault();
    const next = Math.min(this.high, Math.max(this.low, Number(this.slider.value) + steps[event.key] * this.step));
    this.set(+next.toPrecision(6));
    edited();
  }

  #follow() {
    const { value } = this;
    const { minimum, maximum } = this.feature;
    if (typeof value === "number") this.slider.value = value;
    this.node?.classList.toggle("outside", typeof value === "number" && (value < minimum || value > maximum));
    this.slider.setAttribute("aria-valuetext", `${value} ${this.feature.unit}`);
    this.#draw();
  }

  /** How the training values lie along the slider, and where the value is among them. */
  #draw() {
    if (!this.curve.clientWidth) return;
    const { context, width, height } = sharp(this.curve);
    const x = (value) => 8 + ((value - this.low) / (this.high - this.low)) * (width - 16); // half a thumb at either end
    const { quantiles } = this.feature;
    if (!quantiles) return;
    const bins = density(quantiles, this.low, this.high);
    const top = Math.max(...bins);
    const shape = new Path2D();
    shape.moveTo(x(this.low), height);
    bins.forEach((mass, i) => shape.lineTo(x(this.low + ((i + 0.5) / bins.length) * (this.high - this.low)), height - (mass / top) * (height - 2)));
    shape.lineTo(x(this.high), height);
    context.fillStyle = colour("curve");
    context.fill(shape);
    if (typeof this.value === "number") {
      context.save();
      context.beginPath();
      context.rect(0, 0, x(this.value), height);
      context.clip();
      context.fillStyle = colour("curve-below");
      context.fill(shape);
      context.restore();
    }
    context.fillStyle = colour("soft");
    context.fillRect(x(quantiles[quantiles.length >> 1]) - 0.5, 0, 1, height); // the median
  }
}

/** All of the training range, or its middle 96 % where a few extremes are far out; the field takes any number. */
function sliderRange({ minimum, maximum, quantiles }) {
  if (maximum <= minimum) return [minimum - 1, minimum + 1];
  if (!quantiles) return [minimum, maximum];
  const [low, high] = [quantiles[1], quantiles.at(-2)];
  return maximum - minimum > 4 * (high - low) && high > low ? [low, high] : [minimum, maximum];
}

/** The share of training values in each of some equal bins from low to high, a little smoothed. */
function density(quantiles, low, high, bins = 48) {
  const below = (value) => {
    const after = quantiles.findIndex((quantile) => quantile > value);
    if (after === -1) return 1;
    if (after === 0) return 0;
    const [from, to] = [quantiles[after - 1], quantiles[after]];
    return (after - 1 + (value - from) / (to - from)) / (quantiles.length - 1);
  };
  const edges = Array.from({ length: bins + 1 }, (_, i) => below(low + ((high - low) * i) / bins));
  const masses = edges.slice(1).map((edge, i) => edge - edges[i]);
  return masses.map((_, i) => {
    const near = masses.slice(Math.max(0, i - 2), i + 3);
    return near.reduce((sum, mass) => sum + mass) / near.length;
  });
}
