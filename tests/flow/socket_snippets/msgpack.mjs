// As much of MessagePack as JSON has, in the interface of the usual libraries: written for the tests, so that they need none.

export function encode(value) {
  const bytes = [];
  write(value, bytes);
  return new Uint8Array(bytes);
}

export function decode(bytes) {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  return read({ view, at: 0 });
}

function write(value, out) {
  if (value === null || value === undefined) out.push(0xc0);
  else if (value === false || value === true) out.push(value ? 0xc3 : 0xc2);
  else if (typeof value === "number") {
    const view = new DataView(new ArrayBuffer(8));
    view.setFloat64(0, value);
    out.push(0xcb, ...new Uint8Array(view.buffer));
  } else if (typeof value === "string") {
    const text = new TextEncoder().encode(value);
    out.push(0xdb, ...length(text.length), ...text);
  } else if (Array.isArray(value)) {
    out.push(0xdd, ...length(value.length));
    value.forEach((item) => write(item, out));
  } else {
    const entries = Object.entries(value);
    out.push(0xdf, ...length(entries.length));
    entries.flat().forEach((item) => write(item, out));
  }
}

const length = (count) => [count >>> 24, (count >>> 16) & 255, (count >>> 8) & 255, count & 255];

function read(from) {
  const { view } = from;
  const kind = view.getUint8(from.at++);
  const number = (method, size) => {
    from.at += size;
    return view[method](from.at - size);
  };
  const text = (size) => {
    from.at += size;
    return new TextDecoder().decode(new Uint8Array(view.buffer, view.byteOffset + from.at - size, size));
  };
  const array = (size) => Array.from({ length: size }, () => read(from));
  const map = (size) => Object.fromEntries(Array.from({ length: size }, () => [read(from), read(from)]));
  if (kind < 0x80) return kind;
  if (kind < 0x90) return map(kind & 15);
  if (kind < 0xa0) return array(kind & 15);
  if (kind < 0xc0) return text(kind & 31);
  if (kind >= 0xe0) return kind - 256;
  switch (kind) {
    case 0xc0: return null;
    case 0xc2: return false;
    case 0xc3: return true;
    case 0xca: return number("getFloat32", 4);
    case 0xcb: return number("getFloat64", 8);
    case 0xcc: return number("getUint8", 1);
    case 0xcd: return number("getUint16", 2);
    case 0xce: return number("getUint32", 4);
    case 0xd0: return number("getInt8", 1);
    case 0xd1: return number("getInt16", 2);
    case 0xd2: return number("getInt32", 4);
    case 0xd9: return text(number("getUint8", 1));
    case 0xda: return text(number("getUint16", 2));
    case 0xdb: return text(number("getUint32", 4));
    case 0xdc: return array(number("getUint16", 2));
    case 0xdd: return array(number("getUint32", 4));
    case 0xde: return map(number("getUint16", 2));
    case 0xdf: return map(number("getUint32", 4));
    default: throw new Error(`no type 0x${kind.toString(16)} here`);
  }
}
