// form[data-guard]: leaving with changes asks first.
import { word } from "./words.js";

document.addEventListener("input", (event) => {
  const form = event.target.closest?.("form[data-guard]");
  if (form) form.dataset.dirty = "yes";
});
document.addEventListener("submit", (event) => delete event.target.dataset.dirty);
window.addEventListener("beforeunload", (event) => {
  if (document.querySelector("form[data-dirty]")) event.preventDefault();
});
document.addEventListener("click", (event) => {
  const close = event.target.closest?.("[data-close]");
  const form = close?.closest("dialog")?.querySelector("form[data-dirty]");
  if (form && !window.confirm(word("unsaved"))) {
    event.preventDefault();
    event.stopImmediatePropagation();
  }
}, true);
