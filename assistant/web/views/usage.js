// What the models took, as a plot and as a table; budgets and how much of them is used.
import { api, query } from "../lib/api.js";
import { useLoaded } from "../lib/changes.js";
import { html, useEffect, useRef, useState } from "../lib/dom.js";
import { count, money } from "../lib/format.js";
import { Choice, Head, Loaded, Table } from "../lib/parts.js";
import { t } from "../lib/words.js";

const DAYS = [7, 30, 90];
const GROUPS = () => [["day", t("Day")], ["model", t("Model")], ["person", t("Person")], ["cause", t("Cause")], ["agent", t("Agent")], ["session", t("Conversation")]];

const dayBefore = (days) => {
  const date = new Date();
  date.setDate(date.getDate() - days + 1);
  return [date.getFullYear(), date.getMonth() + 1, date.getDate()].map((each) => String(each).padStart(2, "0")).join("-");
};

export function View({ me }) {
  const isAdmin = me.scopes === null || me.scopes.includes("admin");
  const [days, setDays] = useState(30);
  const [by, setBy] = useState("day");
  const [everyone, setEveryone] = useState(false);
  const { data, error, again } = useLoaded(() => api(query("v1/usage", { by, since: dayBefore(days), everyone: everyone || undefined })), ["usage"], [days, by, everyone]);
  const columns = [
    { head: GROUPS().find(([name]) => name === by)[1], kind: "wide", cell: (row) => row.name || "–" },
    { head: t("Calls"), kind: "right minor", cell: (row) => count(row.calls) },
    { head: t("Prompt"), kind: "right minor", cell: (row) => count(row.prompt_tokens) },
    { head: t("Answer"), kind: "right minor", cell: (row) => count(row.completion_tokens) },
    { head: t("Tokens"), kind: "right", cell: (row) => count(row.total_tokens) },
    { head: t("From cache"), kind: "right minor", cell: (row) => percent(row.cached_share) },
    { head: t("Cost"), kind: "right", cell: (row) => money(row.cost_usd) },
  ];
  return html`
    <${Head} title=${t("Usage")} about=${t("What the models took, and what it cost where the price is known.")} />
    <div class="tools">
      <${Choice} label=${t("Time")} value=${days} onChange=${setDays} options=${DAYS.map((each) => [each, t("{n} days", { n: each })])} />
      <${Choice} label=${t("By")} value=${by} onChange=${setBy} options=${GROUPS()} />
      ${isAdmin && html`<${Choice} label=${t("Whose")} value=${everyone} onChange=${setEveryone} options=${[[false, t("Mine")], [true, t("Everyone's")]]} />`}
    </div>
    ${data &&
    html`<dl class="figures">
      <div><dt>${t("Tokens")}</dt><dd>${count(data.total.total_tokens)}</dd></div>
      <div><dt>${t("Calls")}</dt><dd>${count(data.total.calls)}</dd></div>
      <div><dt>${t("Cost")}</dt><dd>${money(data.total.cost_usd)}</dd></div>
      <div><dt>${t("From cache")}</dt><dd>${percent(data.total.cached_share)}</dd></div>
    </dl>`}
    ${data && data.budgets.length > 0 && html`<section class="section"><h2>${t("Budgets")}</h2><div class="cards">${data.budgets.map((each) => html`<${Budget} of=${each} />`)}</div></section>`}
    <section class="section">
      <${Loaded} data=${data && data.data} error=${error} again=${again} empty=${t("Nothing was used in this time.")}>
        ${by === "day" && data?.data.length > 1 && html`<${Plot} rows=${data.data} />`}
        <${Table} label=${t("Usage")} rows=${data?.data} columns=${columns} keyOf=${(row) => row.name} />
        ${data?.total.unpriced_calls > 0 && html`<p><small>${t("{n} calls are of models without a known price.", { n: count(data.total.unpriced_calls) })}</small></p>`}
      </${Loaded}>
    </section>`;
}

const percent = (share) => `${Math.round((share ?? 0) * 100)} %`;

function Budget({ of }) {
  const shown = of.unit === "usd" ? money : count;
  const share = of.amount ? of.used / of.amount : 0;
  const per = { hour: t("an hour"), day: t("a day"), month: t("a month") }[of.per];
  return html`<section class="card">
    <header><h3>${of.subject}</h3><span>${percent(share)}</span></header>
    <meter min="0" max="1" high="0.8" optimum="0" value=${Math.min(share, 1)} aria-label=${of.subject}></meter>
    <p><small>${t("{used} of {amount} {per}", { used: shown(of.used), amount: shown(of.amount), per })}</small></p>
  </section>`;
}

/** Tokens a day as bars; the library is loaded when there is something to plot. */
function Plot({ rows }) {
  const box = useRef();
  useEffect(() => {
    let plot = null;
    let here = true;
    const draw = async () => {
      const { default: uPlot } = await import("../vendor/uplot.js");
      if (!here) return;
      const style = getComputedStyle(document.documentElement);
      const colour = (name) => style.getPropertyValue(name).trim();
      const ink = resolved(colour("--minor"));
      const line = resolved(colour("--line"));
      plot?.destroy();
      plot = new uPlot(
        {
          width: box.current.clientWidth,
          height: 220,
          legend: { show: false },
          cursor: { y: false },
          scales: { y: { range: (_, __, most) => [0, Math.max(most, 1) * 1.1] } },
          axes: [
            { stroke: ink, grid: { show: false }, ticks: { stroke: line } },
            { stroke: ink, grid: { stroke: line, width: 1 }, ticks: { show: false }, size: 70, values: (_, all) => all.map(count) },
          ],
          series: [{}, { label: t("Tokens"), stroke: resolved(colour("--accent")), fill: resolved(colour("--accent")), paths: uPlot.paths.bars({ size: [0.7, 40] }), points: { show: false } }],
        },
        [rows.map(({ name }) => Date.parse(`${name}T12:00:00`) / 1000), rows.map(({ total_tokens }) => total_tokens)],
        box.current,
      );
    };
    const sheet = Object.assign(document.createElement("link"), { rel: "stylesheet", href: "web/vendor/uplot.css" });
    document.head.append(sheet);
    draw();
    const resized = new ResizeObserver(() => plot?.setSize({ width: box.current.clientWidth, height: 220 }));
    resized.observe(box.current);
    return () => {
      here = false;
      resized.disconnect();
      plot?.destroy();
      sheet.remove();
    };
  }, [rows]);
  return html`<div class="plot" ref=${box} role="img" aria-label=${t("Tokens by day")}></div>`;
}

/** A colour as the canvas understands it: what `light-dark()` chooses now. */
function resolved(written) {
  const probe = document.createElement("span");
  probe.style.color = written;
  document.body.append(probe);
  const found = getComputedStyle(probe).color;
  probe.remove();
  return found;
}
