// Keys: "/" the page's search, Ctrl+K the palette, "?" help, "n" new, "g" and a letter a page. Off while typing, and for who wants them off.
const single = document.documentElement.dataset.shortcuts !== "off";
let waitingForPage = 0;

document.addEventListener("keydown", (event) => {
  if ((event.ctrlKey || event.metaKey) && event.key.toLowerCase() === "k") {
    press(event, document.querySelector("[data-palette]"));
    return;
  }
  if ((event.ctrlKey || event.metaKey) && event.key === "Enter") {
    event.target.closest?.("form")?.requestSubmit();
    return;
  }
  if (!single || event.ctrlKey || event.metaKey || event.altKey || typing(event.target) || document.querySelector("dialog[open]")) return;
  if (Date.now() < waitingForPage) {
    waitingForPage = 0;
    press(event, document.querySelector(`[data-go="${CSS.escape(event.key)}"]`));
  } else if (event.key === "g") {
    waitingForPage = Date.now() + 1500;
  } else if (event.key === "/") {
    const search = document.querySelector("main .search-box, main input[type=search]");
    if (search) { search.focus(); event.preventDefault(); }
  } else if (event.key === "n") {
    press(event, document.querySelector("[data-new]"));
  } else if (event.key === "?") {
    press(event, document.querySelector("[data-help]"));
  }
});

function press(event, element) {
  if (!element) return;
  event.preventDefault();
  element.click();
}

function typing(target) {
  return target.isContentEditable || /^(input|textarea|select)$/i.test(target.tagName);
}
