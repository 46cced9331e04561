// The drawer and the dialog: opened by what htmx puts into them, closed by Escape, the cross or a click beside them.
// A drawer has an address of its own; closing it goes back to the list's.
const drawer = document.getElementById("drawer");
const dialog = document.getElementById("dialog");
const hosts = { "drawer-body": drawer, "dialog-body": dialog };
let opener = null;
let listAddress = "";

document.addEventListener("htmx:beforeRequest", (event) => {
  const host = hosts[event.detail.target?.id];
  if (host && !host.open) {
    opener = event.detail.elt;
    if (host === drawer) listAddress = location.href;
  }
});

document.addEventListener("htmx:afterSwap", (event) => {
  const host = hosts[event.detail.target?.id];
  if (!host) return;
  if (!host.open) host.showModal();
  (host.querySelector("[data-error-summary], [autofocus]") ?? host.querySelector("h1, h2"))?.focus();
});

for (const host of [drawer, dialog]) {
  host.addEventListener("click", (event) => {
    const beside = event.target === host && !inside(host, event) && mayLeave(host);
    if (beside || event.target.closest("[data-close]")) {
      event.preventDefault();
      host.close();
    }
  });
  host.addEventListener("close", () => {
    host.firstElementChild.replaceChildren();
    if (host === drawer && listAddress && location.href !== listAddress) history.replaceState(null, "", listAddress);
    if (opener?.isConnected) opener.focus();
    opener = null;
  });
  host.addEventListener("cancel", (event) => {
    if (!mayLeave(host)) event.preventDefault();
  });
}

function inside(host, event) {
  const box = host.getBoundingClientRect();
  return event.clientX >= box.left && event.clientX <= box.right && event.clientY >= box.top && event.clientY <= box.bottom;
}

// What was typed is asked about; of the cross and Cancel unsaved.js has asked already.
function mayLeave(host) {
  return !host.querySelector("form[data-dirty]") || window.confirm(document.getElementById("words").dataset.unsaved);
}

// An answer may ask for both to be closed (header HX-Trigger: close-dialogs), as after a form was taken.
document.addEventListener("close-dialogs", () => {
  for (const host of [drawer, dialog]) if (host.open) host.close();
});
