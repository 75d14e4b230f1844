// The input of a model that takes pictures: a canvas to draw on, files by picker, drop and paste, and samples.

import { colour, element, followed, isBrowsers, newId, redrawn, sharp } from "./dom.js";
import { Pixels } from "./pixels.js";
import { firstSample } from "./samples.js";

const PENS = { fine: 0.02, medium: 0.045, broad: 0.09 }; // radius, of the picture's longer side

export class PictureInput {
  #changed;
  #contract;
  #pixels;
  #file = null; // {name, base64}: what is sent while nobody has drawn on it
  #sample = null; // a golden, while it is as it was
  #cursor = null; // where the arrow keys are
  #last = null; // where the pointer was
  #isPenDown = false;
  #turn = 0; // of what came last, a stroke or a file: a file that is decoded after the next turn comes too late
  #pen = "medium";
  #isEraser = false;

  constructor(contract, changed) {
    this.#contract = contract;
    this.#changed = changed;
    this.#pixels = new Pixels(contract.input);
    this.node = element("section", { class: "card input", "aria-labelledby": "input-title" },
      element("h2", { id: "input-title" }, "Draw, drop or paste a picture"), this.#board(), this.#tools(), this.#fault());
    this.more = this.#samples();
    this.#listenForFiles();
    this.use(firstSample(contract));
  }

  /** What is sent: the file, or the pixels. */
  get instance() { return this.#file ? { b64: this.#file.base64 } : this.#pixels.instance; }

  get file() { return this.#file; }

  /** The pixels as bytes, for callers that send them so; null where a value needs more than a byte. */
  get bytes() { return this.#pixels.high < 256 && this.#pixels.low >= 0 ? Uint8Array.from(this.#pixels.values) : null; }

  /** What the data says of the chosen sample, as long as it is as it was. */
  get truth() { return this.#sample?.truth ?? null; }

  /** Stop listening outside this node. */
  leave() { document.removeEventListener("paste", this.#onPaste); }

  /** Shows faults that pointers into the instance place here; all of them: there is one place. */
  showFaults(faults) {
    this.faultNode.textContent = faults.map((fault) => `${fault.pointer || "Picture"}: ${fault.detail}`).join("; ");
    this.canvas.setAttribute("aria-invalid", String(faults.length > 0));
    return [];
  }

  /** Show a golden. */
  use(golden) {
    this.#pixels.load(golden.instance);
    this.#set({ sample: golden });
  }

  #set({ file = null, sample = null }) {
    this.#turn++;
    this.#file = file;
    this.#sample = sample;
    for (const button of this.more?.querySelectorAll("button") ?? []) {
      button.setAttribute("aria-pressed", String(button.golden === sample));
    }
    this.nameNode.textContent = file ? `${file.name} goes as it is; this is how the gateway will scale it` : "";
    this.#draw();
    this.#changed();
  }

  #board() {
    this.canvas = element("canvas", {
      class: "board", tabindex: "0", role: "application", "aria-label": "The picture", "aria-describedby": "board-keys",
      keydown: (event) => this.#key(event),
      blur: () => { this.#cursor = null; this.#isPenDown = false; this.#draw(); },
    });
    this.canvas.style.aspectRatio = `${this.#pixels.width} / ${this.#pixels.height}`;
    redrawn(this.canvas, () => this.#draw());
    followed(this.canvas, (event) => this.#begin(event), (event) => this.#move(event));
    return element("div", { class: "board-frame" }, this.canvas,
      element("p", { id: "board-keys", class: "hint" },
        "Or by keyboard: arrows move the pen, Space puts it down and lifts it, Delete clears."));
  }

  #tools() {
    const pens = Object.keys(PENS).map((name) => element("label", {},
      element("input", { type: "radio", name: "pen", value: name, checked: name === this.#pen, change: () => { this.#pen = name; } }), name));
    const eraser = element("label", {},
      element("input", { type: "checkbox", change: (event) => { this.#isEraser = event.target.checked; } }), "eraser");
    const picker = element("input", {
      type: "file", accept: "image/png,image/jpeg", class: "unseen", id: newId("file"),
      change: () => { if (picker.files[0]) this.#take(picker.files[0]); picker.value = ""; },
    });
    this.nameNode = element("p", { class: "hint file-name" });
    return element("div", { class: "tools" },
      element("div", { class: "pens", role: "group", "aria-label": "Pen" }, element("span", { class: "hint" }, "Pen"), pens, eraser),
      element("div", { class: "buttons" },
        element("button", { type: "button", click: () => { this.#pixels.clear(); this.#set({}); } }, "Clear"),
        element("button", { type: "button", click: () => { this.#pixels.invert(); this.#set({}); } }, "Invert"),
        picker, element("label", { class: "button", for: picker.id }, "Open a picture…")),
      this.nameNode);
  }

  #fault() {
    this.faultNode = element("p", { class: "fault", id: newId("fault"), role: "status" });
    this.canvas.setAttribute("aria-errormessage", this.faultNode.id);
    return this.faultNode;
  }

  #samples() {
    const buttons = this.#contract.goldens.map((golden, i) => {
      const pixels = new Pixels(this.#contract.input);
      pixels.load(golden.instance);
      const picture = element("canvas", { width: pixels.width, height: pixels.height });
      picture.getContext("2d").putImageData(pixels.screen, 0, 0);
      const name = this.#contract.output.class_names?.[golden.truth] ?? `sample ${i + 1}`;
      const button = element("button", { type: "button", "aria-pressed": "false", click: () => this.use(golden) },
        picture, element("span", {}, name));
      button.golden = golden;
      return button;
    });
    return element("section", { class: "card samples", "aria-labelledby": "samples-title" },
      element("h2", { id: "samples-title" }, "Samples the model never trained on"), element("div", { class: "strip" }, buttons));
  }

  // --- the pen -------------------------------------------------------------------------------------------------------

  get #radius() { return PENS[this.#pen] * Math.max(this.#pixels.width, this.#pixels.height); }

  #at(event) {
    const box = this.canvas.getBoundingClientRect();
    return {
      x: ((event.clientX - box.left) / box.width) * this.#pixels.width,
      y: ((event.clientY - box.top) / box.height) * this.#pixels.height,
    };
  }

  #begin(event) {
    this.#cursor = null;
    this.#last = this.#at(event);
    this.#stroke(this.#last, this.#last);
  }

  #move(event) {
    for (const each of event.getCoalescedEvents?.() ?? [event]) {
      const next = this.#at(each);
      this.#stroke(this.#last, next);
      this.#last = next;
    }
  }

  #stroke(from, to) {
    this.#pixels.stroke(from, to, this.#radius, this.#isEraser);
    this.#set({});
  }

  #key(event) {
    if (isBrowsers(event)) return;
    const steps = { ArrowUp: [0, -1], ArrowDown: [0, 1], ArrowLeft: [-1, 0], ArrowRight: [1, 0] };
    const middle = { x: this.#pixels.width / 2, y: this.#pixels.height / 2 };
    const from = this.#cursor ?? middle;
    if (steps[event.key]) {
      const [dx, dy] = steps[event.key];
      this.#cursor = {
        x: Math.min(this.#pixels.width - 0.5, Math.max(0.5, from.x + dx)),
        y: Math.min(this.#pixels.height - 0.5, Math.max(0.5, from.y + dy)),
      };
      if (this.#isPenDown) this.#stroke(from, this.#cursor);
    } else if (event.key === " ") {
      this.#cursor = from;
      this.#isPenDown = !this.#isPenDown;
      if (this.#isPenDown) this.#stroke(from, from);
    } else if (event.key === "Delete" || event.key === "Backspace") {
      this.#pixels.clear();
      this.#set({});
    } else return;
    event.preventDefault();
    this.#draw();
  }

  #draw() {
    if (!this.canvas.clientWidth) return;
    const { context, width, height } = sharp(this.canvas);
    const small = new OffscreenCanvas(this.#pixels.width, this.#pixels.height);
    small.getContext("2d").putImageData(this.#pixels.screen, 0, 0);
    context.imageSmoothingEnabled = false;
    context.drawImage(small, 0, 0, width, height);
    if (!this.#cursor) return;
    const scale = width / this.#pixels.width;
    context.beginPath();
    context.arc(this.#cursor.x * scale, this.#cursor.y * scale, Math.max(5, (this.#radius + 0.5) * scale), 0, 7);
    context.lineWidth = 3;
    context.strokeStyle = this.#isPenDown ? colour("pen-down") : colour("pen-up");
    context.stroke();
  }

  // --- files ---------------------------------------------------------------------------------------------------------

  #onPaste = (event) => {
    const file = [...(event.clipboardData?.files ?? [])][0];
    if (file) this.#take(file);
  };

  #listenForFiles() {
    document.addEventListener("paste", this.#onPaste);
    this.node.addEventListener("dragover", (event) => { event.preventDefault(); this.node.classList.add("dropping"); });
    this.node.addEventListener("dragleave", () => this.node.classList.remove("dropping"));
    this.node.addEventListener("drop", (event) => {
      event.preventDefault();
      this.node.classList.remove("dropping");
      if (event.dataTransfer.files[0]) this.#take(event.dataTransfer.files[0]);
    });
  }

  /** The file itself goes to the gateway, whether a browser can show it or not: the gateway is the one to judge. */
  async #take(file) {
    const turn = ++this.#turn;
    const [base64, bitmap] = await Promise.all([base64Of(file), createImageBitmap(file).catch(() => null)]);
    if (turn !== this.#turn) return;
    if (base64 === null) {
      this.showFaults([{ pointer: "", detail: `${file.name} cannot be read` }]);
      return;
    }
    this.#pixels.clear();
    if (bitmap) this.#pixels.fit(bitmap);
    this.#set({ file: { name: file.name || "picture.png", base64 } });
  }
}

/** What a file holds; null where it cannot be read: a folder, or what is no longer there. */
const base64Of = (file) => new Promise((done) => {
  const reader = new FileReader();
  reader.onload = () => done(reader.result.slice(reader.result.indexOf(",") + 1));
  reader.onerror = () => done(null);
  reader.readAsDataURL(file);
});
