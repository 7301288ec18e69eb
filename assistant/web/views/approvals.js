// What waits for a yes, and what was answered.
import { api, query } from "../lib/api.js";
import { useChanges } from "../lib/changes.js";
import { html } from "../lib/dom.js";
import { Badge, Facts, Head, Loaded, More, Table, When, usePages } from "../lib/parts.js";
import { t } from "../lib/words.js";
import { Asked, STATES } from "./chat/pending.js";

export function View() {
  const { rows, error, again, more } = usePages((before) => api(query("v1/approvals", { before, limit: 50 })));
  useChanges(["approvals", "connection"], again);
  const waiting = rows?.filter(({ state }) => state === "waiting") ?? [];
  const over = rows?.filter(({ state }) => state !== "waiting") ?? [];
  const columns = [
    { head: t("State"), cell: (row) => html`<${Badge} kind=${STATES()[row.state]?.[0]}>${STATES()[row.state]?.[1]}</${Badge}>` },
    { head: t("Tool"), cell: (row) => html`<code>${row.tool}</code>` },
    { head: t("Call"), kind: "wide", cell: (row) => html`<span class="clipped">${row.text}</span>` },
    { head: t("Time"), kind: "minor", cell: (row) => html`<${When} at=${row.ended_at ?? row.created_at} />` },
  ];
  const detail = (row) => html`<${Asked} approval=${row} again=${again} />
    <${Facts} of=${[[t("Agent"), row.agent], [t("Conversation"), html`<a href=${`#/chat/${encodeURIComponent(row.session)}`}>${row.session}</a>`], [t("Asked"), html`<${When} at=${row.created_at} />`]]} />`;
  return html`
    <${Head} title=${t("Approvals")} about=${t("Calls that could do harm wait here for your yes. A yes counts once, for exactly this call.")} />
    <${Loaded} data=${rows} error=${error} again=${again} empty=${t("Nothing waits. What the assistant asks about appears here, and in the chat where it came up.")}>
      ${waiting.length > 0
        ? waiting.map((row) => html`<${Asked} key=${row.id} approval=${row} again=${again} />`)
        : html`<p class="empty">${t("Nothing waits for your yes.")}</p>`}
      ${over.length > 0 && html`<section class="section"><h2>${t("Answered and over")}</h2><${Table} label=${t("Answered and over")} rows=${over} columns=${columns} detail=${detail} /></section>`}
      <${More} more=${more} />
    </${Loaded}>`;
}
