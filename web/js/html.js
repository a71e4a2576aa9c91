// Only this module imports the template library, whose templates write data as text, never as markup.
export { html, svg, nothing, render } from "../node_modules/lit-html/lit-html.js";
export { repeat } from "../node_modules/lit-html/directives/repeat.js";
export { live as bound } from "../node_modules/lit-html/directives/live.js";
