// The example of the chat API's document, with address, key and model changed; around it, what a page would do: say what it hears, and close.
import * as msgpack from "./msgpack.mjs";

const socket = new WebSocket(`${process.env.NANOBOT_URL.replace("http", "ws")}/chat?api_key=${process.env.NANOBOT_KEY}`);

// Send a chat message
const message = {
  role: "user",
  content: "Hello world",
  model: process.env.NANOBOT_MODEL // or any supported model
};

socket.onmessage = async (event) => {
  const data = msgpack.decode(new Uint8Array(await event.data.arrayBuffer()));
  if (data.type === "chunk") {
    console.log(data.content);
  }
  if (data.type === "message" || data.type === "error") {
    console.log(JSON.stringify(data));
    socket.close();
  }
};

socket.onopen = () => {
  socket.send(msgpack.encode(message));
};
