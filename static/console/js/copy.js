// [data-copy]: copies the field or code beside it; where the browser does not allow it, selects the text to be copied by hand.
import { say } from "./toasts.js";
import { word } from "./words.js";

document.addEventListener("click", async (event) => {
  const button = event.target.closest("[data-copy]");
  if (!button) {
    if (event.target.matches?.("input[data-select]")) event.target.select();
    return;
  }
  const source = button.parentElement.querySelector("input, textarea, [data-copy-source]");
  const text = button.dataset.copy || source?.value || source?.textContent || "";
  try {
    await navigator.clipboard.writeText(text);
    say("success", word("copied"));
  } catch {
    select(source);
    say("warning", word("copyByHand"));
  }
});

function select(source) {
  if (source?.select) source.select();
  else if (source) getSelection().selectAllChildren(source);
}
