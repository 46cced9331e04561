// A token of Turnstile is good once: after it was spent on a code, another one is fetched for the form itself.
document.addEventListener("htmx:afterRequest", (event) => {
  if (event.target.matches?.("[data-uses-human]")) window.turnstile?.reset();
});
