// A conversation over a WebSocket, in JSON: `node chat_socket.mjs "a question" "another one"`. Node 22 or later; 20 with --experimental-websocket.
// The server answers MessagePack with MessagePack and JSON with JSON.

const base = process.env.NANOBOT_URL ?? "http://127.0.0.1:8900";
const key = process.env.NANOBOT_KEY; // a browser can't give a socket headers, so the key may stand in the address
const questions = process.argv.length > 2 ? process.argv.slice(2) : ["hi", "and again"];

const socket = new WebSocket(`${base.replace("http", "ws")}/chat${key ? `?api_key=${key}` : ""}`);
const ask = () => socket.send(JSON.stringify({ role: "user", content: questions.shift() }));

socket.onopen = ask;
socket.onmessage = ({ data }) => {
  if (typeof data !== "string") {
    return; // a ping, before the first question said that this is JSON
  }
  const frame = JSON.parse(data);
  switch (frame.type) {
    case "chunk":
      process.stdout.write(frame.done ? "\n" : frame.content);
      break;
    case "tool_call":
      process.stdout.write(`[${frame.name}]\n`);
      break;
    case "message": // the whole answer; the same thread can be gone on with over HTTP: session_id is its thread_id
      process.stdout.write(`[${frame.thread_id}]\n`);
      questions.length ? ask() : socket.close();
      break;
    case "error":
      process.stderr.write(`${frame.message}\n`);
      process.exitCode = 1;
      socket.close();
  }
};
socket.onclose = ({ code, reason }) => process.stdout.write(`[closed ${code}${reason ? `: ${reason}` : ""}]\n`);
