// form[data-guard]: leaving with changes asks first.
import { word } from "./words.js";

document.addEventListener("input", (event) => {
  const form = event.target.closest?.("form[data-guard]");
  if (form) form.dataset.dirty = "yes";
});
document.addEventListener("submit", (event) => {
  const form = event.target;
  if (form.dataset.dirty) form.dataset.sent = "yes";
  delete form.dataset.dirty;
});

// What was refused, or did not arrive, is as little saved as before.
function refused(part) {
  for (const told of part.querySelectorAll("[data-error-summary]")) {
    const form = told.closest("form[data-guard]");
    if (form) form.dataset.dirty = "yes";
  }
}
refused(document);
document.addEventListener("htmx:afterSettle", (event) => refused(event.detail.elt));
for (const failure of ["htmx:sendError", "htmx:responseError"]) {
  document.addEventListener(failure, (event) => {
    const form = event.target.closest?.("form[data-sent]");
    if (form) form.dataset.dirty = "yes";
  });
}
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
