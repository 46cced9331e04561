// The form of a channel: rows of the mapping, how many keys were typed, and Escape in a row's number.
function prepare(root) {
  for (const add of root.querySelectorAll("[data-pair-add]")) add.hidden = false;
  for (const box of root.querySelectorAll("[data-count-lines]")) count(box);
}

function count(box) {
  let shown = box.parentElement.querySelector("[data-lines]");
  if (!shown) {
    shown = document.createElement("output");
    shown.className = "help";
    shown.dataset.lines = "";
    box.after(shown);
  }
  const lines = box.value.split("\n").map((line) => line.trim()).filter(Boolean);
  const distinct = new Set(lines).size;
  shown.textContent = lines.length > 1 ? `${distinct} / ${lines.length}` : "";
}

document.addEventListener("input", (event) => {
  if (event.target.matches?.("[data-count-lines]")) count(event.target);
});

document.addEventListener("click", (event) => {
  const add = event.target.closest?.("[data-pair-add]");
  if (!add) return;
  const rows = add.closest("[data-pairs]").querySelector("[data-pair-rows]");
  const row = rows.lastElementChild.cloneNode(true);
  for (const box of row.querySelectorAll("input")) {
    box.value = "";
    box.removeAttribute("id");
  }
  rows.append(row);
  row.querySelector("input").focus();
});

// Escape in a number of a row puts back what was stored.
document.addEventListener("keydown", (event) => {
  if (event.key === "Escape" && event.target.matches?.("input[data-restore]")) {
    event.target.value = event.target.defaultValue;
    event.stopPropagation();
  }
});

prepare(document);
document.addEventListener("htmx:afterSettle", (event) => prepare(event.detail.elt));
