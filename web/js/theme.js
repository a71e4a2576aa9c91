/** Colour theme: light, dark, or that of the system. */
const KEY = "sensorwatch-theme";
const ORDER = ["system", "light", "dark"];
const listeners = new Set();

/** Return the chosen theme: "system", "light" or "dark". */
export function theme() {
  return document.documentElement.dataset.theme ?? "system";
}

/** Switch to the next of the three themes and remember it. */
export function nextTheme() {
  const chosen = ORDER[(ORDER.indexOf(theme()) + 1) % ORDER.length];
  if (chosen === "system") delete document.documentElement.dataset.theme;
  else document.documentElement.dataset.theme = chosen;
  try {
    localStorage.setItem(KEY, chosen);
  } catch {
    // Without local storage the choice is lost when the page is closed.
  }
  changed();
}

/** Call a function when the colours change; return a function that unsubscribes it. */
export function onTheme(listener) {
  listeners.add(listener);
  return () => listeners.delete(listener);
}

/** Resolve a colour variable of the style sheet to a value that a canvas accepts. */
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
