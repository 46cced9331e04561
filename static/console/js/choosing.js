// select[data-choose]: a searchable picker instead of a long list; pasted lists are taken apart. "free": other names may be typed.
// select[data-choose-one]: the same for one of many.
// The library comes when the first such list is there, so that pages whose drawer alone has one are quick.
const LIBRARY = new URL("../../vendor/tom-select/tom-select.popular.min.js", import.meta.url);
let coming = null;

function library() {
  coming ??= new Promise((arrived, failed) => {
    const script = document.createElement("script");
    script.src = LIBRARY;
    script.addEventListener("load", arrived);
    script.addEventListener("error", failed);
    document.head.append(script);
  });
  return coming;
}

const LISTS = "select[data-choose], select[data-choose-one]";

function wishes(select) {
  if ("chooseOne" in select.dataset) return { maxOptions: 200, searchField: ["text"], render: { no_results: null } };
  return {
    plugins: ["remove_button"],
    create: select.dataset.choose === "free",
    splitOn: /[\s,]+/,
    maxOptions: 500,
    hideSelected: true,
    render: { no_results: null },
  };
}

async function enhance(root) {
  if (!root.querySelector(LISTS)) return;
  try {
    await library();
  } catch {
    coming = null; // the plain lists do as well, and the next one may try again
    return;
  }
  for (const select of root.querySelectorAll(LISTS)) {
    if (select.tomselect) continue;
    select.setAttribute("aria-hidden", "true"); // its label now names the box that stands for it
    new window.TomSelect(select, wishes(select));
    select.setAttribute("aria-hidden", "true"); // what has taken its place has its label
  }
}

enhance(document);
document.addEventListener("htmx:afterSettle", (event) => enhance(event.detail.elt));
