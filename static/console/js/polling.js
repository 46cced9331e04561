// [data-poll="5"][hx-trigger="poll"]: gets the event "poll" every so many seconds while the page is seen and it is in it.
// An answer without the attribute ends it; a checkbox named by data-poll-switch can pause it.
const next = new WeakMap();

setInterval(() => {
  if (document.hidden) return;
  const now = Date.now();
  for (const element of document.querySelectorAll("[data-poll]")) {
    const toggle = element.dataset.pollSwitch && document.getElementById(element.dataset.pollSwitch);
    if (toggle && !toggle.checked) continue;
    const due = next.get(element) ?? now + element.dataset.poll * 1000;
    if (now >= due) element.dispatchEvent(new CustomEvent("poll"));
    next.set(element, now >= due ? now + element.dataset.poll * 1000 : due);
  }
}, 250);

// What was opened by hand stays open in what comes in its place.
let opened = [];
document.addEventListener("htmx:beforeSwap", (event) => {
  opened = [...event.detail.target.querySelectorAll("details[id][open]")].map((details) => details.id);
});
document.addEventListener("htmx:afterSwap", () => {
  for (const id of opened) document.getElementById(id)?.setAttribute("open", "");
});
