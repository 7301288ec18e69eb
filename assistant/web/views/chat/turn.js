// One session as it is open: its messages, page by page from the newest, and the turn that runs.
import { ApiError, api, events, post, query, remove, request, step, upload } from "../../lib/api.js";
import { useChanges } from "../../lib/changes.js";
import { useEffect, useRef, useState } from "../../lib/dom.js";
import { t } from "../../lib/words.js";

const PAGE = 30;

export function newSessionId() {
  const random = crypto.getRandomValues(new Uint32Array(2));
  return `page-${Date.now().toString(36)}-${[...random].map((each) => each.toString(36)).join("")}`;
}

const unknown = (error) => error instanceof ApiError && error.status === 404;

/**
 * `{messages, hasMore, loading, loadError, live, running, problem, send, stop, answerAgain, older, again}`.
 *
 * `live` is the turn that this page listens to: `{id, said, files, text, thoughts, steps}`; without `said` it was asked for elsewhere, or before the page was loaded.
 * `running`: a turn runs. A page that is seen listens to it, whoever asked.
 */
export function useThread(id, isNew) {
  const path = `v1/sessions/${step(id)}`;
  const [page, setPage] = useState({ messages: [], hasMore: false, loading: !isNew, loadError: null, running: false, title: "" });
  const [live, setLive] = useState(null);
  const [problem, setProblem] = useState(null);
  const here = useRef(true);
  const listening = useRef(null);
  const stored = useRef(!isNew); // whether the server has, or may have, something of it
  const draft = useRef(null); // the last message that was not accepted, and its key

  useEffect(() => () => ((here.current = false), listening.current?.abort()), []);
  useEffect(() => {
    // A browser has few connections to a server: one that is not seen leaves them to others.
    const turned = () => (document.hidden ? listening.current?.followed && listening.current.abort() : stored.current && again());
    document.addEventListener("visibilitychange", turned);
    return () => document.removeEventListener("visibilitychange", turned);
  }, []);

  const again = async (follows = true) => {
    try {
      const newest = await api(query(path, { latest: true, limit: PAGE }));
      if (!here.current) return;
      setPage((now) => ({
        messages: joined(now.messages, newest.data),
        hasMore: now.messages.length && overlaps(now.messages, newest.data) ? now.hasMore : newest.has_more,
        loading: false,
        loadError: null,
        running: newest.running,
        title: newest.title,
      }));
      if (newest.running && follows) follow();
    } catch (error) {
      if (!here.current) return;
      const gone = unknown(error);
      setPage((now) => (gone ? { ...now, messages: [], hasMore: false, loading: false, running: false } : { ...now, loading: false, loadError: now.messages.length ? null : error }));
    }
  };
  useEffect(() => {
    if (!isNew) again();
  }, []);
  useChanges(["sessions", "connection"], (change) => {
    if (listening.current || (change.sessions && !change.sessions.includes(id))) return;
    if (stored.current) again();
  });

  /** Shows the turn of a stream as it grows. Raises what the server says in its end. */
  const listen = async (response, begun) => {
    let turn = begun;
    let frame = 0;
    try {
      for await (const chunk of events(response)) {
        if (chunk.error) throw new ApiError(200, chunk.error.message, chunk.error.code);
        turn = next(turn, chunk);
        frame ||= requestAnimationFrame(() => {
          frame = 0;
          if (here.current) setLive(turn);
        });
      }
    } finally {
      cancelAnimationFrame(frame);
    }
  };

  /** Listens to the turn that runs, from its first word to its end; then shows what is stored. */
  const follow = async () => {
    if (listening.current || document.hidden) return;
    const abort = (listening.current = Object.assign(new AbortController(), { followed: true }));
    let ended = false; // else the connection broke off: a change tells when to try again
    try {
      const response = await request(`${path}/stream`, { signal: abort.signal });
      if (response.status === 200) {
        await listen(response, { files: [], text: "", thoughts: "", steps: [] });
        ended = true;
      }
    } catch (error) {
      ended = error instanceof ApiError && error.status === 200;
    }
    listening.current = null;
    if (!here.current) return;
    await again(ended);
    if (!listening.current) setLive(null);
  };

  const older = async () => {
    const first = page.messages[0]?.seq;
    if (!page.hasMore || first === undefined) return;
    const found = await api(query(path, { before: first, limit: PAGE }));
    if (here.current) setPage((now) => (now.messages[0]?.seq === first ? { ...now, messages: [...found.data, ...now.messages], hasMore: found.has_more } : now));
  };

  /** Sends words and files (as /v1/files described them). Resolves when the turn has ended, in whatever way. */
  const send = async (text, files = [], model) => {
    const same = draft.current && draft.current.text === text && draft.current.files === files;
    const key = same ? draft.current.key : crypto.randomUUID?.() ?? newSessionId();
    draft.current = { text, files, key };
    const parts = [...(text ? [{ type: "text", text }] : []), ...files.map((file) => ({ type: "file", file: { file_id: file.id } }))];
    const body = {
      ...(model ? { model } : {}),
      session_id: id,
      messages: [{ role: "user", content: parts }],
      stream: true,
      stream_options: { include_steps: true },
    };
    const abort = (listening.current = new AbortController());
    const turn = { said: text, files, text: "", thoughts: "", steps: [] };
    setProblem(null);
    setLive(turn);
    let begun = false;
    try {
      const response = await request("v1/chat/completions", { method: "POST", body, signal: abort.signal, headers: { "idempotency-key": key } });
      begun = stored.current = true;
      if (isNew && here.current && location.hash !== `#/chat/${id}`) history.replaceState(null, "", `#/chat/${encodeURIComponent(id)}`);
      await listen(response, turn);
      draft.current = null;
    } catch (error) {
      if (!here.current || error.name === "AbortError") return;
      const lost = begun && !(error instanceof ApiError && error.status === 200); // the connection, not the turn
      if (!lost) setProblem(error);
      if (!begun) {
        listening.current = null;
        setLive(null);
        throw error; // the composer keeps what was written
      }
    }
    listening.current = null;
    await again();
    if (here.current) setLive(null);
  };

  const stop = () => post(`${path}/stop`);

  /** Asks a message again, in other words or the same: what was said from it on goes. */
  const askAgain = async (message, text) => {
    const files = [];
    for (const each of message.attachments) {
      const kept = await request(`${path}/attachments/${step(each.id)}`);
      files.push(await upload(new File([await kept.blob()], each.name), () => {}));
    }
    await remove(query(`${path}/messages`, { from: message.seq }));
    setPage((now) => ({ ...now, messages: now.messages.filter((each) => each.seq < message.seq) }));
    await send(text, files);
  };

  return { id, path, ...page, live, problem, again, older, send, stop, askAgain };
}

