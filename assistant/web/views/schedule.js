// What is planned: as a list and as a calendar, with what became of it.
import { api, post, query, remove, step } from "../lib/api.js";
import { useChanges, useLoaded } from "../lib/changes.js";
import { html, useState } from "../lib/dom.js";
import { toDate } from "../lib/format.js";
import { Act, Badge, Choice, Dialog, Facts, Field, Head, Loaded, More, Problem, Table, When, usePages } from "../lib/parts.js";
import { locale, t } from "../lib/words.js";

const KINDS = () => ({ reminder: t("reminder"), ask: t("question"), watch: t("watch"), workflow: t("workflow") });
const STATES = () => ({ active: ["good", t("active")], paused: ["wait", t("paused")], done: ["plain", t("done")], cancelled: ["plain", t("cancelled")] });
const OUTCOMES = () => ({
  waiting: ["wait", t("waits")], claimed: ["wait", t("at work")], delivered: ["good", t("delivered")], done: ["good", t("done")],
  failed: ["bad", t("failed")], skipped: ["plain", t("skipped")], missed: ["bad", t("missed")],
});

export function View() {
  const [way, setWay] = useState("list");
  const [state, setState] = useState("active");
  const [adding, setAdding] = useState(false);
  const { rows, error, again, more } = usePages((before) => api(query("v1/schedules", { state, before, limit: 100 })), [state]);
  useChanges(["schedules", "connection"], again);
  const columns = [
    { head: t("Next"), cell: (row) => (row.next_at ? html`<${When} at=${row.next_at} />` : html`<${State} of=${STATES()[row.state]} />`) },
    { head: t("What"), kind: "wide", cell: (row) => html`<span class="clipped">${row.text}</span><small>${row.detail}</small>` },
    { head: t("Kind"), kind: "minor", cell: (row) => html`<${Badge}>${KINDS()[row.kind]}</${Badge}>` },
    { head: t("To"), kind: "minor", cell: (row) => row.to ?? "" },
  ];
  return html`
    <${Head} title=${t("Schedule")} about=${t("Reminders, questions, watches and workflows. What could not happen in time is told, not forgotten.")}>
      <${Act} kind="main" icon="plus" act=${() => setAdding(true)}>${t("Plan something")}</${Act}>
    </${Head}>
    <div class="tools">
      <${Choice} label=${t("View")} value=${way} onChange=${setWay} options=${[["list", t("List")], ["calendar", t("Calendar")]]} />
      <select aria-label=${t("State")} value=${state} onChange=${(event) => setState(event.target.value)}>
        ${Object.entries(STATES()).map(([name, [, shown]]) => html`<option value=${name}>${shown}</option>`)}
        <option value="">${t("All states")}</option>
      </select>
    </div>
    ${way === "calendar"
      ? html`<${Problem} error=${error} /><${Calendar} rows=${rows ?? []} />`
      : html`<${Loaded} data=${rows} error=${error} again=${again} empty=${t("Nothing is planned. Say “remind me at nine to …” in a chat.")}>
          <${Table} label=${t("Schedule")} rows=${rows} columns=${columns} detail=${(row) => html`<${Detail} of=${row} again=${again} />`} />
          <${More} more=${more} />
        </${Loaded}>`}
    ${adding && html`<${Add} onClose=${() => setAdding(false)} again=${again} />`}`;
}

function State({ of: [kind, shown] }) {
  return html`<${Badge} kind=${kind}>${shown}</${Badge}>`;
}

