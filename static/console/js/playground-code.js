// A chat completion as programs. The key is not here: each reads it from the environment.
const KEY = "ONE_API_KEY";

export function programs(base, body) {
  return { curl: curl(base, body), python: python(base, body), javascript: javascript(base, body) };
}

function curl(base, body) {
  const json = JSON.stringify(shortened(body), null, 2).replaceAll("'", "'\\''");
  return `curl ${base}/v1/chat/completions \\\n  -H "Authorization: Bearer $${KEY}" \\\n  -H "Content-Type: application/json" \\\n  -d '${json}'`;
}

function python(base, body) {
  const { stream, ...rest } = shortened(body);
  const last = stream ? "for chunk in answer:\n    if chunk.choices:\n        print(chunk.choices[0].delta.content or \"\", end=\"\", flush=True)" : "print(answer.choices[0].message.content)";
  const members = Object.entries({ ...rest, ...(stream ? { stream } : {}) }).map(([name, value]) => `    ${name}=${literal(value, 1)},`);
  return `import os\n\nfrom openai import OpenAI\n\nclient = OpenAI(base_url=${JSON.stringify(`${base}/v1`)}, api_key=os.environ["${KEY}"])\nanswer = client.chat.completions.create(\n${members.join("\n")}\n)\n${last}\n`;
}

function javascript(base, body) {
  const shown = shortened(body);
  const last = shown.stream ? "for await (const chunk of answer) process.stdout.write(chunk.choices[0]?.delta?.content ?? \"\");" : "console.log(answer.choices[0].message.content);";
  return `import OpenAI from "openai";\n\nconst client = new OpenAI({ baseURL: ${JSON.stringify(`${base}/v1`)}, apiKey: process.env.${KEY} });\nconst answer = await client.chat.completions.create(${JSON.stringify(shown, null, 2)});\n${last}\n`;
}

// Images as data addresses would fill the page.
function shortened(body) {
  return JSON.parse(JSON.stringify(body, (name, value) => (name === "url" && typeof value === "string" && value.length > 200 ? `${value.slice(0, 60)}…` : value)));
}

function literal(value, depth) {
  const pad = "    ".repeat(depth + 1);
  const end = "    ".repeat(depth);
  if (value === null) return "None";
  if (value === true) return "True";
  if (value === false) return "False";
  if (Array.isArray(value)) return value.length ? `[\n${value.map((one) => `${pad}${literal(one, depth + 1)},`).join("\n")}\n${end}]` : "[]";
  if (typeof value === "object") return `{\n${Object.entries(value).map(([name, one]) => `${pad}${JSON.stringify(name)}: ${literal(one, depth + 1)},`).join("\n")}\n${end}}`;
  return JSON.stringify(value);
}
