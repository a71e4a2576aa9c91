/** Dialogs over the page: the browser's own, so that focus stays in them and Escape closes them. */
import { html, nothing, render } from "./html.js";

/** Show something until it is closed. */
export function show(title, content) {
  return ask({ title, content, confirm: null, cancel: "Close" });
}

/**
 * Ask; the fields are those of the content, by their names.
 * @param {object} options
 * @param {string} options.title
 * @param {unknown} [options.about] what it is about, below the title
 * @param {unknown} [options.content] the fields
 * @param {string | null} [options.confirm] name of the button that does it
 * @param {string} [options.cancel]
 * @param {boolean} [options.danger] it takes something away
 * @param {(values: Record<string, string>) => Promise<void>} [options.act] does it; an error stays in the dialog
 * @returns {Promise<Record<string, string> | null>} null: it was closed
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