function Detail({ of, again }) {
  const path = `v1/schedules/${step(of.id)}`;
  const { data, error, again: reload } = useLoaded(() => api(path), ["schedules"], [of.id]);
  const act = (work) => async () => {
    await work();
    await Promise.all([again(), reload()]);
  };
  const change = (body) => act(() => api(path, { method: "PATCH", body }));
  const open = of.state === "active" || of.state === "paused";
  return html`
    <pre>${of.text}</pre>
    <${Facts} of=${[
      [t("When"), of.cron ?? (of.every ? t("every {n} s", { n: of.every }) : of.at)],
      [t("Zone"), of.zone],
      [t("To"), of.to],
      [t("When missed"), { run: t("run late"), skip: t("skip"), tell: t("tell only") }[of.on_miss]],
      [t("In quiet hours"), of.urgent ? t("yes") : ""],
      [t("Failures in a row"), of.failures || ""],
    ]} />
    ${open &&
    html`<div class="actions">
      <${Act} icon="again" act=${act(() => post(`${path}/run`))}>${t("Run now")}</${Act}>
      ${of.state === "active" ? html`<${Act} act=${change({ state: "paused" })}>${t("Pause")}</${Act}>` : html`<${Act} act=${change({ state: "active" })}>${t("Go on")}</${Act}>`}
      <${Act} kind="danger" icon="close" act=${act(() => remove(path))} confirm=${t("Cancel this for good?")}>${t("Cancel it")}</${Act}>
    </div>`}
    <${Problem} error=${error} />
    ${data?.occurrences.length > 0 &&
    html`<h3>${t("What became of it")}</h3>
      <ul class="parts">
        ${data.occurrences.map((each) => html`<li><${State} of=${OUTCOMES()[each.state]} /> <${When} at=${each.instant} /> ${each.error && html`<small>${each.error}</small>`}</li>`)}
      </ul>`}`;
}

/** A month, with what is due on each day. */
function Calendar({ rows }) {
  const [month, setMonth] = useState(() => new Date(new Date().getFullYear(), new Date().getMonth(), 1));
  const first = new Date(month);
  first.setDate(1 - ((month.getDay() + 6) % 7));
  const days = Array.from({ length: 42 }, (_, place) => new Date(first.getFullYear(), first.getMonth(), first.getDate() + place));
  const due = Map.groupBy(rows.filter(({ next_at }) => next_at), ({ next_at }) => toDate(next_at).toDateString());
  const move = (months) => setMonth(new Date(month.getFullYear(), month.getMonth() + months, 1));
  const today = new Date().toDateString();
  const named = month.toLocaleDateString(locale, { month: "long", year: "numeric" });
  return html`<section aria-label=${t("Calendar")}>
    <div class="tools">
      <button type="button" class="button" aria-label=${t("The month before")} onClick=${() => move(-1)}>‹</button>
      <h2 class="month" aria-live="polite">${named}</h2>
      <button type="button" class="button" aria-label=${t("The next month")} onClick=${() => move(1)}>›</button>
    </div>
    <div class="calendar">
      ${days.slice(0, 7).map((day) => html`<div class="weekday">${day.toLocaleDateString(locale, { weekday: "short" })}</div>`)}
      ${days.map(
        (day) => html`<div class=${`date ${day.getMonth() === month.getMonth() ? "" : "other"} ${day.toDateString() === today ? "today" : ""}`}>
          <span>${day.getDate()}</span>
          ${(due.get(day.toDateString()) ?? []).map((row) => html`<p title=${`${row.text}\n${row.detail}`}><${When} at=${row.next_at} /> ${row.text}</p>`)}
        </div>`,
      )}
    </div>
    <p><small>${t("Each is shown on the day when it is due next.")}</small></p>
  </section>`;
}

function Add({ onClose, again }) {
  const [form, setForm] = useState({ kind: "reminder", when: "", text: "", to: "me" });
  const set = (name) => (event) => setForm({ ...form, [name]: event.target.value });
  const add = async () => {
    const { to, ...rest } = form;
    await post("v1/schedules", to.trim() ? { ...rest, to: to.trim() } : rest);
    onClose();
    await again();
  };
  return html`<${Dialog} title=${t("Plan something")} onClose=${onClose}>
    <form onSubmit=${(event) => event.preventDefault()}>
      <${Field} label=${t("Kind")}>
        <select value=${form.kind} onChange=${set("kind")}>
          ${["reminder", "ask", "workflow"].map((name) => html`<option value=${name}>${KINDS()[name]}</option>`)}
        </select>
      </${Field}>
      <${Field} label=${t("When")} hint=${t("“tomorrow 9:00”, “every weekday at 8”, “in 20 minutes”, or a cron expression")}><input required value=${form.when} onInput=${set("when")} /></${Field}>
      <${Field} label=${form.kind === "workflow" ? t("Workflow") : t("Words")}><textarea rows="3" required value=${form.text} onInput=${set("text")}></textarea></${Field}>
      <${Field} label=${t("To")} hint=${t("A person, “me”, or a chat as channel:chat_id.")}><input value=${form.to} onInput=${set("to")} /></${Field}>
      <${Act} kind="main" act=${add} disabled=${!form.when.trim() || !form.text.trim()}>${t("Plan it")}</${Act}>
    </form>
  </${Dialog}>`;
}
