// What a program does with OpenAI's SDK for Node: `node sdk.mjs <what>`, one of the names below; prints what came of it as JSON.
import OpenAI, { toFile } from "openai";

const client = new OpenAI({ baseURL: process.env.NANOBOT_URL, apiKey: process.env.NANOBOT_KEY, maxRetries: 0 });
const model = "tuned";
const hello = [{ role: "user", content: "ECHO hello" }];
const weather = { name: "weather", parameters: { type: "object", properties: { city: { type: "string" } } } };

async function all(pages) {
  const found = [];
  for await (const each of pages) found.push(each);
  return found;
}

// What it raises, by the SDK's own classes.
async function raised(call) {
  try {
    await call;
  } catch (error) {
    const kind = Object.entries(OpenAI).find(([, one]) => error.constructor === one)?.[0];
    return { kind, status: error.status, code: error.code, param: error.param, id: error.requestID };
  }
  return null;
}

const does = {
  async chat() {
    const answer = await client.chat.completions.create({ model, messages: hello });
    return { content: answer.choices[0].message.content, reason: answer.choices[0].finish_reason, usage: answer.usage, id: answer._request_id };
  },

  async stream() {
    const chunks = await all(
      await client.chat.completions.create({ model, messages: hello, stream: true, stream_options: { include_usage: true } }),
    );
    return { content: chunks.map((chunk) => chunk.choices[0]?.delta.content ?? "").join(""), last: chunks.at(-1) };
  },

  async tools() {
    const asked = [{ role: "user", content: 'CALLTOOL weather {"city": "Graz"}' }];
    const tools = [{ type: "function", function: weather }];
    const { message, finish_reason } = (await client.chat.completions.create({ model, messages: asked, tools })).choices[0];
    const [call] = message.tool_calls;
    const result = { role: "tool", tool_call_id: call.id, content: "clear" };
    const answer = await client.chat.completions.create({ model, messages: [...asked, message, result], tools });
    return { finish_reason, name: call.function.name, arguments: call.function.arguments, content: answer.choices[0].message.content };
  },

  async embeddings() {
    const input = ["a", "bb"];
    const made = (more) => client.embeddings.create({ model: "vectors", input, ...more });
    const [unsaid, float, base64] = [await made({}), await made({ encoding_format: "float" }), await made({ encoding_format: "base64" })];
    return {
      unsaid: unsaid.data.map((each) => Array.from(each.embedding)),
      float: float.data.map((each) => each.embedding),
      base64: base64.data.map((each) => Array.from(new Float32Array(new Uint8Array(Buffer.from(each.embedding, "base64")).buffer))),
    };
  },

  async completions() {
    const asked = { model: "texts", prompt: "once upon a time" };
    const chunks = await all(await client.completions.create({ ...asked, stream: true }));
    return { whole: (await client.completions.create(asked)).choices[0].text, pieces: chunks.map((chunk) => chunk.choices[0].text) };
  },

  async models() {
    return { listed: (await all(client.models.list())).map((each) => each.id), shown: await client.models.retrieve("vectors") };
  },

  async responses() {
    const first = await client.responses.create({ model, input: "ECHO one" });
    const types = (await all(await client.responses.create({ model, input: "ECHO two", previous_response_id: first.id, stream: true }))).map(
      (event) => event.type,
    );
    const shown = await client.responses.retrieve(first.id);
    await client.responses.delete(first.id);
    return { text: first.output_text, types, shown: shown.output_text, gone: await raised(client.responses.retrieve(first.id)) };
  },

  async files() {
    const made = await client.files.create({ file: await toFile(Buffer.from("a,b\n1,2\n"), "table.csv"), purpose: "user_data" });
    const listed = (await all(client.files.list())).map((each) => each.id);
    const text = await (await client.files.content(made.id)).text();
    const { deleted } = await client.files.delete(made.id);
    return { name: made.filename, bytes: made.bytes, listed: listed.includes(made.id), text, deleted };
  },

  async errors() {
    const chat = (more, by = client) => by.chat.completions.create({ model, messages: hello, ...more });
    return {
      wrong: await raised(chat({ temperature: 9 })),
      unheard: await raised(chat({ model: "unheard-of" })),
      stranger: await raised(chat({}, client.withOptions({ apiKey: "another" }))),
      large: await raised(client.post("/chat/completions", { body: { model, messages: [{ role: "user", content: "x".repeat(26 * 2 ** 20) }] } })),
      unsupported: await raised(client.post("/chat/completions", { body: "hello", headers: { "content-type": "text/plain" } })),
    };
  },

  // Of a model that fails: before its first word, or in the middle.
  async failures() {
    return raised(client.chat.completions.create({ model, messages: [{ role: "user", content: "hi" }] }));
  },

  async brokenStream() {
    const heard = [];
    const listen = async () => {
      for await (const chunk of await client.chat.completions.create({ model, messages: [{ role: "user", content: "hi" }], stream: true })) {
        heard.push(chunk.choices[0].delta.content ?? "");
      }
    };
    return { error: await raised(listen()), heard: heard.join("") };
  },
};

console.log(JSON.stringify(await does[process.argv[2]]()));
