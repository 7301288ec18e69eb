// What tools did, the latest first.
import { api, query } from "../lib/api.js";
import { useChanges } from "../lib/changes.js";
import { html, useState } from "../lib/dom.js";
import { Badge, Choice, Facts, Head, Loaded, More, Table, When, usePages } from "../lib/parts.js";
import { t } from "../lib/words.js";

export function View({ me }) {
  const isAdmin = me.scopes === null || me.scopes.includes("admin");
  const [everyone, setEveryone] = useState(false);
  const { rows, error, again, more } = usePages((before) => api(query("v1/audit", { everyone: everyone || undefined, before, limit: 50 })), [everyone]);
  useChanges(["sessions", "approvals", "connection"], again);
  const columns = [
    { head: t("Time"), cell: (row) => html`<${When} at=${row.at} />` },
    { head: t("Tool"), cell: (row) => html`<code>${row.tool}</code>` },
    { head: t("What"), kind: "wide", cell: (row) => html`<span class="clipped">${row.text}</span>` },
    { head: t("Done"), kind: "minor", cell: (row) => html`<${Badge} kind=${row.kind === "asked" ? "wait" : "plain"}>${row.kind}</${Badge}>` },
  ];
  const detail = (row) => html`
    <pre>${row.text}</pre>
    <${Facts} of=${[
      [t("Person"), row.person],
      [t("Asked by"), row.caller],
      [t("Agent"), row.agent],
      [t("Cause"), [row.cause, row.cause_id].filter(Boolean).join(" · ")],
      [t("Words read before"), row.read.join(", ")],
      [t("Conversation"), html`<a href=${`#/chat/${encodeURIComponent(row.session_id)}`}>${row.session_id}</a>`],
      [t("Approval"), row.approval],
      [t("Reference"), row.ref],
    ]} />`;
  return html`
    <${Head} title=${t("Audit")} about=${t("What tools did for you, at whose word, and what had been read by then.")} />
    ${isAdmin && html`<div class="tools"><${Choice} label=${t("Whose")} value=${everyone} onChange=${setEveryone} options=${[[false, t("Mine")], [true, t("Everyone's")]]} /></div>`}
    <${Loaded} data=${rows} error=${error} again=${again} empty=${t("No tool has done anything yet.")}>
      <${Table} label=${t("Audit")} rows=${rows} columns=${columns} detail=${detail} />
      <${More} more=${more} />
    </${Loaded}>`;
}
