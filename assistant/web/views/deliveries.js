// What goes out: its state, parts and receipts; try again, cancel, send.
import { api, post, query, step } from "../lib/api.js";
import { useChanges } from "../lib/changes.js";
import { html, useState } from "../lib/dom.js";
import { size } from "../lib/format.js";
import { Act, Badge, Dialog, Facts, Field, Head, Loaded, More, Table, When, usePages } from "../lib/parts.js";
import { t } from "../lib/words.js";

const STATES = () => ({
  queued: ["wait", t("waits")],
  sending: ["wait", t("is sent")],
  sent: ["good", t("sent")],
  failed: ["bad", t("failed")],
  expired: ["bad", t("expired")],
  cancelled: ["plain", t("cancelled")],
  unknown: ["bad", t("perhaps sent")],
});
const AGAIN = ["failed", "expired", "unknown", "cancelled"];

export function View() {
  const [state, setState] = useState("");
  const [writing, setWriting] = useState(false);
  const { rows, error, again, more } = usePages((before) => api(query("v1/deliveries", { state, before, limit: 50 })), [state]);
  useChanges(["deliveries", "connection"], again);
  const columns = [
    { head: t("State"), cell: (row) => html`<${State} of=${row} />` },
    { head: t("To"), cell: receiver },
    { head: t("Message"), kind: "wide", cell: (row) => html`<span class="clipped">${row.text || row.media.map(({ name }) => name).join(", ")}</span>` },
    { head: t("Time"), kind: "minor", cell: (row) => html`<${When} at=${row.ended_at ?? row.due ?? row.created_at} />` },
  ];
  return html`
    <${Head} title=${t("Deliveries")} about=${t("Messages to chats. Each is kept until it is sent, or you are told that it could not be.")}>
      <${Act} kind="main" icon="send" act=${() => setWriting(true)}>${t("Send a message")}</${Act}>
    </${Head}>
    <div class="tools">
      <select aria-label=${t("State")} value=${state} onChange=${(event) => setState(event.target.value)}>
        <option value="">${t("All states")}</option>
        ${Object.entries(STATES()).map(([name, [, shown]]) => html`<option value=${name}>${shown}</option>`)}
      </select>
    </div>
    <${Loaded} data=${rows} error=${error} again=${again} empty=${t("Nothing was sent yet. “Tell Anna that I am late” in a chat makes one, or the button above.")}>
      <${Table} label=${t("Deliveries")} rows=${rows} columns=${columns} detail=${(row) => html`<${Detail} of=${row} again=${again} />`} />
      <${More} more=${more} />
    </${Loaded}>
    ${writing && html`<${Send} onClose=${() => setWriting(false)} again=${again} />`}`;
}

const receiver = (row) => row.to ?? (row.channel ? `${row.channel}:${row.chat_id}` : "");

function State({ of }) {
  const [kind, shown] = STATES()[of.state];
  return html`<${Badge} kind=${kind}>${shown}</${Badge}>`;
}

function Detail({ of, again }) {
  const path = `v1/deliveries/${step(of.id)}`;
  const act = (what) => async () => {
    await post(`${path}/${what}`);
    await again();
  };
  return html`
    <p>${of.detail}</p>
    ${of.error && html`<p class="problem">${of.error.message}</p>`}
    ${of.notice && html`<p><small>${of.notice}</small></p>`}
    <pre>${of.text}</pre>
    <${Facts} of=${[
      [t("Made"), html`<${When} at=${of.created_at} />`],
      [t("Due"), of.due && html`<${When} at=${of.due} />`],
      [t("Tried until"), html`<${When} at=${of.expires_at} />`],
      [t("Attempts"), of.attempts],
      [t("Thread"), of.thread_id],
      [t("Files"), of.media.map((file) => `${file.name} (${size(file.size)})`).join(", ")],
      [t("Perhaps twice"), of.maybe_duplicate ? t("yes") : ""],
      ["id", of.id],
    ]} />
    ${of.parts.length > 0 &&
    html`<h3>${t("Parts")}</h3>
      <ol class="parts">
        ${of.parts.map(
          (part) => html`<li>
            ${part.sent_at ? html`${t("sent")} <${When} at=${part.sent_at} />` : t("not sent")}
            ${part.reached_at && html`, ${t("arrived")} <${When} at=${part.reached_at} />`}${part.read_at && html`, ${t("read")} <${When} at=${part.read_at} />`}
            ${part.message_id && html` <small>${part.message_id}</small>`} ${part.notice && html`<small>${part.notice}</small>`}
          </li>`,
        )}
      </ol>`}
    <div class="actions">
      ${AGAIN.includes(of.state) && html`<${Act} icon="again" act=${act("retry")}>${t("Try again")}</${Act}>`}
      ${of.state === "queued" && html`<${Act} kind="danger" icon="close" act=${act("cancel")}>${t("Cancel it")}</${Act}>`}
    </div>`;
}

function Send({ onClose, again }) {
  const [form, setForm] = useState({ to: "me", text: "" });
  const set = (name) => (event) => setForm({ ...form, [name]: event.target.value });
  const send = async () => {
    await post("v1/deliveries", form);
    onClose();
    await again();
  };
  return html`<${Dialog} title=${t("Send a message")} onClose=${onClose}>
    <form onSubmit=${(event) => event.preventDefault()}>
      <${Field} label=${t("To")} hint=${t("A person, “me”, or a chat as channel:chat_id.")}><input required value=${form.to} onInput=${set("to")} /></${Field}>
      <${Field} label=${t("Message")}><textarea required rows="5" value=${form.text} onInput=${set("text")}></textarea></${Field}>
      <${Act} kind="main" icon="send" act=${send} disabled=${!form.to.trim() || !form.text.trim()}>${t("Send")}</${Act}>
    </form>
  </${Dialog}>`;
}
