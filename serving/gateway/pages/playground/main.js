// The playground: a tab for each model that the gateway lists, and a view that is made of the contract of the chosen one.

import { AboutView } from "./about.js";
import { AnswerView } from "./answer.js";
import { Problem, json, mayPass, modelPath, useKey } from "./api.js";
import { Asking } from "./asking.js";
import { choose, element, tabList } from "./dom.js";
import { FeatureInput } from "./features.js";
import { PictureInput } from "./picture.js";
import { RequestView, verbOf } from "./request.js";
import { Watch } from "./status.js";

const INSTANCE = "/instances/0"; // where the gateway's pointers into what is asked here begin

const at = (id) => document.getElementById(id);
let doors = { grpc_port: 8081, tls: location.protocol === "https:", needs_key: false };
let view = null; // of the model that is shown
let wanted = ""; // the name of the model whose tab is chosen
let opening = null; // "name version" while its contract is on its way

/** One model's page: its input, its answer, its request. */
class ModelView {
  #mayPass = false; // what was refused
  #answered = null; // the input as it was when what is answered was asked

  constructor(contract, listed) {
    this.name = contract.name;
    this.asking = new Asking(() => this.#ask());
    this.request = new RequestView();
    const Input = contract.input.kind === "image" ? PictureInput : FeatureInput;
    this.input = new Input(contract, () => this.asking.ask());
    this.lead = element("p", { class: "lead" });
    this.node = element("div", { class: `model ${contract.input.kind}` }, this.lead, this.input.node, this.input.more, this.request.node);
    this.tell(contract, listed);
  }

  /** Tell of this version, whose input is what it was: what is typed, drawn or chosen there stays, and the focus. */
  tell(contract, listed) {
    this.contract = contract;
    this.version = listed.version;
    this.lead.textContent = contract.description;
    this.answer?.node.remove();
    this.about?.node.remove();
    this.answer = new AnswerView(contract);
    this.about = new AboutView(contract, listed);
    this.input.node.after(this.answer.node);
    this.node.append(this.about.node);
  }

  /** Ask at once. */
  ask() { this.asking.ask({ now: true }); }

  /** What was refused because something was away is asked again; what was refused for its own sake is not. */
  retry() {
    if (this.#mayPass) this.ask();
  }

  leave() {
    this.asking.stop();
    this.input.leave();
  }

  async #ask() {
    const { instance, file, bytes, truth } = this.input;
    const began = performance.now();
    try {
      const answer = await json(`${modelPath(this.name)}:${verbOf(this.contract)}`, JSON.stringify({ instances: [instance] }));
      this.#accept(answer, { instance, file, bytes, truth }, performance.now() - began);
    } catch (error) {
      this.#refuse(error);
    }
  }

  /** Write "the same request": the one that was answered, by the doors that are known now. */
  writeRequest() {
    if (this.#answered) this.request.show(this.contract, this.#answered, doors);
  }

  #accept(answer, asked, took) {
    this.#mayPass = false;
    this.#answered = asked;
    this.input.showFaults([]);
    this.answer.show(answer, asked.truth, took);
    this.writeRequest();
    if (!performance.getEntriesByName("first-answer").length) performance.mark("first-answer");
  }

  /** A fault is told at the field its pointer names; what has none, and what went wrong otherwise, beside the answer. */
  #refuse(error) {
    this.#mayPass = mayPass(error);
    const faults = (error.faults ?? []).map((fault) => ({ ...fault, pointer: fault.pointer.replace(INSTANCE, "") }));
    const rest = this.input.showFaults(faults);
    const words = rest.length || !faults.length ? [error.message] : [`${error.title}: see the marked ${faults.length > 1 ? "fields" : "field"}.`];
    this.answer.refuse(words.join(" "));
    if (error instanceof Problem && error.status === 401) watch.look();
  }
}

// --- the models ------------------------------------------------------------------------------------------------------

