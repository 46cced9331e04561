// Server-sent events of a chat completion: the JSON of each, until [DONE] or the end.
export async function* events(body) {
  const reader = body.pipeThrough(new TextDecoderStream()).getReader();
  let waiting = "";
  for (;;) {
    const { done, value } = await reader.read();
    waiting += value ?? "";
    const parts = waiting.split(/\r?\n\r?\n/);
    waiting = done ? "" : parts.pop();
    for (const part of parts) {
      const data = part.split(/\r?\n/).filter((line) => line.startsWith("data:")).map((line) => line.slice(5).trimStart()).join("\n");
      if (!data) continue;
      if (data === "[DONE]") continue;
      yield JSON.parse(data);
    }
    if (done) return;
  }
}
