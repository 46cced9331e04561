import OpenAI from "openai";
import { ADDRESS, DESCRIPTION, HELLO, KEY, MODEL, NAME, ORDER, SCHEMA, runs, tell } from "./scene.js";

const client = new OpenAI({ baseURL: `${ADDRESS}/v1`, apiKey: KEY });
const tools = [{ type: "function", name: NAME, description: DESCRIPTION, parameters: SCHEMA, strict: false }];
const asked = (input, more = {}) => ({ model: MODEL, input, store: false, ...more });
const heard = ({ output_text, usage }) => [output_text, usage.input_tokens, usage.output_tokens];

const plain = await client.responses.create(asked(HELLO));

let text = "";
const stream = client.responses.stream(asked(HELLO));
for await (const event of stream) {
  if (event.type === "response.output_text.delta") text += event.delta;
}
const whole = heard(await stream.finalResponse());
if (whole[0] !== text) throw new Error(`the pieces give ${text}, the whole is ${whole[0]}`);

const input = [{ role: "user", content: ORDER }];
const called = await client.responses.create(asked(input, { tools }));
input.push(...called.output);
for (const call of called.output.filter((item) => item.type === "function_call")) {
  input.push({ type: "function_call_output", call_id: call.call_id, output: runs(JSON.parse(call.arguments)) });
}
const done = await client.responses.create(asked(input, { tools }));

tell({ plain: heard(plain), stream: whole, called: heard(called), done: heard(done) });
