import OpenAI from "openai";
import { ADDRESS, DESCRIPTION, HELLO, KEY, MODEL, NAME, ORDER, SCHEMA, runs, tell } from "./scene.js";

const client = new OpenAI({ baseURL: `${ADDRESS}/v1`, apiKey: KEY });
const tools = [{ type: "function", function: { name: NAME, description: DESCRIPTION, parameters: SCHEMA } }];
const ask = (messages, more = {}) => client.chat.completions.create({ model: MODEL, messages, ...more });
const heard = ({ choices, usage }) => [choices[0].message.content ?? "", usage.prompt_tokens, usage.completion_tokens];

const plain = await ask([{ role: "user", content: HELLO }]);

let text = "";
let usage;
const options = { stream: true, stream_options: { include_usage: true } };
for await (const chunk of await ask([{ role: "user", content: HELLO }], options)) {
  text += chunk.choices[0]?.delta.content ?? "";
  usage = chunk.usage ?? usage;
}

const messages = [{ role: "user", content: ORDER }];
const called = await ask(messages, { tools });
messages.push(called.choices[0].message);
for (const call of called.choices[0].message.tool_calls) {
  messages.push({ role: "tool", tool_call_id: call.id, content: runs(JSON.parse(call.function.arguments)) });
}
const done = await ask(messages, { tools });

const stream = [text, usage.prompt_tokens, usage.completion_tokens];
tell({ plain: heard(plain), stream, called: heard(called), done: heard(done) });
