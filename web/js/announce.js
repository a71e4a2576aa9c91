/** Short messages in a corner of the page, also announced by screen readers. */
const SHOWN_MS = 6000;

/**
 * Show a message for a few seconds.
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
