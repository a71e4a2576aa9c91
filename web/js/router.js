/** Routes in the URL fragment, such as `#/sensors/12?from=…`, which survive a reload and work with the back button. */

const ROUTES = [
  ["/", "overview"],
  ["/sensors", "sensors"],
  ["/sensors/:id", "sensor"],
  ["/alerts", "alerts"],
  ["/alerts/:id", "alert"],
  ["/incidents", "incidents"],
  ["/incidents/:id", "incident"],
  ["/jobs", "jobs"],
  ["/jobs/:id", "job"],
  ["/models", "models"],
  ["/models/:id", "model"],
  ["/machines", "machines"],
  ["/machines/:id", "machine"],
  ["/serving", "serving"],
];

/**
 * Parse a URL fragment.
 * @param {string} hash such as `#/sensors/12?from=1`
 * @returns {{page: string, path: string, id: string | null, query: URLSearchParams} | null} null if there is no such page
 */
export function parse(hash) {
  const [path, query = ""] = (hash.replace(/^#/, "") || "/").split("?", 2);
  const parts = path.split("/");
  for (const [pattern, page] of ROUTES) {
    const expected = pattern.split("/");
    const matches = expected.length === parts.length && expected.every((part, i) => part === parts[i] || (part === ":id" && parts[i]));
    if (matches) {
      return { page, path, id: expected.at(-1) === ":id" ? decoded(parts.at(-1)) : null, query: new URLSearchParams(query) };
    }
  }
  return null;
}

/** Build a URL fragment; parameters that are null or empty are left out. */
export function link(path, parameters = {}) {
  const given = Object.entries(parameters).filter(([, value]) => value !== null && value !== undefined && value !== "");
  return `#${path}${given.length ? `?${new URLSearchParams(given)}` : ""}`;
}

/** Build the URL fragment of one item, such as an alert. */
export function linkTo(kind, id) {
  return `#/${kind}/${encodeURIComponent(id)}`;
}

/** Change the page's parameters without a new entry in the browser history, as for a search text or a zoom. */
export function replaceQuery(changes) {
  const { path, query } = parse(location.hash);
  history.replaceState(null, "", link(path, { ...Object.fromEntries(query), ...changes }));
}

function decoded(part) {
  try {
    return decodeURIComponent(part);
  } catch {
    return part;
  }
}
