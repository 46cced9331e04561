// Cut a style sheet down to what our pages use: `node cut.mjs SHEET CHECKOUT` prints it. `update` does, where purgecss is.
// A class counts as used if its name stands anywhere in a template, a view or a script. Elements and attributes that no
// template names are listed here: operators' Markdown, Django's own widgets, and the pages' states make those.
import { PurgeCSS } from "purgecss";

const root = `${process.argv[3]}/`;
const made = `
  html body main header footer nav section article aside h1 h2 h3 h4 h5 h6 p hr ul ol li dl dt dd blockquote figure figcaption
  pre code kbd samp var a b strong em i s u del ins sub sup small mark abbr cite q br img svg picture video audio iframe
  table caption colgroup col thead tbody tfoot tr th td form fieldset legend label input button select option optgroup
  textarea output progress meter details summary dialog template address time
  type checkbox radio file number search email url date time datetime-local password submit reset button range color
  disabled readonly required checked selected multiple size open hidden href title lang dir role list placeholder
  form-control form-select form-check-input
`;
const [result] = await new PurgeCSS().purge({
  content: [
    ...["templates/**/*.html", "console/**/*.py", "static/console/js/*.js", "static/vendor/tom-select/*.js"].map((path) => root + path),
    { raw: made, extension: "html" },
  ],
  css: [process.argv[2]],
  fontFace: true,
  keyframes: true,
  variables: true,
  dynamicAttributes: ["data-theme", "data-bs-theme"],
});
process.stdout.write(result.css);
