// An answer as it is written, with nothing but fetch: `node stream_fetch.mjs "a question"`.

const base = process.env.NANOBOT_URL ?? "http://127.0.0.1:8900";

const response = await fetch(`${base}/v1/chat/completions`, {
  method: "POST",
  headers: { "Content-Type": "application/json" },
  body: JSON.stringify({
    messages: [{ role: "user", content: process.argv[2] ?? "hi" }],
    session_id: "my-session",
    stream: true,
  }),
});
if (!response.ok) {
  throw new Error((await response.json()).error.message);
}

for await (const data of events(response.body)) {
  if (data === "[DONE]") {
    process.stdout.write("\n[done]\n");
    break;
  }
  const chunk = JSON.parse(data);
  if (chunk.error) {
    throw new Error(chunk.error.message); // the answer broke off
  }
  process.stdout.write(chunk.choices[0]?.delta.content ?? "");
}

// The data of each server-sent event. Events end with an empty line; lines that begin with ":" are comments that keep the connection alive.
async function* events(body) {
  let buffer = "";
  for await (const text of body.pipeThrough(new TextDecoderStream())) {
    buffer += text;
    const whole = buffer.split("\n\n");
    buffer = whole.pop();
    for (const event of whole) {
      const lines = event.split("\n").filter((line) => line.startsWith("data:"));
      if (lines.length) {
        yield lines.map((line) => line.slice(5).trimStart()).join("\n");
      }
    }
  }
}
