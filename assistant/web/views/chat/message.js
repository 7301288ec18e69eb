// A message as it is shown: words, files, what tools did, what waits for a yes.
import { request, step } from "../../lib/api.js";
import { html, useEffect, useLayoutEffect, useMemo, useRef, useState } from "../../lib/dom.js";
import { shortTime, size } from "../../lib/format.js";
import { Icon } from "../../lib/icons.js";
import { rendered, settledLength } from "../../lib/markdown.js";
import { Act, When } from "../../lib/parts.js";
import { t } from "../../lib/words.js";
import { Pending } from "./pending.js";

/** Messages as they are seen: each of the person, and everything of a turn that follows it as one. Of the turn that is `live`, only what was asked. */
export function grouped(messages, live) {
  const groups = [];
  const running = live?.id?.replace("chatcmpl-", "turn_");
  for (const message of messages) {
    if (message.turn_id === running && message.role !== "user") continue;
    const last = groups.at(-1);
    if (message.role === "user") groups.push({ key: message.seq, role: "user", at: message.created, message });
    else if (last?.role === "assistant" && last.turn === undefined) last.parts.push(message);
    else groups.push({ key: message.seq, role: "assistant", at: message.created, parts: [message] });
  }
  return groups;
}

export function Message({ group, thread, isLast, canAsk }) {
  return group.role === "user"
    ? html`<${Said} message=${group.message} thread=${thread} canAsk=${canAsk} />`
    : html`<${Answered} group=${group} thread=${thread} isLast=${isLast} />`;
}

function Said({ message, thread, canAsk }) {
  const [editing, setEditing] = useState(null);
  const send = (text) => async () => {
    setEditing(null);
    await thread.askAgain(message, text);
  };
  return html`<article class="said" aria-label=${t("You, {time}", { time: shortTime(message.created) })}>
    ${message.attachments.length > 0 && html`<${Attachments} of=${message.attachments} thread=${thread} />`}
    ${editing === null
      ? message.content && html`<div class="bubble">${message.content}</div>`
      : html`<form class="editing" onSubmit=${(event) => event.preventDefault()}>
          <textarea rows="4" aria-label=${t("Your message")} value=${editing} onInput=${(event) => setEditing(event.target.value)}></textarea>
          <div class="actions">
            <button type="button" class="button" onClick=${() => setEditing(null)}>${t("Cancel")}</button>
            <${Act} kind="main" act=${send(editing)} disabled=${!editing.trim()}>${t("Ask again")}</${Act}>
          </div>
        </form>`}
    <div class="under">
      <${When} at=${message.created} />
      <${Copy} text=${message.content} />
      ${canAsk && editing === null && html`<${Act} icon="edit" kind="quiet" label=${t("Change and ask again")} act=${() => setEditing(message.content)} />
        <${Act} icon="again" kind="quiet" label=${t("Answer again")} act=${send(message.content)} />`}
    </div>
  </article>`;
}

function Answered({ group, thread, isLast }) {
  const results = new Map(group.parts.filter(({ role }) => role === "tool").map((each) => [each.tool_call_id, each]));
  const words = group.parts.filter(({ role, content }) => role === "assistant" && content).map(({ content }) => content);
  const last = group.parts.at(-1);
  return html`<article class="answered" aria-label=${t("nanobot, {time}", { time: shortTime(group.at) })}>
    ${group.parts.map(
      (message) =>
        message.role === "assistant" &&
        html`<div key=${message.seq}>
          ${message.reasoning && html`<${Thoughts} text=${message.reasoning} />`}
          ${message.content && html`<${Words} text=${message.content} />`}
          ${message.tool_calls.map((call) => html`<${Step} key=${call.id} step=${ofStored(call, results.get(call.id))} isLast=${isLast} />`)}
          ${message.cut_off && html`<p class="cut">${cutOff(message.cut_off)}</p>`}
        </div>`,
    )}
    <div class="under">
      <${When} at=${last.created} />
      ${words.length > 0 && html`<${Copy} text=${words.join("\n\n")} />`}
    </div>
  </article>`;
}

const cutOff = (why) =>
  ({
    cancelled: t("Stopped."),
    interrupted: t("Broken off: the server ended before the answer was whole."),
    timeout: t("Broken off: it took too long."),
    failed: t("Broken off by an error."),
  })[why] ?? why;

const ofStored = (call, result) => ({
  call: call.id,
  tool: call.name,
  arguments: call.arguments,
  result: result?.content,
  state: !result ? "started" : result.pending ? "waits" : result.ok ? "finished" : "failed",
  pending: result?.pending ? { id: result.pending } : undefined,
});

