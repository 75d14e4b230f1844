// The playground: a tab for each model that the gateway lists, and a view that is made of the contract of the chosen one.

import { json, modelPath, useKey } from "./api.js";
import { choose, element, tabList } from "./dom.js";
import { ModelView } from "./model.js";
import { Watch } from "./status.js";

const at = (id) => document.getElementById(id);
const doors = { grpc_port: 8081, tls: location.protocol === "https:", needs_key: false };
let view = null; // of the model that is shown
let wanted = ""; // the name of the model whose tab is chosen
let opening = null; // "name version" while its contract is on its way

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
      if (view?.name === listed.name && view.takesInputOf(contract)) view.tell(contract, listed);
      else show(new ModelView(contract, listed, doors, () => watch.look()));
      view.ask();
    }
  } catch (error) {
    if (!view || isLeft) show(null, element("p", { class: "card fault" }, error.message));
  } finally {
    opening = null;
  }
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
  Object.assign(doors, told);
  view?.writeRequest();
}, () => {});
watch.start();
