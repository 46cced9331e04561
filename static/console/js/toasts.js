// Messages: those that are no errors leave by themselves, unless they are looked at; all can be closed.
import { word } from "./words.js";

const STAY = { success: 5000, info: 8000, debug: 8000, warning: 10000 }; // milliseconds; errors stay
const box = document.getElementById("toasts");

export function say(kind, text) {
  if (kind === "error" && stands(text)) return;
  const toast = document.createElement("div");
  toast.className = `toast-box ${kind}`;
  toast.setAttribute("role", kind === "error" ? "alert" : "status");
  const paragraph = document.createElement("p");
  paragraph.textContent = text;
  toast.append(paragraph);
  box.append(toast);
}

// Errors stay, and what a page asks for by itself fails every few seconds while the server is away.
function stands(text) {
  return [...box.querySelectorAll(".error p")].some((one) => one.textContent === text);
}

function prepare(toast) {
  if (!toast.matches?.(".toast-box") || toast.dataset.ready) return;
  toast.dataset.ready = "yes";
  const close = document.createElement("button");
  close.type = "button";
  close.className = "icon-button";
  close.setAttribute("aria-label", word("dismiss"));
  close.textContent = "×";
  close.addEventListener("click", () => toast.remove());
  toast.append(close);
  const kind = [...toast.classList].find((name) => name in STAY);
  if (!kind) return;
  let timer;
  const leave = () => { timer = setTimeout(() => toast.remove(), STAY[kind]); };
  toast.addEventListener("mouseenter", () => clearTimeout(timer));
  toast.addEventListener("focusin", () => clearTimeout(timer));
  toast.addEventListener("mouseleave", leave);
  toast.addEventListener("focusout", leave);
  leave();
}

[...box.children].forEach(prepare);
new MutationObserver((changes) => changes.forEach((change) => change.addedNodes.forEach(prepare))).observe(box, { childList: true });

document.addEventListener("htmx:responseError", (event) => say("error", word("failed", event.detail.xhr.status)));
document.addEventListener("htmx:sendError", () => say("error", word("offline")));
