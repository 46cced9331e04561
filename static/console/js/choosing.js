// select[data-choose]: a searchable picker instead of a long list; pasted lists are taken apart. "free": other names may be typed.
function enhance(root) {
  if (!window.TomSelect) return;
  for (const select of root.querySelectorAll("select[data-choose]")) {
    if (select.tomselect) continue;
    select.setAttribute("aria-hidden", "true"); // its label now names the box that stands for it
    new window.TomSelect(select, {
      plugins: ["remove_button"],
      create: select.dataset.choose === "free",
      splitOn: /[\s,]+/,
      maxOptions: 500,
      hideSelected: true,
      render: { no_results: null },
    });
    select.setAttribute("aria-hidden", "true"); // what has taken its place has its label
  }
}

enhance(document);
document.addEventListener("htmx:afterSettle", (event) => enhance(event.detail.elt));
