/** Light, dark, or as the system has it. */
const KEY = "sensorwatch-theme";
const ORDER = ["system", "light", "dark"];
const listeners = new Set();

/** The chosen theme: "system", "light" or "dark". */
export function theme() {
  return document.documentElement.dataset.theme ?? "system";
}

/** Switch to the next of the three, and keep it. */
export function nextTheme() {
  const chosen = ORDER[(ORDER.indexOf(theme()) + 1) % ORDER.length];
  if (chosen === "system") delete document.documentElement.dataset.theme;
  else document.documentElement.dataset.theme = chosen;
  try {
    localStorage.setItem(KEY, chosen);
  } catch {
    // Storage that is switched off: the choice holds until the page is left.
  }
  changed();
}

/** Call a function when the colours change; returns what ends that. */
export function onTheme(listener) {
  listeners.add(listener);
  return () => listeners.delete(listener);
}

/** Read a colour of the style sheet as a canvas takes it. */
export function colour(name) {
  const probe = document.body.appendChild(document.createElement("span"));
  probe.style.color = `var(${name})`;
  const value = getComputedStyle(probe).color;
  probe.remove();
  return value;
}

function changed() {
  for (const listener of listeners) listener();
}

matchMedia("(prefers-color-scheme: dark)").addEventListener("change", changed);
