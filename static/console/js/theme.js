// Colours and the folded menu change at once; the forms behind them do the same with a reload.
const YEAR = 31536000;

function keep(name, value) {
  document.cookie = `${name}=${value}; path=/; max-age=${YEAR}; samesite=lax`;
}

// The account of whoever is signed in keeps it too; a browser that cannot say so has it in its cookie all the same.
function tell(form, button) {
  fetch(form.action, { method: "POST", body: new FormData(form, button), redirect: "manual", keepalive: true }).catch(() => {});
}

document.addEventListener("submit", (event) => {
  const button = event.submitter;
  if (event.target.matches("[data-theme-form]")) {
    event.preventDefault();
    document.documentElement.dataset.theme = button.value;
    keep("theme", button.value);
    tell(event.target, button);
    for (const other of event.target.querySelectorAll("button")) other.toggleAttribute("aria-current", other === button);
    event.target.closest("details").open = false;
    document.dispatchEvent(new CustomEvent("theme-changed"));
  } else if (event.target.matches("[data-sidebar-form]")) {
    event.preventDefault();
    const folded = document.documentElement.dataset.sidebar !== "folded";
    if (folded) document.documentElement.dataset.sidebar = "folded";
    else delete document.documentElement.dataset.sidebar;
    keep("sidebar", folded ? "folded" : "open");
    button.value = folded ? "folded" : "open";
    tell(event.target, button);
  }
});
