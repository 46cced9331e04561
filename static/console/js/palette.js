// The palette by keyboard: arrows walk from the words through what was found, Enter in the words opens the first.
document.addEventListener("keydown", (event) => {
  const palette = event.target.closest?.(".palette");
  if (!palette) return;
  const words = palette.querySelector("[data-palette-words]");
  const links = [...palette.querySelectorAll(".palette-list a")];
  if (event.key === "Enter" && event.target === words && links.length) {
    event.preventDefault();
    links[0].click();
    return;
  }
  const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
  if (!step) return;
  event.preventDefault();
  const stops = [words, ...links];
  stops[(stops.indexOf(document.activeElement) + step + stops.length) % stops.length].focus();
});
