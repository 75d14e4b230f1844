// Shows an answer: bars with the prediction set marked, or a value with its interval; whether to trust it; who made it.

import { copyButton, element } from "./dom.js";
import { level, milliseconds, percent, plain, short, ticks } from "./formats.js";

const MOST_BARS = 12;

export class AnswerView {
  #contract;
  #picture;
  #announcing = 0;

  constructor(contract) {
    this.#contract = contract;
    this.#picture = contract.output.kind === "classes" ? new Bars(contract) : new Line(contract);
    this.headline = element("p", { class: "headline" });
    this.subline = element("p", { class: "subline" });
    this.trust = element("div", { class: "trust" });
    this.maker = element("p", { class: "maker" });
    this.fault = element("p", { class: "fault", role: "alert" });
    this.spoken = element("p", { class: "unseen", "aria-live": "polite" });
    this.title = element("h2", { id: "answer-title" }, "The answer");
    this.node = element("section", { class: "card answer", "aria-labelledby": "answer-title" }, this.title, this.headline, this.subline, this.#picture.node,
      this.trust, this.fault, this.maker, this.spoken);
  }

  /** Show what the gateway answered, what the data says instead where that is known, and how long it took. */
  show(answer, truth, took) {
    const [prediction] = answer.predictions;
    const isClass = this.#contract.output.kind === "classes";
    this.node.classList.remove("stale");
    this.title.textContent = "The answer";
    this.fault.textContent = "";
    this.headline.replaceChildren(...(isClass ? classHeadline(prediction) : valueHeadline(prediction)));
    this.subline.textContent = isClass ? setWords(prediction) : intervalWords(prediction);
    this.#picture.show(prediction, truth);
    this.trust.replaceChildren(...trustWords(prediction, this.#contract.domain));
    this.node.classList.toggle("outside", prediction.in_domain === false);
    const { name, version, digest } = answer.model;
    this.maker.replaceChildren(
      `${name} · version ${version} · `, element("code", { title: digest }, short(digest)), " ",
      copyButton("Copy the digest", () => digest), element("span", { class: "took" }, milliseconds(took)));
    this.#announce(`${this.headline.textContent}. ${this.subline.textContent} ${prediction.in_domain === false ? "Unlike the training data." : ""}`);
  }

  /** Nothing is known of what is asked now; the last answer stays, in grey. */
  refuse(words) {
    this.node.classList.add("stale");
    this.title.textContent = "The last answer";
    this.fault.textContent = words;
  }

  /** For screen readers: once things are calm. */
  #announce(words) {
    clearTimeout(this.#announcing);
    this.#announcing = setTimeout(() => { this.spoken.textContent = words; }, 700);
  }
}

const classHeadline = ({ class_name: name, probability }) => [element("strong", {}, name), " ", element("span", {}, percent(probability))];

const valueHeadline = ({ value, unit }) => [element("strong", {}, plain(value)), " ", element("span", {}, unit)];

function setWords({ prediction_set: set }) {
  if (!set) return "";
  const names = set.class_names;
  return `${level(set.level)} set: ${names.length > 1 ? names.join(", ") : names.length ? `${names[0]} alone` : "empty, the model is sure of no class"}`;
}

function intervalWords({ interval }) {
  return interval ? `${level(interval.level)} interval: ${plain(interval.low)} to ${plain(interval.high)}` : "";
}

/** What a set or an interval is worth, in a line of its own. */
const promise = (words) => element("span", { class: "promise" }, `The ${words} of inputs like those of training.`);

function trustWords({ in_domain: isIn, domain_score: score }, domain) {
  if (isIn === undefined) return [];
  const meter = element("div", { class: "meter", "aria-hidden": "true" }, element("span"));
  meter.firstChild.style.width = `${Math.min(100, (score / (2 * domain.threshold)) * 100)}%`;
  const words = isIn ? "Like the training data" : "Unlike the training data: what the model says here may mean nothing";
  return [
    element("p", { class: isIn ? "inside" : "warning" }, words), meter,
    element("p", { class: "hint", title: domain.description }, `domain score ${plain(score)}, up to ${plain(domain.threshold)} is ordinary`),
  ];
}

/** A bar for each class, where it always is; of very many classes the most probable. */
class Bars {
  constructor({ output }) {
    this.classes = output.class_names;
    this.level = output.prediction_set?.level;
    this.list = element("ul", { class: "bars" });
    this.rows = Array.from({ length: Math.min(MOST_BARS, this.classes.length) }, () => {
      const [name, fill, share] = [element("span", { class: "name" }), element("span", { class: "fill" }), element("span", { class: "share" })];
      const node = element("li", {}, name, element("span", { class: "track" }, fill), share);
      this.list.append(node);
      return { node, name, fill, share };
    });
    const key = this.level === undefined ? null : element("p", { class: "key-line hint" },
      element("span", { class: "swatch in-set" }), `in the ${level(this.level)} set`, element("span", { class: "swatch" }), "not in it",
      promise(`set holds the true class of ${level(this.level)}`));
    this.node = element("div", {}, this.list, key);
  }

  show({ probabilities, prediction_set: set, class_name: best }, truth) {
    const inSet = new Set(set ? set.class_names : [best]);
    const truthName = truth === null ? null : this.classes[truth];
    let shown = this.classes;
    if (shown.length > MOST_BARS) shown = [...shown].sort((a, b) => probabilities[b] - probabilities[a]).slice(0, MOST_BARS);
    shown.forEach((name, i) => {
      const row = this.rows[i];
      row.name.replaceChildren(name, ...(name === truthName ? [element("span", { class: "truth" }, "truth")] : []));
      row.fill.style.width = `${100 * probabilities[name]}%`;
      row.share.textContent = percent(probabilities[name]);
      row.node.classList.toggle("in-set", inSet.has(name));
    });
  }
}

/** A value on a line, its interval as a band; the line spans what the contract's own goldens span, and the answer. */
class Line {
  constructor({ output, goldens }) {
    const tensors = [output.tensor, ...(output.interval ? [output.interval.low, output.interval.high] : [])];
    const values = goldens.flatMap((golden) => [...tensors.map((tensor) => golden.answer[tensor][0]), ...(golden.truth == null ? [] : [golden.truth])]);
    this.range = [Math.min(...values), Math.max(...values)];
    this.band = element("span", { class: "band" });
    this.dot = element("span", { class: "dot" });
    this.truth = element("span", { class: "diamond", hidden: true });
    this.scale = element("div", { class: "scale", "aria-hidden": "true" });
    this.legend = element("p", { class: "key-line hint" });
    this.node = element("div", {}, element("div", { class: "line", "aria-hidden": "true" }, this.band, this.truth, this.dot), this.scale, this.legend);
  }

  show({ value, interval }, truth) {
    const known = [value, ...(interval ? [interval.low, interval.high] : []), ...(truth === null ? [] : [truth])];
    const low = Math.min(this.range[0], ...known);
    const high = Math.max(this.range[1], ...known);
    const margin = (high - low || 1) * 0.04;
    const at = (x) => `${(100 * (x - low + margin)) / (high - low + 2 * margin)}%`;
    this.dot.style.left = at(value);
    this.band.hidden = !interval;
    if (interval) {
      this.band.style.left = at(interval.low);
      this.band.style.right = `calc(100% - ${at(interval.high)})`;
    }
    this.truth.hidden = truth === null;
    if (truth !== null) this.truth.style.left = at(truth);
    this.scale.replaceChildren(...ticks(low, high).map((tick) => {
      const label = element("span", {}, plain(tick));
      label.style.left = at(tick);
      return label;
    }));
    this.legend.replaceChildren(...[
      element("span", { class: "swatch round" }), "estimate",
      ...(interval ? [element("span", { class: "swatch band-key" }), `${level(interval.level)} interval`] : []),
      ...(truth === null ? [] : [element("span", { class: "swatch diamond-key" }), `truth ${plain(truth)}`]),
      ...(interval ? [promise(`interval holds the true value of ${level(interval.level)}`)] : []),
    ]);
  }
}
