// What runs beside the conversations: tasks of helpers and commands, and workflows with the graph of each job.
import { api, events, post, query, request, step } from "../lib/api.js";
import { useChanges, useLoaded } from "../lib/changes.js";
import { html, useState } from "../lib/dom.js";
import { count } from "../lib/format.js";
import { Act, Badge, Choice, Dialog, Facts, Field, Head, Loaded, More, Problem, Table, When, usePages } from "../lib/parts.js";
import { t } from "../lib/words.js";
import { Graph } from "./graph.js";

const STATES = () => ({
  waiting: ["wait", t("waits")], queued: ["wait", t("waits")], running: ["wait", t("at work")], done: ["good", t("done")], completed: ["good", t("done")],
  failed: ["bad", t("failed")], stopped: ["plain", t("stopped")], cancelled: ["plain", t("cancelled")],
});

function State({ of }) {
  const [kind, shown] = STATES()[of] ?? ["plain", of];
  return html`<${Badge} kind=${kind}>${shown}</${Badge}>`;
}

export function View({ me }) {
  const [what, setWhat] = useState("tasks");
  const options = [["tasks", t("Tasks")], ...(me.features.includes("workflows") ? [["jobs", t("Jobs")], ["workflows", t("Workflows")]] : [])];
  return html`
    <${Head} title=${t("Tasks")} about=${t("What helpers and commands do in the background, and jobs of workflows.")} />
    <div class="tools"><${Choice} label=${t("What")} value=${what} onChange=${setWhat} options=${options} /></div>
    ${what === "tasks" ? html`<${Tasks} />` : what === "jobs" ? html`<${Jobs} />` : html`<${Workflows} onStarted=${() => setWhat("jobs")} />`}`;
}

function Tasks() {
  const { rows, error, again, more } = usePages((before) => api(query("v1/tasks", { before, limit: 50 })));
  useChanges(["tasks", "connection"], again);
  const columns = [
    { head: t("State"), cell: (row) => html`<${State} of=${row.state} />` },
    { head: t("Task"), kind: "wide", cell: (row) => html`<span class="clipped">${row.text}</span>` },
    { head: t("Agent"), kind: "minor", cell: (row) => row.agent },
    { head: t("Time"), kind: "minor", cell: (row) => html`<${When} at=${row.ended_at ?? row.started_at ?? row.created_at} />` },
  ];
  const detail = (row) => {
    const act = (what) => async () => {
      await post(`v1/tasks/${step(row.id)}/${what}`);
      await again();
    };
    return html`
      <pre>${row.text}</pre>
      ${row.answer && html`<h3>${t("Answer")}</h3><pre>${row.answer}</pre>`}
      ${row.error && html`<p class="problem">${row.error}</p>`}
      <${Facts} of=${[
        [t("Conversation"), html`<a href=${`#/chat/${encodeURIComponent(row.parent.session)}`}>${row.parent.session}</a>`],
        [t("Began"), html`<${When} at=${row.started_at} />`],
        [t("Tokens"), count(row.usage.prompt_tokens + row.usage.completion_tokens)],
        [t("Result"), { handed: t("handed over"), read: t("read"), kept: t("kept for you"), dismissed: t("dismissed") }[row.handover]],
        ["id", row.id],
      ]} />
      <div class="actions">
        ${["waiting", "running"].includes(row.state) && html`<${Act} kind="danger" icon="stop" act=${act("stop")}>${t("Stop")}</${Act}>`}
        ${["failed", "stopped"].includes(row.state) && html`<${Act} icon="again" act=${act("retry")}>${t("Do it again")}</${Act}>`}
        ${row.handover === "kept" && html`<${Act} act=${act("dismiss")}>${t("Dismiss")}</${Act}>`}
      </div>`;
  };
  return html`<${Loaded} data=${rows} error=${error} again=${again} empty=${t("No tasks yet. “Find out … in the background” in a chat starts one.")}>
    <${Table} label=${t("Tasks")} rows=${rows} columns=${columns} detail=${detail} />
    <${More} more=${more} />
  </${Loaded}>`;
}

