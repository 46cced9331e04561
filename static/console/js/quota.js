// [data-quota-box]: tells the typed amount in the other unit.
import { word } from "./words.js";

document.addEventListener("input", (event) => {
  const box = event.target.closest?.("[data-quota-box]");
  if (!box) return;
  const amount = Number(box.querySelector("[data-quota]").value);
  const perUnit = Number(box.dataset.perUnit);
  const dollars = box.querySelector("[data-quota-unit]").value === "dollars";
  const shown = box.querySelector("[data-quota-shown]");
  if (!Number.isFinite(amount) || !perUnit) shown.value = "";
  else shown.value = dollars ? word("points", Math.round(amount * perUnit)) : `$${(amount / perUnit).toFixed(2)}`;
});
