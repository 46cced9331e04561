// Elements whose words are cut off without a sign of it.
() => {
  const words = "main :is(button, a.btn, label, th, h1, h2, summary, .badge, .help, legend), nav a";
  const cuts = (value) => value === "hidden" || value === "clip";
  return [...document.querySelectorAll(words)]
    .filter((one) => one.checkVisibility() && !one.closest(".away, .table-box"))
    .filter((one) => {
      const style = getComputedStyle(one);
      if (style.textOverflow === "ellipsis" || !(cuts(style.overflowX) || cuts(style.overflowY))) return false;
      return one.scrollWidth > one.clientWidth + 1 || one.scrollHeight > one.clientHeight + 1;
    })
    .map((one) => one.outerHTML.slice(0, 120));
}
