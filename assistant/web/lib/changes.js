// What changed on the server, told by one stream: views load again what they show, and nothing asks by the clock.
import { events, request } from "./api.js";
import { useEffect, useRef, useState } from "./dom.js";

const FIRST_WAIT = 500;
const LONGEST_WAIT = 15_000;

const listeners = new Set();
let stream = null;
let connected = null; // null: not yet known

function tell(change) {
  for (const listener of listeners) listener(change);
}

function setConnected(now) {
  if (connected === now) return;
  connected = now;
  tell({ topics: ["connection"] });
}

async function follow(signal) {
  for (let wait = FIRST_WAIT; !signal.aborted; wait = Math.min(wait * 2, LONGEST_WAIT)) {
    try {
      const response = await request("v1/changes", { signal });
      for await (const change of events(response)) {
        wait = FIRST_WAIT;
        setConnected(true);
        if (change.topics) tell(change);
      }
    } catch (error) {
      if (signal.aborted || error.status === 401) return;
      if (error.status === 404 || error.status === 403) return; // this server, or this key, has no such stream
    }
    setConnected(false);
    await pause(wait * (0.75 + Math.random() / 2), signal);
  }
}

/** Waits, or less where the browser says that it is online again. */
function pause(milliseconds, signal) {
  return new Promise((resolve) => {
    const done = () => {
      clearTimeout(timer);
      removeEventListener("online", done);
      resolve();
    };
    const timer = setTimeout(done, milliseconds);
    addEventListener("online", done);
    signal.addEventListener("abort", done);
  });
}

export function startChanges() {
  if (stream) return;
  stream = new AbortController();
  follow(stream.signal);
}

export function stopChanges() {
  stream?.abort();
  stream = null;
  connected = null;
}

/** Calls `heard` with `{topics, sessions?}` whenever one of the topics changed. */
export function useChanges(topics, heard) {
  const latest = useRef(heard);
  latest.current = heard;
  useEffect(() => {
    const listener = (change) => change.topics.some((topic) => topics.includes(topic)) && latest.current(change);
    listeners.add(listener);
    return () => listeners.delete(listener);
  }, [topics.join()]);
}

/** Whether the server is there: false after the stream of changes broke off, until it is back. */
export function useConnected() {
  const [now, set] = useState(connected);
  useChanges(["connection"], () => set(connected));
  return now !== false;
}

/**
 * What `load` returns, loaded again when one of the topics changed: `{data, error, again}`. `keys`: what it depends on.
 * An answer that is overtaken by a later one is left out.
 */
export function useLoaded(load, topics = [], keys = []) {
  const [state, set] = useState({ data: null, error: null });
  const asked = useRef(0);
  const again = async () => {
    const mine = ++asked.current;
    try {
      const data = await load();
      if (mine === asked.current) set({ data, error: null });
    } catch (error) {
      if (mine === asked.current) set((before) => ({ ...before, error }));
    }
  };
  useEffect(() => {
    set({ data: null, error: null });
    again();
    return () => {
      asked.current++;
    };
  }, keys);
  useChanges([...topics, "connection"], (change) => {
    if (!change.topics.includes("connection") || connected) again();
  });
  return { ...state, again };
}
