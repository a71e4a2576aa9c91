/** The HTTP API: JSON with ETags, and RFC 9457 problems as errors. */

const KEPT_ANSWERS = 60;
const answers = new Map();
let serverAhead = 0;

/** The server's time in seconds since 1970, to a second or so: ages are told by its clock, not by the viewer's. */
export const serverNow = () => (Date.now() + serverAhead) / 1000;

/** What the API refused or could not do; the message is for people. */
export class ProblemError extends Error {
  /**
   * @param {number} status HTTP status, 0 where no answer came
   * @param {{title?: string, detail?: string, errors?: {field: string, message: string}[]}} problem
   */
  constructor(status, problem) {
    const fields = (problem.errors ?? []).map((error) => `${error.field}: ${error.message}`).join("; ");
    super(problem.detail || fields || problem.title || `The server answered with HTTP ${status}.`);
    this.status = status;
  }
}

/**
 * Build a path of the API; parameters that are null or empty are left out.
 * @param {string} path such as `/api/sensors`
 * @param {Record<string, unknown>} [parameters]
 */
export function url(path, parameters = {}) {
  const given = Object.entries(parameters).filter(([, value]) => value !== null && value !== undefined && value !== "");
  return given.length ? `${path}?${new URLSearchParams(given)}` : path;
}

/**
 * Read JSON. What did not change since the last time comes back as the same object (HTTP 304).
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

/** Read text, such as a task's log. */
export async function getText(address, { signal } = {}) {
  return (await request(address, { signal })).text();
}

/** Send an action; returns what it answers with. */
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
    throw new ProblemError(0, { detail: "The server does not answer." });
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
