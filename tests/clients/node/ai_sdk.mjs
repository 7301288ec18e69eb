// The AI SDK: its OpenAI provider (responses, and chat), and its compatible one.
import { createOpenAI } from "@ai-sdk/openai";
import { createOpenAICompatible } from "@ai-sdk/openai-compatible";
import { generateText, stepCountIs, streamText, tool } from "ai";
import { z } from "zod";
import { BASE, CALL, MODEL, equal, run } from "./checks.mjs";

globalThis.AI_SDK_LOG_WARNINGS = false;
const openai = createOpenAI({ baseURL: BASE, apiKey: "none" });
const compatible = createOpenAICompatible({ name: "nanobot", baseURL: BASE, apiKey: "none" });
const tools = { weather: tool({ description: "Tells it.", inputSchema: z.object({ at: z.string() }), execute: async () => "rain" }) };

async function turns(model) {
  const user = (text) => ({ role: "user", content: text });
  const first = await generateText({ model, messages: [user("ECHO a")], maxRetries: 0 });
  const second = await generateText({ model, messages: [user("ECHO a"), ...first.response.messages, user("ECHO b")], maxRetries: 0 });
  equal(second.text, "b");
}

async function called(model) {
  equal((await generateText({ model, prompt: CALL, tools, stopWhen: stepCountIs(3), maxRetries: 0 })).text, "done");
}

await run({
  history: () => turns(compatible(MODEL)),
  stream: async () => {
    const made = streamText({ model: compatible(MODEL), messages: [{ role: "user", content: "ECHO b" }], maxRetries: 0 });
    equal(await made.text, "b");
  },
  tools: () => called(compatible(MODEL)),
  "openai.chat history": () => turns(openai.chat(MODEL)),
  "openai.chat tools": () => called(openai.chat(MODEL)),
  responses: () => turns(openai(MODEL)),
  "responses tools": () => called(openai(MODEL)),
});
