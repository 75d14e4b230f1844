// The request that was just answered, as other clients would send it.

import { choose, copyButton, element, tabList } from "./dom.js";
import { hasKey, modelPath } from "./api.js";

const WRITERS = { curl, Python: python, grpcurl };
export const verbOf = (contract) => (contract.task === "classification" ? "classify" : "regress");

export class RequestView {
  #texts = {};
  #chosen = "curl";

  constructor() {
    this.code = element("code");
    const panel = element("pre", { role: "tabpanel", id: "request-panel", tabindex: "0", "aria-labelledby": "request-tab-curl" }, this.code);
    this.panel = panel;
    this.tabs = Object.keys(WRITERS).map((name) => element("button", {
      type: "button", role: "tab", id: `request-tab-${name}`, "aria-controls": "request-panel", click: () => this.#choose(name),
    }, name));
    const list = element("div", { role: "tablist", class: "tabs", "aria-label": "Client" }, this.tabs);
    tabList(list);
    this.node = element("section", { class: "card request", "aria-labelledby": "request-title" },
      element("h2", { id: "request-title" }, "The same request"),
      element("div", { class: "request-head" }, list, copyButton("Copy the request", () => this.#texts[this.#chosen])), panel);
    this.#choose("curl");
  }

  /** Write it anew. */
  show(contract, input, doors) {
    for (const [name, write] of Object.entries(WRITERS)) this.#texts[name] = write(contract, input, doors);
    this.#choose(this.#chosen);
  }

  #choose(name) {
    this.#chosen = name;
    for (const tab of this.tabs) choose(tab, tab.textContent === name);
    this.panel.setAttribute("aria-labelledby", `request-tab-${name}`);
    this.code.textContent = this.#texts[name] ?? "";
  }
}

const origin = () => new URL(".", location.href).href.replace(/\/$/, "");
const quoted = (text) => `'${text.replaceAll("'", "'\\''")}'`; // for a POSIX shell

/** What a picture is, by its first bytes: its name may say anything. */
const mediaType = (file) => (file.base64.startsWith("/9j/") ? "image/jpeg" : "image/png"); // ff d8 ff

function curl(contract, input, doors) {
  const url = `${origin()}/${modelPath(contract.name)}:${verbOf(contract)}`;
  const key = doors.needs_key || hasKey() ? ' \\\n  -H "X-API-Key: $ATELIER_KEY"' : "";
  const body = input.file
    ? `-H 'Content-Type: ${mediaType(input.file)}' --data-binary ${quoted(`@${input.file.name}`)}`
    : `-H 'Content-Type: application/json' -d ${quoted(JSON.stringify({ instances: [input.instance] }))}`;
  return `curl -s ${quoted(url)}${key} \\\n  ${body}`;
}

function python(contract, input, doors) {
  const key = doors.needs_key || hasKey();
  const instance = input.file ? `Path(${JSON.stringify(input.file.name)})` : JSON.stringify(input.instance);
  return [
    ...(key ? ["import os"] : []), ...(input.file ? ["from pathlib import Path"] : []), "from serving.client import Client", "",
    `with Client(${JSON.stringify(origin())}${key ? ', api_key=os.environ["ATELIER_KEY"]' : ""}) as client:`,
    `    instance = ${instance}`,
    `    print(client.${verbOf(contract)}(${JSON.stringify(contract.name)}, [instance]).predictions)`,
  ].join("\n");
}

function grpcurl(contract, input, doors) {
  const flags = [...(doors.tls ? [] : ["-plaintext"]), ...(doors.needs_key || hasKey() ? ['-H "x-api-key: $ATELIER_KEY"'] : [])];
  const method = verbOf(contract).replace(/^./, (letter) => letter.toUpperCase());
  const call = (body) => `${["grpcurl", ...flags, "-d", body].join(" ")} \\\n  ${location.hostname}:${doors.grpc_port} atelier.prediction.v1.PredictionService/${method}`;
  const message = (instance) => JSON.stringify({ model: contract.name, instances: [instance] });
  if (input.file) return `${piped(message({ image: { encoded: "" } }), input.file)} |\n${call("@")}`;
  if (contract.input.kind === "features") return call(quoted(message({ features: { values: input.instance } })));
  if (input.bytes) return call(quoted(message({ image: { pixels: base64(input.bytes) } })));
  return "# values of more than a byte go as tensors: see /v2 in the API";
}

/** Writes a message with a file in the empty string at its end; by a pipe, since arguments have a greatest length. */
function piped(message, file) {
  const end = '"}}]}';
  return [
    `{ printf %s ${quoted(message.slice(0, -end.length))}`, `  base64 < ${quoted(file.name)} | tr -d '\\n'`, `  printf %s ${quoted(end)}; }`,
  ].join("\n");
}

const base64 = (bytes) => btoa(Array.from(bytes, (byte) => String.fromCharCode(byte)).join(""));
