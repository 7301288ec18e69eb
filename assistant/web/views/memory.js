// What is remembered of you: search, where it came from, forget.
import { api, post, query, remove, step } from "../lib/api.js";
import { useChanges, useLoaded } from "../lib/changes.js";
import { html, useEffect, useState } from "../lib/dom.js";
import { Act, Badge, Choice, Dialog, Facts, Field, Head, Loaded, More, Problem, Table, When, usePages } from "../lib/parts.js";
import { t } from "../lib/words.js";

const KINDS = () => ({ fact: t("fact"), preference: t("preference"), person: t("person"), event: t("event"), instruction: t("instruction") });

export function View() {
  const [typed, setTyped] = useState("");
  const [words, setWords] = useState("");
  const [history, setHistory] = useState(false);
  const [adding, setAdding] = useState(false);
  useEffect(() => {
    const timer = setTimeout(() => setWords(typed.trim()), 200);
    return () => clearTimeout(timer);
  }, [typed]);
  const { rows, error, again, more } = usePages((before) => api(query("v1/memories", { query: words, history: history || undefined, before, limit: 50 })), [words, history]);
  useChanges(["memories", "connection"], again);
  const columns = [
    { head: t("What"), kind: "wide", cell: (row) => row.text },
    { head: t("Kind"), kind: "minor", cell: (row) => html`<${Badge}>${KINDS()[row.kind]}</${Badge}>` },
    { head: t("Since"), kind: "minor", cell: (row) => html`<${When} at=${row.seen_at} />` },
  ];
  return html`
    <${Head} title=${t("Memory")} about=${t("What the assistant remembers of you, and of no one else. What you forget here is gone, and is not learned again.")}>
      <${Act} kind="main" icon="plus" act=${() => setAdding(true)}>${t("Remember something")}</${Act}>
    </${Head}>
    <div class="tools">
      <input type="search" aria-label=${t("Search memories")} placeholder=${t("Search")} value=${typed} onInput=${(event) => setTyped(event.target.value)} />
      <${Choice} label=${t("Which")} value=${history} onChange=${setHistory} options=${[[false, t("What holds")], [true, t("Earlier, too")]]} />
    </div>
    <${Loaded} data=${rows} error=${error} again=${again} empty=${words ? t("Nothing found.") : t("Nothing yet. Say “remember that …” in a chat.")}>
      <${Table} label=${t("Memory")} rows=${rows} columns=${columns} detail=${(row) => html`<${Detail} of=${row} again=${again} />`} />
      <${More} more=${more} />
    </${Loaded}>
    ${adding && html`<${Add} onClose=${() => setAdding(false)} again=${again} />`}`;
}

function Detail({ of, again }) {
  const { data, error } = useLoaded(() => api(`v1/memories/${step(of.id)}`), [], [of.id]);
  const forget = async () => {
    await remove(`v1/memories/${step(of.id)}?everywhere=true`);
    await again();
  };
  const source = data?.source;
  return html`
    <${Problem} error=${error} />
    ${source &&
    html`<blockquote class="source">
      ${source.text ?? t("The message is no longer kept.")}
      <p><a href=${`#/chat/${encodeURIComponent(source.session_id)}`}>${t("Open the conversation")}</a></p>
    </blockquote>`}
    <${Facts} of=${[
      [t("About"), of.about],
      [t("Whose words"), of.provenance],
      [t("How"), of.learned ? t("learned from a conversation") : t("said to be remembered")],
      [t("Valid until"), of.valid_until && html`<${When} at=${of.valid_until} />`],
      [t("Replaced by"), of.superseded_by],
    ]} />
    <${Act} kind="danger" icon="trash" act=${forget} confirm=${t("Forget this for good, in the conversations' summaries, too?")}>${t("Forget")}</${Act}>`;
}

function Add({ onClose, again }) {
  const [form, setForm] = useState({ text: "", kind: "fact" });
  const add = async () => {
    await post("v1/memories", form);
    onClose();
    await again();
  };
  return html`<${Dialog} title=${t("Remember something")} onClose=${onClose}>
    <form onSubmit=${(event) => event.preventDefault()}>
      <${Field} label=${t("What")}><textarea rows="3" required value=${form.text} onInput=${(event) => setForm({ ...form, text: event.target.value })}></textarea></${Field}>
      <${Field} label=${t("Kind")}>
        <select value=${form.kind} onChange=${(event) => setForm({ ...form, kind: event.target.value })}>
          ${Object.entries(KINDS()).map(([name, shown]) => html`<option value=${name}>${shown}</option>`)}
        </select>
      </${Field}>
      <${Act} kind="main" act=${add} disabled=${!form.text.trim()}>${t("Remember")}</${Act}>
    </form>
  </${Dialog}>`;
}
