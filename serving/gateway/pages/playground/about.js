// What the contract says of the model itself: how good it is, where it came from, its documents and its versions.

import { file, hasKey, modelPath } from "./api.js";
import { element } from "./dom.js";
import { plain } from "./formats.js";

/** The card about a version on offer. */
export class AboutView {
  constructor(contract, listed) {
    this.versions = element("p", { class: "hint versions" });
    this.node = card(contract, listed, this.versions);
    this.follow(listed);
  }

  /** What has become of the model's versions. */
  follow({ versions }) {
    const words = versions.map(({ version, state, on_offer: isOffered }) => `${version} ${state}${isOffered ? "" : ", not on offer"}`);
    this.versions.textContent = `Versions: ${words.join(", ")}`;
  }
}

function card(contract, listed, versions) {
  const { evaluation, provenance } = contract;
  const figures = Object.entries(evaluation.metrics).map(([name, value]) => {
    const range = evaluation.intervals?.[name];
    return element("div", { class: "figure" }, element("dt", {}, name.replaceAll("_", " ")),
      element("dd", {}, element("strong", {}, plain(value)), range ? element("small", {}, `${plain(range[0])} to ${plain(range[1])}`) : null));
  });
  const facts = {
    created: provenance.created.slice(0, 10), data: provenance.data_source, seed: provenance.seed, revision: provenance.source_revision.slice(0, 12),
  };
  return element("section", { class: "card about", "aria-labelledby": "about-title" },
    element("h2", { id: "about-title" }, "How good it is, and where it came from"),
    element("dl", { class: "figures" }, figures),
    element("p", { class: "hint" }, `On ${plain(evaluation.rows)} rows: ${evaluation.split}.${evaluation.intervals ? " Below each figure its 95% interval." : ""}`),
    element("dl", { class: "facts" }, Object.entries(facts).map(([name, value]) => element("div", {}, element("dt", {}, name), element("dd", {}, String(value))))),
    ...links(contract, listed),
    versions);
}

/** The links, and where it is said that what one leads to could not be had. */
function links(contract, listed) {
  const path = `${modelPath(contract.name)}/versions/${listed.version}`;
  const fault = element("p", { class: "fault", role: "alert" });
  const to = (end, title) => link(`${path}/${end}`, title, (words) => { fault.textContent = words; });
  const documents = (contract.documents ?? []).map(({ name, title }) => to(`documents/${encodeURIComponent(name)}`, title));
  const all = [...documents, to("metadata", "Contract"), element("a", { href: "docs" }, "API")];
  return [element("ul", { class: "links" }, all.map((one) => element("li", {}, one))), fault];
}

/** A link; where a key must be shown, which links cannot, what it leads to is saved instead. */
function link(path, title, tell) {
  return element("a", {
    href: path, target: "_blank", rel: "noopener",
    click: async (event) => {
      if (!hasKey()) return;
      event.preventDefault();
      try {
        await save(path);
        tell("");
      } catch (error) {
        tell(`${title}: ${error.message}`);
      }
    },
  }, title);
}

async function save(path) {
  const url = URL.createObjectURL(await file(path));
  element("a", { href: url, download: path.split("/").at(-1) }).click();
  URL.revokeObjectURL(url);
}
