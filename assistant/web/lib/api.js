// Requests to the server. Paths are relative to the page, so that it works below any prefix: `api("v1/sessions")`.

export class ApiError extends Error {
  /** `status` 0: the server could not be reached. `code` is the server's: "session_busy". */
  constructor(status, message, code) {
    super(message);
    this.status = status;
    this.code = code;
  }
}

let onLoggedOut = () => {};

/** `called` is called whenever the server does not know the browser any more. */
export function whenLoggedOut(called) {
  onLoggedOut = called;
}

async function errorOf(response) {
  let told = {};
  try {
    told = (await response.json()).error ?? {};
  } catch {
    // A proxy's page: its status has to do.
  }
  if (response.status === 401) onLoggedOut();
  return new ApiError(response.status, told.message ?? `${response.status} ${response.statusText}`, told.code ?? "");
}

/** The response of a request that succeeded. Raises ApiError. */
export async function request(path, { method = "GET", body, signal, headers = {} } = {}) {
  let response;
  try {
    response = await fetch(path, {
      method,
      signal,
      headers: body === undefined ? headers : { "content-type": "application/json", ...headers },
      body: body === undefined ? undefined : JSON.stringify(body),
      credentials: "same-origin",
      cache: "no-store",
    });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new ApiError(0, "", "offline");
  }
  if (!response.ok) throw await errorOf(response);
  return response;
}

/** The JSON of an answer; null where there is none. Raises ApiError. */
export async function api(path, options) {
  const response = await request(path, options);
  return response.status === 204 ? null : response.json();
}

export const post = (path, body = {}) => api(path, { method: "POST", body });
export const remove = (path) => api(path, { method: "DELETE" });

/** A path with what is set of a query: `query("v1/tasks", { limit: 50, before: undefined })`. */
export function query(path, wanted) {
  const set = Object.entries(wanted).filter(([, value]) => value !== undefined && value !== null && value !== "");
  return set.length ? `${path}?${new URLSearchParams(set)}` : path;
}

/** A step of a path that may hold anything. */
export const step = (name) => encodeURIComponent(name);

/** The data of server-sent events as they come; ends with the stream, or at `[DONE]`. */
export async function* events(response) {
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  try {
    for (;;) {
      const { done, value } = await reader.read();
      if (done) return;
      rest += value;
      const whole = rest.split("\n\n");
      rest = whole.pop();
      for (const event of whole) {
        if (!event.startsWith("data: ")) continue;
        const data = event.slice(6);
        if (data === "[DONE]") return;
        yield JSON.parse(data);
      }
    }
  } finally {
    reader.cancel().catch(() => {});
  }
}

/** Sends a file to /v1/files; `progress` is called with a share from 0 to 1. Returns its description. Raises ApiError. */
export function upload(file, progress, signal) {
  return new Promise((resolve, reject) => {
    const sent = new XMLHttpRequest();
    const form = new FormData();
    form.append("purpose", "user_data");
    form.append("file", file, file.name);
    sent.open("POST", "v1/files");
    sent.upload.onprogress = (event) => event.lengthComputable && progress(event.loaded / event.total);
    sent.onerror = () => reject(new ApiError(0, "", "offline"));
    sent.onabort = () => reject(new DOMException("", "AbortError"));
    sent.onload = () => {
      let answer = {};
      try {
        answer = JSON.parse(sent.responseText);
      } catch {
        // A proxy's page: its status has to do.
      }
      if (sent.status === 401) onLoggedOut();
      if (sent.status < 300) resolve(answer);
      else reject(new ApiError(sent.status, answer.error?.message ?? `${sent.status} ${sent.statusText}`, answer.error?.code ?? ""));
    };
    signal?.addEventListener("abort", () => sent.abort());
    sent.send(form);
  });
}
