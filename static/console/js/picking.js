// Choosing rows of a list: the box in the head chooses all, Shift a range; .bulk-bar tells how many and is there only then.
let last = null;

document.addEventListener("click", (event) => {
  const box = event.target;
  if (!box.matches?.("[data-pick-all], [data-pick]")) return;
  const scope = box.closest("[data-picks]") ?? document;
  const boxes = [...scope.querySelectorAll("[data-pick]")];
  if (box.matches("[data-pick-all]")) {
    for (const one of boxes) one.checked = box.checked;
  } else {
    if (event.shiftKey && last && boxes.includes(last)) {
      const [from, to] = [boxes.indexOf(last), boxes.indexOf(box)].sort((a, b) => a - b);
      for (const one of boxes.slice(from, to + 1)) one.checked = box.checked;
    }
    last = box;
  }
  count(scope);
});

export function count(scope) {
  const chosen = scope.querySelectorAll("[data-pick]:checked").length;
  for (const bar of scope.querySelectorAll("[data-bulk-bar]")) {
    bar.hidden = chosen === 0;
    const figure = bar.querySelector("[data-chosen]");
    if (figure) figure.textContent = String(chosen);
  }
}

function prepare() {
  for (const scope of document.querySelectorAll("[data-picks]")) count(scope);
}
prepare();
document.addEventListener("htmx:afterSettle", prepare);
