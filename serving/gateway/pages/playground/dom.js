// Makes elements; nothing here knows what for.

/** An element with attributes (a function is a listener, true or false a flag) and children (null is left out). */
export function element(name, attributes = {}, ...children) {
  const made = document.createElement(name);
  for (const [attribute, value] of Object.entries(attributes)) {
    if (typeof value === "function") made.addEventListener(attribute, value);
    else if (typeof value === "boolean") made.toggleAttribute(attribute, value);
    else made.setAttribute(attribute, value);
  }
  made.append(...children.flat().filter((child) => child !== null));
  return made;
}

let made = 0;

/** An id that no other element has. */
export const newId = (word) => `${word}-${++made}`;

/** A colour of the style sheet, as it is in the theme of now. */
export const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();

const drawn = new WeakMap(); // canvas → what draws it: nothing here keeps a canvas that has left the page

matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => {
  for (const canvas of document.querySelectorAll("canvas")) drawn.get(canvas)?.();
});

/** Calls back now, and whenever the theme or the canvas's size changes. */
export function redrawn(canvas, draw) {
  new ResizeObserver(draw).observe(canvas);
  drawn.set(canvas, draw);
}

/** A canvas's context, its pixels those of the screen, measured in CSS pixels. */
export function sharp(canvas) {
  const { clientWidth: width, clientHeight: height } = canvas;
  const ratio = devicePixelRatio || 1;
  canvas.width = Math.round(width * ratio);
  canvas.height = Math.round(height * ratio);
  const context = canvas.getContext("2d");
  context.scale(ratio, ratio);
  return { context, width, height };
}

/** Follows a pointer from where it is pressed on a node until it is let go; others meanwhile, a second finger, are let be. */
export function followed(node, began, moved = began) {
  let held = null;
  const isHeld = (event) => event.pointerId === held;
  node.addEventListener("pointerdown", (event) => {
    if (event.button !== 0 || held !== null) return;
    node.setPointerCapture(event.pointerId);
    held = event.pointerId;
    began(event);
  });
  node.addEventListener("pointermove", (event) => { if (isHeld(event)) moved(event); });
  node.addEventListener("lostpointercapture", (event) => { if (isHeld(event)) held = null; });
}

/** Whether a key is pressed together with one that makes it the browser's: Alt and ← goes back. */
export const isBrowsers = ({ altKey, ctrlKey, metaKey }) => altKey || ctrlKey || metaKey;

/** A tab list that the arrow keys walk, and the tabs' panels if it has any. */
export function tabList(list) {
  list.addEventListener("keydown", (event) => {
    const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
    const tabs = [...list.querySelectorAll("[role=tab]")];
    if (!step || !tabs.length || isBrowsers(event)) return;
    event.preventDefault();
    const next = tabs[(tabs.indexOf(document.activeElement) + step + tabs.length) % tabs.length];
    next.focus();
    next.click();
  });
}

/** Shows which tab is chosen; only that one is in the order of the Tab key. */
export function choose(tab, isChosen) {
  tab.setAttribute("aria-selected", String(isChosen));
  tab.tabIndex = isChosen ? 0 : -1;
}

/** Whether a text went to the clipboard. Over HTTP from another machine a browser has only the old way. */
async function copied(text) {
  if (navigator.clipboard) return navigator.clipboard.writeText(text).then(() => true, () => false);
  const area = element("textarea", { class: "unseen", "aria-hidden": "true" });
  area.value = text;
  const focused = document.activeElement;
  document.body.append(area);
  area.select();
  const isCopied = document.execCommand("copy");
  area.remove();
  focused?.focus();
  return isCopied;
}

/** A button that copies a text. */
export function copyButton(label, text) {
  const button = element("button", {
    type: "button", class: "copy", "aria-label": label,
    click: async () => {
      button.textContent = (await copied(text())) ? "Copied" : "Not copied";
      setTimeout(() => { button.textContent = "Copy"; }, 1500);
    },
  }, "Copy");
  return button;
}
