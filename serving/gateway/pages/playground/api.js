// Speaks to the gateway that served this page, and to no other host.

let key = ""; // in this page's memory only

/** Show this key with every call from now on. */
export function useKey(value) { key = value; }

/** Whether a key is shown: then links need it too. */
export const hasKey = () => key !== "";

/** The gateway did not answer at all. */
export class Unreachable extends Error {}

/** The gateway answered with a problem document (RFC 9457). */
export class Problem extends Error {
  constructor(status, document) {
    super(document.detail || document.title);
    this.status = status;
    this.title = document.title;
    this.faults = document.errors || []; // {pointer, detail}
  }
}

/** Whether the same call may be answered another time: something was away, or there was too much to do. */
export const mayPass = (error) => error instanceof Unreachable || [401, 404, 429].includes(error.status) || error.status >= 500;

/** GET, or POST where there is a body; the response, whatever its status. */
export async function send(path, body) {
  const headers = { ...(key && { "X-API-Key": key }), ...(body !== undefined && { "Content-Type": "application/json" }) };
  try {
    return await fetch(path, {
      method: body === undefined ? "GET" : "POST", headers, body, signal: AbortSignal.timeout(15000),
    });
  } catch (error) {
    throw new Unreachable(`The gateway does not answer (${error.name}).`);
  }
}

/** The JSON of an answer, or a Problem. */
export const json = (path, body) => whole(path, body, "json");

/** What an answer holds, as a file; or a Problem. */
export const file = (path) => whole(path, undefined, "blob");

async function whole(path, body, kind) {
  const response = await send(path, body);
  if (!response.ok) {
    throw new Problem(response.status, await response.json().catch(() => ({ title: `${response.status} ${response.statusText}` })));
  }
  return response[kind]().catch(() => { throw new Unreachable("The gateway's answer broke off."); });
}

/** Where a model's calls begin. */
export const modelPath = (name) => `v1/models/${encodeURIComponent(name)}`;
