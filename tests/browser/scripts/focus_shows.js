// Whether one sees that the element has the focus: it is in the window, under nothing, and has a ring.
(one) => {
  const box = one.getBoundingClientRect();
  const top = document.elementFromPoint(box.left + box.width / 2, box.top + box.height / 2);
  const uncovered = top && (one.contains(top) || top.contains(one));
  const ring = (element) => {
    const style = getComputedStyle(element);
    return style.outlineStyle !== "none" || style.boxShadow !== "none";
  };
  return Boolean(uncovered) && ring(one);
}
