// The playground: a conversation with one model or with two side by side. It lives in sessionStorage, per tab; the server
// passes each request on with the chosen key, which never comes here.
import { say } from "./toasts.js";
import { lane } from "./playground-lane.js";
import { programs } from "./playground-code.js";

const form = document.querySelector("[data-playground]");
const STORE = "playground";
const MOST_IMAGES = 10 * 1024 * 1024; // bytes, as data addresses

if (form) begin();

function begin() {
  const words = document.getElementById("play-words").dataset;
  const lanesBox = form.querySelector("[data-lanes]");
  const stop = form.querySelector("[data-stop]");
  const send = form.querySelector("button[type=submit]");
  const code = form.querySelector("[data-code]");
  const attached = form.querySelector("[data-attached]");
  const field = (name) => form.elements.namedItem(name);
  for (const element of form.querySelectorAll("[data-only-script]")) element.hidden = false;
  let images = [];
  let aborter = null;
  let warned = false;
  const lanes = [];
  const kept = read();
  restore();

  function models() {
    const other = field("other_model").value;
    return other ? [field("model").value, other] : [field("model").value];
  }

  function settings() {
    const number = (name) => (field(name)?.value ? Number(field(name).value) : undefined);
    const tools = field("tools").value.trim() ? JSON.parse(field("tools").value) : undefined;
    if (tools !== undefined && !Array.isArray(tools)) throw new SyntaxError("no list");
    const chosen = { temperature: number("temperature"), top_p: number("top_p"), max_tokens: number("max_tokens"), tools: tools?.length ? tools : undefined };
    return Object.fromEntries(Object.entries(chosen).filter(([, value]) => value !== undefined));
  }

  function bodyOf(model, messages) {
    const system = field("system").value.trim();
    const stream = form.querySelector("[data-stream]").checked;
    return {
      model,
      messages: system ? [{ role: "system", content: system }, ...messages] : messages,
      ...settings(),
      ...(stream ? { stream: true, stream_options: { include_usage: true } } : {}),
    };
  }

  function laneFor(place) {
    if (!lanes[place]) {
      lanes[place] = lane(words, { post, keep, again: (mine) => ask([mine]) });
      lanesBox.querySelector("[data-play-empty]")?.remove();
      lanesBox.append(lanes[place].element);
    }
    return lanes[place];
  }

  async function post(request, signal) {
    const channel = Number(field("channel")?.value) || null;
    return fetch(form.dataset.call, {
      method: "POST",
      headers: { "Content-Type": "application/json", "X-CSRFToken": field("csrfmiddlewaretoken").value },
      body: JSON.stringify({ key: Number(field("key").value), channel, request }),
      signal,
    });
  }

  async function ask(some) {
    aborter = new AbortController();
    stop.hidden = false;
    send.disabled = true;
    try {
      await Promise.all(some.map((mine) => mine.ask(bodyOf(mine.model, mine.messages), aborter.signal, form.dataset.bill)));
    } finally {
      stop.hidden = true;
      send.disabled = false;
      keep();
      showCode();
    }
  }

  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    const text = field("message").value.trim();
    if (!text && !images.length) {
      field("message").focus();
      return;
    }
    try {
      settings();
    } catch {
      say("error", words.badTools);
      field("tools").focus();
      return;
    }
    if (aborter && !stop.hidden) return;
    const content = images.length
      ? [...(text ? [{ type: "text", text }] : []), ...images.map((url) => ({ type: "image_url", image_url: { url } }))]
      : text;
    const wanted = models();
    const some = wanted.map((model, place) => {
      const mine = laneFor(place);
      mine.name(model);
      mine.say({ role: "user", content });
      return mine;
    });
    for (const surplus of lanes.slice(wanted.length)) surplus.element.hidden = true;
    for (const mine of some) mine.element.hidden = false;
    lanesBox.classList.toggle("two", wanted.length > 1);
    field("message").value = "";
    attach([]);
    keep();
    await ask(some);
  });

  stop.addEventListener("click", () => aborter?.abort());

  form.querySelector("[data-clear]").addEventListener("click", () => {
    aborter?.abort();
    for (const mine of lanes) mine.element.remove();
    lanes.length = 0;
    lanesBox.replaceChildren();
    sessionStorage.removeItem(STORE);
    attach([]);
    field("message").focus();
  });

  form.querySelector("[data-images]").addEventListener("change", async (event) => {
    const added = await Promise.all([...event.target.files].map(asAddress));
    event.target.value = "";
    if ([...images, ...added].reduce((sum, url) => sum + url.length, 0) > MOST_IMAGES) say("error", words.tooLarge);
    else attach([...images, ...added]);
  });

  function attach(now) {
    images = now;
    attached.replaceChildren(
      ...images.map((url, place) => {
        const button = document.createElement("button");
        button.type = "button";
        button.className = "thumb";
        button.title = words.remove;
        button.setAttribute("aria-label", words.remove);
        const picture = document.createElement("img");
        picture.src = url;
        picture.alt = words.image;
        button.append(picture);
        button.addEventListener("click", () => attach(images.filter((_, other) => other !== place)));
        return button;
      }),
    );
  }

  code.addEventListener("toggle", showCode);
  form.addEventListener("change", () => { keep(); showCode(); });

  function showCode() {
    if (!code.open) return;
    let body;
    try {
      const messages = [...(lanes[0]?.messages ?? [])];
      while (messages.at(-1)?.role === "assistant") messages.pop(); // what was asked, not what was answered
      body = bodyOf(field("model").value, messages.length ? messages : [{ role: "user", content: field("message").value || "Hello" }]);
    } catch {
      return;
    }
    const written = programs(form.dataset.base, body);
    for (const place of code.querySelectorAll("[data-code-of]")) place.textContent = written[place.dataset.codeOf];
  }

  function keep() {
    const fields = Object.fromEntries(["model", "other_model", "key", "channel", "system", "temperature", "top_p", "max_tokens", "tools"].filter(field).map((name) => [name, field(name).value]));
    try {
      sessionStorage.setItem(STORE, JSON.stringify({ fields, lanes: lanes.map((mine) => ({ model: mine.model, messages: mine.messages })) }));
    } catch {
      if (!warned) say("warning", words.notKept);
      warned = true;
    }
  }

  function read() {
    try {
      return JSON.parse(sessionStorage.getItem(STORE) ?? "null");
    } catch {
      return null;
    }
  }

  function restore() {
    const asked = new URLSearchParams(location.search).get("model");
    for (const [name, value] of Object.entries(kept?.fields ?? {})) {
      const input = field(name);
      if (!input || (name === "model" && asked)) continue;
      if (input.tagName !== "SELECT" || [...input.options].some((option) => option.value === value)) input.value = value;
    }
    (kept?.lanes ?? []).forEach((saved, place) => {
      const mine = laneFor(place);
      mine.name(saved.model);
      for (const message of saved.messages) mine.say(message);
    });
    const shown = models().length;
    for (const surplus of lanes.slice(shown)) surplus.element.hidden = true;
    lanesBox.classList.toggle("two", shown > 1 && lanes.length > 1);
  }
}

function asAddress(file) {
  return new Promise((resolve, reject) => {
    const reader = new FileReader();
    reader.addEventListener("load", () => resolve(reader.result));
    reader.addEventListener("error", () => reject(reader.error));
    reader.readAsDataURL(file);
  });
}