/** After each look at the gateway. */
function follow({ models, needsKey, isReady, reasons }) {
  showTrouble(isReady, reasons);
  at("key").hidden = !needsKey;
  if (!models) return;
  if (!models.some((model) => model.name === wanted)) wanted = nameFromAddress(models) ?? models[0]?.name ?? "";
  showTabs(models);
  const listed = models.find((model) => model.name === wanted);
  if (listed) open(listed);
}

function nameFromAddress(models) {
  const name = nameInAddress();
  return models.find((model) => model.name === name)?.name;
}

/** What the address says, "" where that is no name at all: `#100%`. */
function nameInAddress() {
  try {
    return decodeURIComponent(location.hash.slice(1));
  } catch {
    return "";
  }
}

/** Show a model's view, of the version that is on offer now. */
async function open(listed) {
  const isShown = view?.name === listed.name && view.version === listed.version;
  if (isShown) {
    view.about.follow(listed);
    view.retry();
    return;
  }
  const isLeft = view && view.name !== listed.name;
  if (!listed.version) {
    if (isLeft || !view) show(null, element("p", { class: "card hint" }, `${listed.name} is not on offer: ${listed.reason}`));
    return;
  }
  const key = `${listed.name} ${listed.version}`;
  if (opening === key) return;
  opening = key;
  try {
    const contract = await json(`${modelPath(listed.name)}/versions/${listed.version}/metadata`);
    if (wanted === listed.name) {
      if (view?.name === listed.name && inputOf(view.contract) === inputOf(contract)) view.tell(contract, listed);
      else show(new ModelView(contract, listed));
      view.ask();
    }
  } catch (error) {
    if (!view || isLeft) show(null, element("p", { class: "card fault" }, error.message));
  } finally {
    opening = null;
  }
}

/** All that the input on the page is made of: fields or board, samples, and the names and units of what they are. */
function inputOf({ input, goldens, output }) {
  return JSON.stringify([input, goldens.map(({ instance, truth }) => [instance, truth]), output.class_names, output.unit]);
}

function show(next, node = next.node) {
  view?.leave();
  view = next;
  at("model").replaceChildren(node);
}

function showTabs(models) {
  const list = at("models");
  const known = new Map([...list.children].map((tab) => [tab.dataset.model, tab]));
  for (const model of models) {
    const tab = known.get(model.name) ?? list.appendChild(newTab(model.name));
    known.delete(model.name);
    tab.querySelector(".lamp").className = `lamp ${model.version ? "on" : "off"}`;
    tab.querySelector("small").textContent = model.version ? `${model.task} · version ${model.version}` : "not on offer";
    choose(tab, model.name === wanted);
  }
  for (const tab of known.values()) tab.remove();
}

function newTab(name) {
  const pick = () => {
    wanted = name;
    history.replaceState(null, "", `#${encodeURIComponent(name)}`);
    for (const tab of at("models").children) choose(tab, tab.dataset.model === name);
    watch.look();
  };
  return element("button", { type: "button", role: "tab", class: "tab", "aria-controls": "model", "data-model": name, click: pick },
    element("span", { class: "lamp" }), element("span", {}, name), element("small"));
}

function showTrouble(isReady, reasons) {
  const words = isReady === null ? ["The gateway does not answer."] : reasons.map(([name, reason]) => `${name}: ${reason}.`);
  const node = at("trouble");
  const text = words.length ? `${words.join(" ")} Looking again every second.` : "";
  if (node.textContent !== text) node.textContent = text; // an alert is read out whenever it changes
  node.hidden = !words.length;
}

at("key").addEventListener("submit", async (event) => {
  event.preventDefault();
  useKey(at("key-field").value);
  await watch.look();
  at("key-fault").textContent = at("key").hidden ? "" : "The gateway does not know this key.";
});

addEventListener("hashchange", () => {
  const name = nameInAddress();
  [...at("models").children].find((tab) => tab.dataset.model === name)?.click();
});

document.querySelector(".skip").addEventListener("click", (event) => {
  event.preventDefault(); // the address goes on naming the model
  at("model").focus();
});

tabList(at("models"));
const watch = new Watch(at("status"), follow);
json("playground/doors.json").then((told) => {
  doors = told;
  view?.writeRequest();
}, () => {});
watch.start();
