// <details data-menu>: one open at a time, closed by Escape or a click elsewhere, walked through with the arrow keys.
const open = () => document.querySelectorAll("details[data-menu][open]");

document.addEventListener("click", (event) => {
  for (const menu of open()) if (!menu.contains(event.target)) menu.open = false;
});

// In a table, whose box cuts off what stands out of it, the list is laid over the page: below its button, or above it.
document.addEventListener("toggle", (event) => {
  const menu = event.target;
  if (!menu.matches?.(".table-box details[data-menu][open]")) return;
  const list = menu.querySelector(".menu-list");
  const button = menu.getBoundingClientRect();
  const fits = button.bottom + 6 + list.offsetHeight < window.innerHeight - 8;
  list.style.position = "fixed";
  list.style.insetInlineEnd = `${Math.max(document.documentElement.clientWidth - button.right, 8)}px`;
  list.style.top = `${fits ? button.bottom + 6 : Math.max(button.top - 6 - list.offsetHeight, 8)}px`;
}, true);

document.addEventListener("scroll", (event) => {
  for (const menu of document.querySelectorAll(".table-box details[data-menu][open]")) {
    if (!menu.contains(event.target)) menu.open = false;
  }
}, true);

document.addEventListener("keydown", (event) => {
  const menu = event.target.closest?.("details[data-menu][open]");
  if (!menu) return;
  if (event.key === "Escape") {
    menu.open = false;
    menu.querySelector("summary").focus();
    event.stopPropagation();
    return;
  }
  const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
  if (!step) return;
  const items = [...menu.querySelectorAll(".menu-list :is(a, button, input:not([type=hidden]))")];
  const next = items[(items.indexOf(document.activeElement) + step + items.length) % items.length];
  next?.focus();
  event.preventDefault();
});