/** The turn that runs: what is said so far, and its steps where they were made. */
export function Live({ turn }) {
  const pieces = [];
  let at = 0;
  for (const each of turn.steps) {
    if (each.after > at) pieces.push(html`<${Growing} key=${`w${at}`} text=${turn.text.slice(at, each.after)} />`);
    pieces.push(html`<${Step} key=${each.call} step=${each} isLast=${true} />`);
    at = each.after;
  }
  if (turn.text.length > at) pieces.push(html`<${Growing} key=${`w${at}`} text=${turn.text.slice(at)} />`);
  return html`
    ${turn.said !== undefined &&
    html`<article class="said">
      ${turn.files.length > 0 && html`<ul class="attached">${turn.files.map((file) => html`<li class="file"><${Icon} name="files" /><span>${file.filename}</span><small>${size(file.bytes)}</small></li>`)}</ul>`}
      ${turn.said && html`<div class="bubble">${turn.said}</div>`}
    </article>`}
    <article class="answered live">
      ${turn.thoughts && html`<${Thoughts} text=${turn.thoughts} open=${!turn.text} />`}
      ${pieces}
      <p class="working" role="status"><span class="pulse"></span><span class="hidden">${t("nanobot is at work")}</span></p>
    </article>`;
}

/** Words that still come: what is settled is rendered once, the rest at each frame. */
function Growing({ text }) {
  const settled = settledLength(text);
  const before = useMemo(() => (settled ? rendered(text.slice(0, settled)) : null), [settled]);
  const rest = text.slice(settled);
  return html`${before && html`<${Rendered} of=${before} />`}${rest && html`<div class="words" dangerouslySetInnerHTML=${rendered(rest)}></div>`}`;
}

function Words({ text }) {
  return html`<${Rendered} of=${useMemo(() => rendered(text), [text])} />`;
}

/** Rendered Markdown, with a button at each block of code. */
function Rendered({ of }) {
  const box = useRef();
  useLayoutEffect(() => {
    for (const block of box.current.querySelectorAll("pre")) {
      const button = document.createElement("button");
      button.type = "button";
      button.className = "button quiet copy";
      button.textContent = t("Copy");
      button.addEventListener("click", async () => {
        await navigator.clipboard.writeText(block.querySelector("code")?.textContent ?? "");
        button.textContent = t("Copied");
        setTimeout(() => (button.textContent = t("Copy")), 1500);
      });
      const frame = document.createElement("div");
      frame.className = "code";
      block.replaceWith(frame);
      frame.append(block, button);
    }
  }, [of.__html]);
  return html`<div class="words" ref=${box} dangerouslySetInnerHTML=${of}></div>`;
}

function Thoughts({ text, open = false }) {
  return html`<details class="thoughts" open=${open}><summary>${t("Thoughts")}</summary><div class="bubble">${text}</div></details>`;
}

function Step({ step: made, isLast }) {
  const state = { started: "wait", finished: "good", failed: "bad", waits: "wait" }[made.state] ?? "plain";
  const said = { started: t("at work"), finished: t("done"), failed: t("failed"), waits: t("waits for your yes") }[made.state];
  return html`<details class="step">
      <summary>
        <span class=${`dot ${state}`}></span><b>${made.tool}</b><span class="arguments">${brief(made.arguments)}</span><span class="hidden">${said}</span>
      </summary>
      ${made.arguments && html`<pre><code>${pretty(made.arguments)}</code></pre>`}
      ${made.result && html`<pre class="result"><code>${made.result}</code></pre>`}
    </details>
    ${made.pending && html`<${Pending} pending=${made.pending} isLast=${isLast} />`}`;
}

function values(written) {
  try {
    return JSON.parse(written);
  } catch {
    return written;
  }
}

/** The arguments in a few words. */
function brief(written) {
  const read = values(written ?? "");
  const given = read && typeof read === "object" ? Object.values(read) : [read];
  return given.map((each) => (typeof each === "string" ? each : JSON.stringify(each))).join(" · ").replace(/\s+/g, " ").slice(0, 120);
}

const pretty = (written) => {
  const read = values(written);
  return typeof read === "string" ? read : JSON.stringify(read, null, 2);
};

export function Copy({ text }) {
  const [done, setDone] = useState(false);
  useEffect(() => {
    if (!done) return undefined;
    const timer = setTimeout(() => setDone(false), 1500);
    return () => clearTimeout(timer);
  }, [done]);
  const copy = async () => {
    await navigator.clipboard.writeText(text);
    setDone(true);
  };
  return html`<${Act} icon=${done ? "check" : "copy"} kind="quiet" label=${done ? t("Copied") : t("Copy")} act=${copy} />`;
}

const PICTURE = /\.(png|jpe?g|gif|webp)$/i;

function Attachments({ of, thread }) {
  return html`<ul class="attached">
    ${of.map((file) => {
      const path = `${thread.path}/attachments/${step(file.id)}`;
      return html`<li key=${file.id} class=${file.kind === "image" ? "picture" : "file"}>
        ${file.kind === "image" && PICTURE.test(file.name)
          ? html`<a href=${path} target="_blank" rel="noopener"><img src=${path} alt=${file.name} loading="lazy" /></a>`
          : html`<button type="button" class="link" onClick=${() => save(path, file.name)}><${Icon} name="files" /><span>${file.name}</span><small>${size(file.size)}</small></button>`}
      </li>`;
    })}
  </ul>`;
}

async function save(path, name) {
  const blob = await (await request(path)).blob();
  const link = Object.assign(document.createElement("a"), { href: URL.createObjectURL(blob), download: name });
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
}
