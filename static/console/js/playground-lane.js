// One model's side of the playground: its messages, and an answer as it comes.
import { events } from "./playground-stream.js";

export function lane(words, doors) {
  const element = document.createElement("section");
  element.className = "card lane";
  const title = element.appendChild(document.createElement("h2"));
  const list = element.appendChild(document.createElement("div"));
  list.className = "turns";
  const mine = { element, model: "", messages: [], name, say, ask };
  return mine;

  function name(model) {
    mine.model = model;
    title.textContent = model;
  }

  // Shows a message and keeps it as part of the conversation.
  function say(message) {
    mine.messages.push(message);
    const turn = begun(message.role);
    const parts = Array.isArray(message.content) ? message.content : [{ type: "text", text: message.content ?? "" }];
    for (const part of parts) {
      if (part.type === "text") turn.text.textContent += part.text;
      else if (part.image_url) turn.box.append(picture(part.image_url.url));
    }
    if (message.tool_calls) showCalls(turn, message.tool_calls, false);
    return turn;
  }

  async function ask(body, signal, billAddress) {
    const began = performance.now();
    const turn = begun("assistant");
    turn.box.setAttribute("aria-busy", "true");
    let told = { content: "", thinking: "", calls: [], usage: null };
    let first = 0;
    let requestId = "";
    let stopped = false;
    try {
      const answer = await doors.post(body, signal);
      requestId = answer.headers.get("X-Oneapi-Request-Id") ?? "";
      if (!answer.ok) {
        turn.box.remove();
        return problem(await reason(answer), requestId);
      }
      if ((answer.headers.get("Content-Type") ?? "").includes("text/event-stream")) {
        for await (const event of events(answer.body)) {
          if (event.error) {
            problem(event.error.message ?? words.broken, requestId);
            break;
          }
          first ||= performance.now() - began;
          take(told, event.choices?.[0]?.delta ?? {});
          told.usage = event.usage ?? told.usage;
          show(turn, told);
        }
      } else {
        const whole = await answer.json();
        take(told, whole.choices?.[0]?.message ?? {});
        told.usage = whole.usage ?? null;
        show(turn, told);
      }
    } catch (error) {
      stopped = error.name === "AbortError";
      problem(stopped ? words.stopped : words.offline, requestId, stopped);
    } finally {
      turn.box.removeAttribute("aria-busy");
    }
    if (told.content || told.calls.length) {
      const message = { role: "assistant", content: told.content };
      if (told.calls.length) message.tool_calls = told.calls;
      mine.messages.push(message);
      if (told.calls.length) showCalls(turn, told.calls, true);
    } else {
      turn.box.remove();
    }
    await facts({ total: performance.now() - began, first, usage: told.usage, requestId, billAddress, wait: stopped });
  }

  function take(told, delta) {
    told.content += delta.content ?? "";
    told.thinking += delta.reasoning_content ?? delta.reasoning ?? "";
    (delta.tool_calls ?? []).forEach((piece, place) => {
      const call = (told.calls[piece.index ?? place] ??= { id: "", type: "function", function: { name: "", arguments: "" } });
      call.id = piece.id || call.id;
      call.function.name += piece.function?.name ?? "";
      call.function.arguments += piece.function?.arguments ?? "";
    });
  }

  function show(turn, told) {
    if (told.thinking) {
      turn.thinking ??= thinkingBox(turn);
      turn.thinking.textContent = told.thinking;
    }
    turn.text.textContent = told.content;
  }

  // What it cost comes from the log, which the call is in before its last byte; one that was stopped takes a moment.
  async function facts({ total, first, usage, requestId, billAddress, wait }) {
    const line = list.appendChild(document.createElement("p"));
    line.className = "help turn-facts";
    const said = [];
    let bill = null;
    for (let tries = wait ? 6 : 2; requestId && !bill && tries > 0; tries -= 1) {
      if (wait) await new Promise((resolve) => setTimeout(resolve, 500));
      const answer = await fetch(`${billAddress}?request=${encodeURIComponent(requestId)}`).catch(() => null);
      if (answer?.ok) bill = await answer.json();
    }
    if (bill?.cost) said.push(bill.cost);
    const prompt = bill?.prompt ?? usage?.prompt_tokens;
    const completion = bill?.completion ?? usage?.completion_tokens;
    if (prompt !== undefined) said.push(filled(words.tokens, prompt, completion ?? 0));
    if (first) said.push(filled(words.first, seconds(first)));
    said.push(filled(words.total, seconds(total)));
    line.textContent = said.join(" · ");
    line.title = requestId ? `${words.request}: ${requestId}` : "";
  }

  function begun(role) {
    const box = list.appendChild(document.createElement("div"));
    box.className = `turn ${role}`;
    const who = box.appendChild(document.createElement("p"));
    who.className = "turn-who";
    who.textContent = role === "user" ? words.you : role === "tool" ? words.tool : words.model;
    const text = box.appendChild(document.createElement("div"));
    text.className = "turn-text";
    if (role === "assistant") text.setAttribute("aria-live", "polite");
    return { box, text, thinking: null };
  }

  function thinkingBox(turn) {
    const details = document.createElement("details");
    const summary = details.appendChild(document.createElement("summary"));
    summary.textContent = words.thinking;
    const text = details.appendChild(document.createElement("div"));
    text.className = "turn-text help";
    turn.box.insertBefore(details, turn.text);
    return text;
  }

  // With `open`, the person may say what the tools would have answered, and the conversation goes on.
  function showCalls(turn, calls, open) {
    const results = [];
    for (const call of calls) {
      const box = turn.box.appendChild(document.createElement("div"));
      box.className = "tool-call";
      const head = box.appendChild(document.createElement("p"));
      head.className = "turn-who";
      head.textContent = `${words.calls} `;
      head.appendChild(document.createElement("code")).textContent = call.function.name;
      const pre = box.appendChild(document.createElement("pre"));
      pre.tabIndex = 0;
      pre.appendChild(document.createElement("code")).textContent = pretty(call.function.arguments);
      if (open) {
        const input = box.appendChild(document.createElement("textarea"));
        input.className = "form-control mono";
        input.rows = 2;
        input.placeholder = words.result;
        input.setAttribute("aria-label", `${words.result}: ${call.function.name}`);
        results.push([call, input]);
      }
    }
    if (!open) return;
    const button = turn.box.appendChild(document.createElement("button"));
    button.type = "button";
    button.className = "btn btn-sm";
    button.textContent = words.sendResults;
    button.addEventListener("click", () => {
      button.remove();
      for (const [call, input] of results) {
        const content = input.value;
        input.remove();
        say({ role: "tool", tool_call_id: call.id, content });
      }
      doors.keep();
      doors.again(mine);
    });
  }

  function problem(text, requestId, mild = false) {
    const box = list.appendChild(document.createElement("div"));
    box.className = mild ? "note warning" : "note error";
    box.setAttribute("role", mild ? "status" : "alert");
    box.appendChild(document.createElement("p")).textContent = text;
    if (requestId && !mild && !text.includes(requestId)) {
      const line = box.appendChild(document.createElement("p"));
      line.textContent = `${words.request}: `;
      line.appendChild(document.createElement("code")).textContent = requestId;
    }
  }

  async function reason(answer) {
    try {
      const body = await answer.json();
      return body.error?.message || filled(words.failed, answer.status);
    } catch {
      return filled(words.failed, answer.status);
    }
  }

  function picture(url) {
    const image = document.createElement("img");
    image.className = "turn-image";
    image.src = url;
    image.alt = words.image;
    return image;
  }
}

function seconds(milliseconds) {
  return (milliseconds / 1000).toFixed(2);
}

function filled(text, ...values) {
  return values.reduce((done, value) => done.replace("%s", value), text);
}

function pretty(text) {
  try {
    return JSON.stringify(JSON.parse(text), null, 2);
  } catch {
    return text;
  }
}
