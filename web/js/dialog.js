/** Modal dialogs, based on the browser's own element: focus stays inside and Escape closes them. */
import { html, nothing, render } from "./html.js";

/** Show content until the viewer closes it. */
export function show(title, content) {
  return ask({ title, content, confirm: null, cancel: "Close" });
}

/**
 * Show a form and return the values of its fields by name.
 * @param {object} options
 * @param {string} options.title
 * @param {unknown} [options.about] description, below the title
 * @param {unknown} [options.content] fields of the form
 * @param {string | null} [options.confirm] label of the button that submits; null for none
 * @param {string} [options.cancel]
 * @param {boolean} [options.danger] style the button as destructive
 * @param {(values: Record<string, string>) => Promise<void>} [options.act] called on submit; an error is shown in the dialog, which stays open
 * @returns {Promise<Record<string, string> | null>} null if the dialog was cancelled
 */
export function ask({ title, about = nothing, content = nothing, confirm = "OK", cancel = "Cancel", danger = false, act }) {
  const dialog = document.body.appendChild(document.createElement("dialog"));
  let values = null;
  let error = null;
  let busy = false;
  dialog.setAttribute("aria-labelledby", "dialog-title");

  async function submit(event) {
    event.preventDefault();
    const given = Object.fromEntries(new FormData(event.target));
    busy = true;
    error = null;
    draw();
    try {
      await act?.(given);
      values = given;
      dialog.close();
    } catch (problem) {
      error = problem.message;
      busy = false;
      draw();
    }
  }

  function draw() {
    render(
      html`<form @submit=${submit}>
        <h2 id="dialog-title">${title}</h2>
        ${about === nothing ? nothing : html`<p class="about">${about}</p>`} ${content}
        ${error ? html`<p class="error" role="alert">${error}</p>` : nothing}
        <div class="buttons">
          <button type="button" @click=${() => dialog.close()}>${cancel}</button>
          ${confirm ? html`<button class=${danger ? "danger" : "main"} ?disabled=${busy}>${confirm}</button>` : nothing}
        </div>
      </form>`,
      dialog,
    );
  }

  draw();
  dialog.showModal();
  return new Promise((resolve) => {
    dialog.addEventListener("close", () => {
      dialog.remove();
      resolve(values);
    });
  });
}
