// OpenAI's SDK for Node.
import OpenAI from "openai";
import { BASE, CALL, MODEL, equal, run } from "./checks.mjs";

const client = new OpenAI({ baseURL: BASE, apiKey: "none", maxRetries: 0 });
const history = [
  { role: "system", content: "Be brief." },
  { role: "user", content: "ECHO a" },
  { role: "assistant", content: "a" },
  { role: "user", content: "ECHO b" },
];
const weather = {
  type: "function",
  function: { name: "weather", parse: JSON.parse, function: () => "rain", parameters: { type: "object", properties: { at: { type: "string" } } } },
};

await run({
  history: async () => equal((await client.chat.completions.create({ model: MODEL, messages: history })).choices[0].message.content, "b"),
  stream: async () => equal(await client.chat.completions.stream({ model: MODEL, messages: history }).finalContent(), "b"),
  tools: async () => {
    const runner = client.chat.completions.runTools({ model: MODEL, messages: [{ role: "user", content: CALL }], tools: [weather] });
    equal(await runner.finalContent(), "done");
  },
  responses: async () => {
    const first = await client.responses.create({ model: MODEL, input: [{ role: "user", content: "ECHO a" }] });
    equal((await client.responses.create({ model: MODEL, input: "ECHO b", previous_response_id: first.id })).output_text, "b");
  },
});
