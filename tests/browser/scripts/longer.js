// Pseudo-locale: each text of the page with accents and two fifths longer.
() => {
  const accents = { a: "á", e: "ë", i: "ï", o: "ö", u: "ü", A: "Å", E: "É", I: "Î", O: "Ø", U: "Û" };
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  const nodes = [];
  while (walker.nextNode()) nodes.push(walker.currentNode);
  for (const node of nodes) {
    const text = node.data.trim();
    const apart = node.parentElement.closest("script, style, template, code, pre, textarea, svg");
    if (apart || !/[a-z]{2}/i.test(text)) continue;
    const more = "löréms ".repeat(40).slice(0, Math.ceil(text.length * 0.4));
    node.data = node.data.replace(text, `${text.replace(/[aeiou]/gi, (one) => accents[one])} ${more}`);
  }
}
