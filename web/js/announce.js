/** Short messages in the corner, which screen readers read out. */
const SHOWN_MS = 6000;

/**
 * Say something.
 * @param {string} text
 * @param {"done" | "error"} [kind]
 */
export function announce(text, kind = "done") {
  const toast = document.createElement("div");
  toast.className = kind === "error" ? "toast error" : "toast";
  toast.textContent = text;
  document.getElementById("announcements").append(toast);
  setTimeout(() => toast.remove(), SHOWN_MS);
}
