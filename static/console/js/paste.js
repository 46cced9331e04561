// [data-paste]: fills the field of its form from the clipboard; there only where the browser can read it.
import { say } from "./toasts.js";
import { word } from "./words.js";

function prepare() {
  if (!navigator.clipboard?.readText) return;
  for (const button of document.querySelectorAll("[data-paste][hidden]")) button.hidden = false;
}
prepare();
document.addEventListener("htmx:afterSettle", prepare);

document.addEventListener("click", async (event) => {
  const field = event.target.closest?.("[data-paste]")?.form.querySelector("input:not([type=hidden])");
  if (!field) return;
  try {
    field.value = (await navigator.clipboard.readText()).trim();
    field.focus();
  } catch {
    say("error", word("pasteByHand"));
  }
});
