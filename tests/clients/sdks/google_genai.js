import { GoogleGenAI } from "@google/genai";
import { ADDRESS, DESCRIPTION, HELLO, KEY, MODEL, NAME, ORDER, SCHEMA, runs, tell } from "./scene.js";

const client = new GoogleGenAI({ apiKey: KEY, httpOptions: { baseUrl: ADDRESS } });
const declared = [{ name: NAME, description: DESCRIPTION, parametersJsonSchema: SCHEMA }];
const config = { tools: [{ functionDeclarations: declared }] };
const spoken = (answer) => answer.candidates[0].content.parts.map((part) => part.text ?? "").join("");
const figures = ({ usageMetadata }) => [usageMetadata.promptTokenCount, usageMetadata.candidatesTokenCount];
const heard = (answer) => [spoken(answer), ...figures(answer)];

const plain = await client.models.generateContent({ model: MODEL, contents: HELLO });

let text = "";
let last;
for await (const chunk of await client.models.generateContentStream({ model: MODEL, contents: HELLO })) {
  text += chunk.text ?? "";
  last = chunk.usageMetadata ? chunk : last;
}

const contents = [{ role: "user", parts: [{ text: ORDER }] }];
const called = await client.models.generateContent({ model: MODEL, contents, config });
contents.push(called.candidates[0].content);
const parts = called.functionCalls.map(({ id, name, args }) => ({
  functionResponse: { id, name, response: { output: runs(args) } },
}));
contents.push({ role: "user", parts });
const done = await client.models.generateContent({ model: MODEL, contents, config });

tell({ plain: heard(plain), stream: [text, ...figures(last)], called: heard(called), done: heard(done) });