/** The turn after a chunk of its stream. */
function next(turn, chunk) {
  const changed = { ...turn, id: chunk.id };
  for (const { delta } of chunk.choices ?? []) {
    if (delta?.content) changed.text += delta.content;
    if (delta?.reasoning_content) changed.thoughts += delta.reasoning_content;
  }
  const made = chunk.nanobot?.step;
  if (made) {
    const known = changed.steps.findIndex((each) => each.call === made.call);
    const told = { ...(changed.steps[known] ?? {}), ...made };
    changed.steps = known < 0 ? [...changed.steps, { ...told, after: changed.text.length }] : changed.steps.with(known, told);
  }
  if (chunk.nanobot?.pending) changed.pending = chunk.nanobot.pending;
  return changed;
}

const overlaps = (before, newest) => newest.length === 0 || before.some((each) => each.seq >= newest[0].seq - 1);

/** What is shown, with the newest page: what it holds replaces what was there, and what was removed behind it goes. */
function joined(before, newest) {
  if (!newest.length || !overlaps(before, newest)) return newest;
  return [...before.filter((each) => each.seq < newest[0].seq), ...newest];
}

/** The whole session as Markdown, for a file. */
export async function exported(id) {
  const path = `v1/sessions/${step(id)}`;
  const lines = [];
  for (let after = 0, more = true; more; ) {
    const page = await api(query(path, { after, limit: 1000 }));
    if (!after) lines.push(`# ${page.title || id}`, "");
    for (const message of page.data) {
      const who = { user: t("You"), assistant: "nanobot", tool: `${t("Result of")} ${message.name ?? ""}` }[message.role];
      lines.push(`**${who}** · ${new Date(message.created * 1000).toISOString()}`, "", message.content, "");
      for (const file of message.attachments) lines.push(`- ${file.name}`, "");
    }
    after = page.data.at(-1)?.seq ?? after;
    more = page.has_more && page.data.length > 0;
  }
  return lines.join("\n");
}
