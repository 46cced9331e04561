import Anthropic from "@anthropic-ai/sdk";
import { ADDRESS, DESCRIPTION, HELLO, KEY, MAXIMUM, MODEL, NAME, ORDER, SCHEMA, runs, tell } from "./scene.js";

const client = new Anthropic({ baseURL: ADDRESS, apiKey: KEY });
const tools = [{ name: NAME, description: DESCRIPTION, input_schema: SCHEMA }];
const asked = (messages, more = {}) => ({ model: MODEL, max_tokens: MAXIMUM, messages, ...more });
const heard = ({ content, usage }) => [
  content.filter((block) => block.type === "text").map((block) => block.text).join(""),
  usage.input_tokens,
  usage.output_tokens,
];

const plain = await client.messages.create(asked([{ role: "user", content: HELLO }]));

let text = "";
const stream = client.messages.stream(asked([{ role: "user", content: HELLO }]));
stream.on("text", (piece) => (text += piece));
const whole = heard(await stream.finalMessage());
if (whole[0] !== text) throw new Error(`the pieces give ${text}, the whole is ${whole[0]}`);

const messages = [{ role: "user", content: ORDER }];
const called = await client.messages.create(asked(messages, { tools }));
messages.push({ role: "assistant", content: called.content });
const results = called.content
  .filter((block) => block.type === "tool_use")
  .map((block) => ({ type: "tool_result", tool_use_id: block.id, content: runs(block.input) }));
messages.push({ role: "user", content: results });
const done = await client.messages.create(asked(messages, { tools }));

tell({ plain: heard(plain), stream: whole, called: heard(called), done: heard(done) });
