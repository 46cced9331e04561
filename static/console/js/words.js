// Texts of scripts, translated by the server: data-attributes of <template id="words">.
const words = document.getElementById("words").dataset;

export function word(name, ...values) {
  return values.reduce((text, value) => text.replace("%s", value), words[name] ?? "");
}
