// Shows openapi.json of the gateway that served this page, and sends what is typed here to it. Asks no other host.
"use strict";

let key = ""; // in this page's memory only

function element(name, attributes = {}, ...children) {
  const made = document.createElement(name);
  for (const [attribute, value] of Object.entries(attributes)) made.setAttribute(attribute, value);
  made.append(...children);
  return made;
}

// JSON for people: rows of numbers stay on one line.
function pretty(value, indent = "") {
  if (value === null || typeof value !== "object") return JSON.stringify(value);
  const isArray = Array.isArray(value);
  const parts = isArray ? value.map((item) => pretty(item, indent + "  "))
    : Object.entries(value).map(([name, item]) => `${JSON.stringify(name)}: ${pretty(item, indent + "  ")}`);
  const [open, close] = isArray ? "[]" : "{}";
  const isFlat = Object.values(value).every((item) => item === null || typeof item !== "object");
  if (isFlat && (isArray || parts.join(", ").length < 80)) return open + parts.join(", ") + close;
  return `${open}\n${parts.map((part) => `${indent}  ${part}`).join(",\n")}\n${indent}${close}`;
}

function follow(api, node) {
  if (!node || !node.$ref) return node;
  return node.$ref.slice(2).split("/").reduce((at, name) => at[name], api);
}

function headers() {
  return key ? { "X-API-Key": key } : {};
}

async function send(method, path, body, type) {
  const began = performance.now();
  const reply = await fetch(path.slice(1), {
    method, body, headers: body === undefined ? headers() : { ...headers(), "Content-Type": type },
  });
  const text = await reply.text();
  const isJson = /json/.test(reply.headers.get("Content-Type") || "");
  return { reply, text: isJson ? pretty(JSON.parse(text)) : text, milliseconds: performance.now() - began };
}

function tryIt(method, path, parameters, request) {
  const inputs = new Map(parameters.map((parameter) => [parameter, element("input", { spellcheck: "false" })]));
  const types = Object.keys(request ? request.content : {}).filter((type) => /json|csv/.test(type));
  const type = element("select", {}, ...types.map((name) => element("option", {}, name)));
  const text = element("textarea", { spellcheck: "false", "aria-label": "body" });
  let example = ""; // what stands there while nobody has typed
  const showExample = () => {
    const { example: value, schema } = request?.content[type.value] ?? {};
    text.placeholder = schema?.description ?? "";
    if (text.value !== example) return;
    example = value === undefined ? "" : /json/.test(type.value) ? pretty(value) : value;
    text.value = example;
  };
  type.addEventListener("change", showExample);
  showExample();
  const picture = element("input", { type: "file", accept: "image/png,image/jpeg" });
  const button = element("button", {}, "Send");
  const status = element("p", { class: "quiet", "aria-live": "polite" });
  const answer = element("pre", { hidden: "" });
  button.addEventListener("click", async () => {
    let target = path;
    const query = new URLSearchParams();
    for (const [parameter, input] of inputs) {
      if (parameter.in === "path") target = target.replace(`{${parameter.name}}`, encodeURIComponent(input.value));
      else if (parameter.in === "query" && input.value) query.set(parameter.name, input.value);
    }
    if (query.size) target += `?${query}`;
    answer.hidden = false;
    try {
      const [file] = picture.files;
      const [content, kind] = file ? [file, file.type] : [request ? text.value : undefined, type.value];
      const { reply, text: body, milliseconds } = await send(method, target, content, kind);
      status.textContent = `${reply.status} ${reply.statusText}, ${milliseconds.toFixed(0)} ms`;
      answer.className = reply.ok ? "worked" : "failed";
      answer.textContent = body;
    } catch (error) {
      status.textContent = "No answer";
      answer.className = "failed";
      answer.textContent = String(error);
    }
  });
  const rows = [...inputs].map(([parameter, input]) => element("label", {}, `${parameter.name} `, input));
  if (request) rows.push(element("label", {}, "Content-Type ", type), text);
  if (request && request.content["image/png"]) rows.push(element("label", {}, "or a picture ", picture));
  return [...rows, button, status, answer];
}

function fold(title, content) {
  return element("details", {}, element("summary", {}, title), element("pre", {}, pretty(content)));
}

function operation(api, path, method, described) {
  const parameters = (described.parameters || []).map((parameter) => follow(api, parameter));
  const typed = parameters.filter((parameter) => parameter.in !== "header");
  const types = described.requestBody ? Object.keys(described.requestBody.content).join(", ") : "";
  const responses = Object.fromEntries(
    Object.entries(described.responses).map(([status, one]) => [status, follow(api, one).description]));
  const [good] = Object.values(described.responses);
  const schema = follow(api, Object.values(good.content || {})[0]?.schema) || {};
  const json = described.requestBody?.content["application/json"];
  return element("details", {},
    element("summary", {}, element("span", { class: "method" }, method.toUpperCase()), element("code", {}, path)),
    element("p", {}, described.summary || ""),
    ...(types ? [element("p", { class: "quiet" }, `Takes ${types}`)] : []),
    ...tryIt(method.toUpperCase(), path, typed, described.requestBody),
    ...(json ? [fold("What the JSON body holds", follow(api, json.schema))] : []),
    fold("What the answer holds", schema),
    fold("Statuses", responses));
}

function show(api) {
  const main = document.querySelector("main");
  main.replaceChildren();
  document.querySelector("#about").textContent = `${api.info.title} ${api.info.version}. ${api.info.description}`;
  for (const tag of api.tags) {
    const operations = Object.entries(api.paths).flatMap(([path, methods]) => Object.entries(methods)
      .filter(([, described]) => described.tags.includes(tag.name))
      .map(([method, described]) => operation(api, path, method, described)));
    operations.sort((a, b) => a.textContent.startsWith("GET") - b.textContent.startsWith("GET"));
    main.append(element("h2", {}, tag.name), element("p", {}, tag.description || ""), ...operations);
  }
}

async function start() {
  const about = document.querySelector("#about");
  try {
    const reply = await fetch("openapi.json", { headers: headers() });
    const form = document.querySelector("#key");
    form.hidden = form.hidden && reply.status !== 401;
    if (reply.ok) show(await reply.json());
    else about.textContent = reply.status === 401 ? "This gateway asks for an API key." : `openapi.json could not be read: ${reply.status}`;
  } catch (error) {
    about.textContent = `openapi.json could not be read: ${error.message}`;
  }
}

document.querySelector("#key").addEventListener("submit", (event) => {
  event.preventDefault();
  key = event.target.querySelector("input").value;
  start();
});
start();
