/** Client of the HTTP API: JSON with ETags, and RFC 9457 problem details as errors. */

const KEPT_ANSWERS = 60;
const answers = new Map();
let serverAhead = 0;

/** Server time in seconds since 1970, to about a second; ages are computed from it because the viewer's clock may be wrong. */
export const serverNow = () => (Date.now() + serverAhead) / 1000;

/** Error of a request, with a message for the viewer. */
export class ProblemError extends Error {
  /**
   * @param {number} status HTTP status, 0 if there was no response
   * @param {{title?: string, detail?: string, errors?: {field: string, message: string}[]}} problem
   */
  constructor(status, problem) {
    const fields = (problem.errors ?? []).map((error) => `${error.field}: ${error.message}`).join("; ");
    super(problem.detail || fields || problem.title || `The server answered with HTTP status ${status}.`);
    this.status = status;
  }
}

/**
 * Build the URL of an API request; parameters that are null or empty are left out.
 * @param {string} path such as `/api/sensors`
 * @param {Record<string, unknown>} [parameters]
 */
export function url(path, parameters = {}) {
  const given = Object.entries(parameters).filter(([, value]) => value !== null && value !== undefined && value !== "");
  return given.length ? `${path}?${new URLSearchParams(given)}` : path;
}

/**
 * Read JSON. A response that is unchanged since the last request (HTTP 304) is returned as the same object.
 * @param {string} address
 * @param {{signal?: AbortSignal}} [options]
 */
export async function get(address, { signal } = {}) {
  const known = answers.get(address);
  const headers = { Accept: "application/json" };
  if (known) headers["If-None-Match"] = known.etag;
  const response = await request(address, { headers, signal, cache: "no-store" });
  if (response.status === 304) return known.body;
  const body = await response.json();
  const etag = response.headers.get("ETag");
  if (etag) remember(address, { etag, body });
  return body;
}

/** Read a text, such as the log of a task. */
export async function getText(address, { signal } = {}) {
  return (await request(address, { signal })).text();
}

/** Send an action and return its JSON response. */
export async function post(address, body = {}) {
  const headers = { Accept: "application/json", "Content-Type": "application/json" };
  const response = await request(address, { method: "POST", headers, body: JSON.stringify(body) });
  return response.json();
}

async function request(address, options) {
  let response;
  try {
    response = await fetch(address, { credentials: "same-origin", ...options });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new ProblemError(0, { detail: "The server does not respond. Check the connection." });
  }
  const date = Date.parse(response.headers.get("Date"));
  if (date) serverAhead = date - Date.now();
  if (response.ok || response.status === 304) return response;
  throw new ProblemError(response.status, await response.json().catch(() => ({})));
}

function remember(address, answer) {
  answers.delete(address);
  answers.set(address, answer);
  if (answers.size > KEPT_ANSWERS) answers.delete(answers.keys().next().value);
}
