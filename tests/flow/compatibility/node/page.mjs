// What a page has around a snippet: the library of MessagePack under its name, and an end. A socket is closed when its answer is whole or has failed.
globalThis.msgpack = await import("@msgpack/msgpack").catch(() => undefined);

globalThis.WebSocket = class extends WebSocket {
  constructor(...given) {
    super(...given);
    this.addEventListener("message", async ({ data }) => {
      const frame = msgpack.decode(new Uint8Array(await data.arrayBuffer()));
      if (frame.type === "message" || frame.type === "error") this.close();
    });
  }
};
