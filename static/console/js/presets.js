// [data-presets]: buttons that put a usual limit, in dollars, into the quota field before them.
function show() {
  for (const box of document.querySelectorAll("[data-presets]")) box.hidden = false;
}
show();
document.addEventListener("htmx:afterSettle", show);

document.addEventListener("click", (event) => {
  const button = event.target.closest?.("[data-preset]");
  const form = button?.closest("form");
  if (!form) return;
  const box = form.querySelector("[data-quota-box]");
  const unlimited = form.elements.namedItem("unlimited");
  if (unlimited) unlimited.checked = false;
  box.querySelector("[data-quota-unit]").value = "dollars";
  const amount = box.querySelector("[data-quota]");
  amount.value = button.dataset.preset;
  amount.dispatchEvent(new Event("input", { bubbles: true }));
});