function Jobs() {
  const { rows, error, again, more } = usePages((before) => api(query("v1/jobs", { before, limit: 50 })));
  useChanges(["jobs", "connection"], again);
  const columns = [
    { head: t("State"), cell: (row) => html`<${State} of=${row.status} />` },
    { head: t("Workflow"), kind: "wide", cell: (row) => row.workflow_id },
    { head: t("Time"), cell: (row) => html`<${When} at=${row.ended_at ?? row.created_at} />` },
  ];
  return html`<${Loaded} data=${rows} error=${error} again=${again} empty=${t("No job has run yet.")}>
    <${Table} label=${t("Jobs")} rows=${rows} columns=${columns} detail=${(row) => html`<${Job} of=${row} again=${again} />`} />
    <${More} more=${more} />
  </${Loaded}>`;
}

function Job({ of, again }) {
  const job = useLoaded(() => api(`v1/jobs/${step(of.id)}`), ["jobs"], [of.id]);
  const workflow = useLoaded(() => api(`workflows/${step(of.workflow_id)}`), [], [of.workflow_id]);
  const now = job.data ?? of;
  const cancel = async () => {
    await post(`v1/jobs/${step(of.id)}/cancel`);
    await Promise.all([again(), job.again()]);
  };
  const nodes = workflow.data?.nodes ?? now.nodes.map(({ node_id }) => ({ id: node_id, kind: "", needs: [] }));
  return html`
    <${Problem} error=${job.error} />
    ${now.error && html`<p class="problem">${now.error}</p>`}
    <${Graph} nodes=${nodes} states=${new Map(now.nodes.map((node) => [node.node_id, node]))} />
    ${now.results && html`<h3>${t("Results")}</h3><pre>${JSON.stringify(now.results, null, 2)}</pre>`}
    ${["queued", "running"].includes(now.status) && html`<${Act} kind="danger" icon="stop" act=${cancel}>${t("Stop")}</${Act}>`}`;
}

function Workflows({ onStarted }) {
  const { data, error, again } = useLoaded(() => api("workflows"));
  const [chosen, choose] = useState(null);
  const rows = data?.workflows ?? null;
  return html`<${Loaded} data=${rows} error=${error} again=${again} empty=${t("There are no workflows: files in the folder workflows/ of the workspace.")}>
      <div class="cards">
        ${rows?.map(
          (each) => html`<section key=${each.id} class="card">
            <header><h2>${each.name}</h2>${each.problems.length > 0 ? html`<${Badge} kind="bad">${t("can't run")}</${Badge}>` : html`<${Act} act=${() => choose(each)}>${t("Run")}</${Act}>`}</header>
            <p>${each.description}</p>
            ${each.problems.map((problem) => html`<p class="problem">${typeof problem === "string" ? problem : JSON.stringify(problem)}</p>`)}
            <${Graph} nodes=${each.nodes} states=${new Map()} />
          </section>`,
        )}
      </div>
    </${Loaded}>
    ${chosen && html`<${Run} workflow=${chosen} onClose=${() => choose(null)} onStarted=${onStarted} />`}`;
}

function Run({ workflow, onClose, onStarted }) {
  const [values, setValues] = useState({});
  const read = (input) => {
    const written = values[input.name];
    if (written === undefined || written === "") return undefined;
    if (input.type === "number" || input.type === "integer") return Number(written);
    if (input.type === "boolean") return written === "true";
    return input.type === "json" ? JSON.parse(written) : written;
  };
  const run = async () => {
    const inputs = Object.fromEntries(workflow.inputs.map((input) => [input.name, read(input)]).filter(([, value]) => value !== undefined));
    const response = await request(`workflows/${step(workflow.id)}/run/stream`, { method: "POST", body: inputs });
    for await (const _ of events(response)) break; // the job is stored; it goes on without a listener
    onClose();
    onStarted();
  };
  return html`<${Dialog} title=${workflow.name} onClose=${onClose}>
    <form onSubmit=${(event) => event.preventDefault()}>
      ${workflow.inputs.map(
        (input) => html`<${Field} label=${input.name} hint=${input.description}>
          ${input.type === "boolean"
            ? html`<select value=${values[input.name] ?? ""} onChange=${(event) => setValues({ ...values, [input.name]: event.target.value })}>
                <option value=""></option><option value="true">${t("yes")}</option><option value="false">${t("no")}</option>
              </select>`
            : html`<input required=${input.required} value=${values[input.name] ?? input.default ?? ""} onInput=${(event) => setValues({ ...values, [input.name]: event.target.value })} />`}
        </${Field}>`,
      )}
      <${Act} kind="main" act=${run}>${t("Run")}</${Act}>
    </form>
  </${Dialog}>`;
}
