/* Passkeys (WebAuthn). A form with data-passkey asks the server what to ask the browser's keys for, puts their answer
   into its hidden field, and is sent as any form. Without this file its button stays off and says why. */

const bytes = (text) =>
  Uint8Array.from(atob(text.replaceAll("-", "+").replaceAll("_", "/")), (letter) => letter.charCodeAt(0));

const text = (buffer) =>
  btoa(String.fromCharCode(...new Uint8Array(buffer)))
    .replaceAll("+", "-")
    .replaceAll("/", "_")
    .replaceAll("=", "");

const descriptors = (list) => (list ?? []).map((one) => ({ ...one, id: bytes(one.id) }));

/* PublicKeyCredential.parse…FromJSON and toJSON do this in newer browsers; older ones are still about. */
const toAsk = (options) => ({
  ...options,
  challenge: bytes(options.challenge),
  ...(options.user && { user: { ...options.user, id: bytes(options.user.id) } }),
  ...(options.excludeCredentials && { excludeCredentials: descriptors(options.excludeCredentials) }),
  ...(options.allowCredentials && { allowCredentials: descriptors(options.allowCredentials) }),
});

const answered = (key) => ({
  id: key.id,
  rawId: text(key.rawId),
  type: key.type,
  authenticatorAttachment: key.authenticatorAttachment ?? undefined,
  clientExtensionResults: key.getClientExtensionResults(),
  response: Object.fromEntries(
    ["clientDataJSON", "attestationObject", "authenticatorData", "signature", "userHandle"]
      .filter((name) => key.response[name])
      .map((name) => [name, text(key.response[name])]),
  ),
});

async function ask(form) {
  const body = new URLSearchParams({ purpose: form.dataset.passkey });
  const headers = { "X-CSRFToken": form.elements.csrfmiddlewaretoken.value };
  const answer = await fetch(form.dataset.options, { method: "POST", body, headers });
  if (!answer.ok) throw new Error(`status ${answer.status}`);
  const publicKey = toAsk(await answer.json());
  const make = form.dataset.passkey === "register";
  return make ? navigator.credentials.create({ publicKey }) : navigator.credentials.get({ publicKey });
}

function prepare(form) {
  if ("ready" in form.dataset) return;
  form.dataset.ready = "";
  const button = form.querySelector("button");
  const failed = form.querySelector("[data-passkey-error]");
  form.querySelector("[data-passkey-note]").hidden = true;
  button.disabled = false;
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    failed.hidden = true;
    button.disabled = true;
    try {
      form.elements.credential.value = JSON.stringify(answered(await ask(form)));
      form.submit();
    } catch {
      failed.hidden = false;
      button.disabled = false;
    }
  });
}

function prepareAll(part) {
  if (window.PublicKeyCredential) part.querySelectorAll("form[data-passkey]").forEach(prepare);
}

prepareAll(document);
document.addEventListener("htmx:load", (event) => prepareAll(event.detail.elt));
