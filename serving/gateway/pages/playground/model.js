// One model's page, made of its contract: its input, its answer, its request, and what is known of it.

import { AboutView } from "./about.js";
import { AnswerView } from "./answer.js";
import { Problem, json, mayPass, modelPath } from "./api.js";
import { Asking } from "./asking.js";
import { element } from "./dom.js";
import { FeatureInput } from "./features.js";
import { PictureInput } from "./picture.js";
import { RequestView, verbOf } from "./request.js";

const INSTANCE = "/instances/0"; // where the gateway's pointers into what is asked here begin

export class ModelView {
  #doors;
  #lookAgain;
  #mayPass = false; // what was refused
  #answered = null; // the input as it was when what is answered was asked

  /** `doors`: what is known of the gateway's, filled in as it comes; `lookAgain()` where a key is needed after all. */
  constructor(contract, listed, doors, lookAgain) {
    this.#doors = doors;
    this.#lookAgain = lookAgain;
    this.name = contract.name;
    this.asking = new Asking(() => this.#ask());
    this.request = new RequestView();
    const Input = contract.input.kind === "image" ? PictureInput : FeatureInput;
    this.input = new Input(contract, () => this.asking.ask());
    this.lead = element("p", { class: "lead" });
    this.node = element("div", { class: `model ${contract.input.kind}` }, this.lead, this.input.node, this.input.more, this.request.node);
    this.tell(contract, listed);
  }

  /** Whether a version's input would look as this one does. */
  takesInputOf(contract) { return inputOf(contract) === inputOf(this.contract); }

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
    if (this.#answered) this.request.show(this.contract, this.#answered, this.#doors);
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
    if (error instanceof Problem && error.status === 401) this.#lookAgain();
  }
}

/** All that the input on the page is made of: fields or board, samples, and the names and units of what they are. */
function inputOf({ input, goldens, output }) {
  return JSON.stringify([input, goldens.map(({ instance, truth }) => [instance, truth]), output.class_names, output.unit]);
}
