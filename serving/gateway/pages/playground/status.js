// Looks at the gateway again and again: which models are on offer, why others are not, how much is asked and how fast.

import { Problem, Unreachable, json, send } from "./api.js";
import { element, redrawn, colour, sharp } from "./dom.js";
import { milliseconds, plain } from "./formats.js";

const CALM_MS = 2000;
const TROUBLED_MS = 1000;
const VERBS = /verb="(?:classify|regress|predict|infer)"/;
const KEPT = 40; // looks in the little curve

export class Watch {
  #tell;
  #last = null; // {at, requests, seconds, count}
  #rates = [];

  /** `tell({models, reasons})` after each look: the list, or null where it cannot be had; name → why not on offer. */
  constructor(node, tell) {
    this.#tell = tell;
    this.lamp = element("span", { class: "lamp" });
    this.state = element("span", { class: "state" }, "asking…");
    this.rate = element("strong", {}, "–");
    this.latency = element("strong", {}, "–");
    this.curve = element("canvas", { class: "spark", "aria-hidden": "true" });
    node.append(element("p", { role: "status" }, this.lamp, this.state), this.curve,
      element("p", {}, this.rate, " requests/s"), element("p", {}, this.latency, " mean, in the gateway"));
    redrawn(this.curve, () => this.#draw());
  }

  /** Look now, and go on looking, whatever comes of this look. */
  async start() {
    let isCalm = false;
    try {
      isCalm = await this.look();
    } finally {
      setTimeout(() => this.start(), isCalm ? CALM_MS : TROUBLED_MS);
    }
  }

  /** One look; whether all is well. */
  async look() {
    const [models, ready] = await Promise.all([listed(), readiness(), this.#measure()]);
    this.#tell({ ...models, ...ready });
    const isCalm = ready.isReady && models.models !== null;
    this.lamp.className = `lamp ${isCalm ? "on" : "off"}`;
    this.state.textContent = isCalm ? "ready" : ready.isReady === null ? "away" : models.needsKey ? "needs a key" : "not ready";
    return isCalm;
  }

  async #measure() {
    const now = await measured();
    const since = this.#last;
    this.#last = now;
    if (!now || !since || now.count < since.count) return;
    const seconds = (now.at - since.at) / 1000;
    if (seconds < 0.5) { this.#last = since; return; }
    const rate = (now.requests - since.requests) / seconds;
    this.rate.textContent = rate < 9.95 ? rate.toFixed(1) : plain(Math.round(rate));
    const answered = now.count - since.count;
    if (answered > 0) this.latency.textContent = milliseconds((1000 * (now.seconds - since.seconds)) / answered);
    this.#rates = [...this.#rates, rate].slice(-KEPT);
    this.#draw();
  }

  #draw() {
    if (!this.curve.clientWidth) return;
    const { context, width, height } = sharp(this.curve);
    const top = Math.max(1, ...this.#rates);
    const x = (i) => width - (this.#rates.length - 1 - i) * (width / (KEPT - 1));
    context.beginPath();
    this.#rates.forEach((rate, i) => context.lineTo(x(i), height - 1.5 - (rate / top) * (height - 3)));
    context.strokeStyle = colour("accent");
    context.lineWidth = 1.5;
    context.lineJoin = "round";
    context.stroke();
  }
}

async function listed() {
  try {
    return { models: (await json("v1/models")).models, needsKey: false };
  } catch (error) {
    if (error instanceof Problem) return { models: null, needsKey: error.status === 401 };
    if (error instanceof Unreachable) return { models: null, needsKey: false };
    throw error;
  }
}

/** Ready, and per model why not; isReady is null where the gateway itself does not answer. */
async function readiness() {
  try {
    const { ready, models } = await (await send("readyz")).json();
    return { isReady: ready, reasons: Object.entries(models).flatMap(([name, { reason }]) => (reason ? [[name, reason]] : [])) };
  } catch {
    return { isReady: null, reasons: [] };
  }
}

/** What /metrics says at this moment; null where it cannot be had whole. */
async function measured() {
  try {
    const response = await send("metrics");
    return response.ok ? { at: performance.now(), ...totals(await response.text()) } : null;
  } catch {
    return null;
  }
}

/** Predictions answered so far, and what they took, from Prometheus' text. */
function totals(text) {
  const sum = (name) => text.split("\n").filter((line) => line.startsWith(`${name}{`) && VERBS.test(line))
    .reduce((total, line) => total + Number(line.slice(line.lastIndexOf(" "))), 0);
  return {
    requests: sum("atelier_requests_total"),
    seconds: sum("atelier_request_duration_seconds_sum"),
    count: sum("atelier_request_duration_seconds_count"),
  };
}
