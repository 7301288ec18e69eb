// Who is who, and the channels by which they are reached.
import { api, post, remove, step } from "../lib/api.js";
import { useLoaded } from "../lib/changes.js";
import { html, useState } from "../lib/dom.js";
import { Act, Badge, Dialog, Facts, Field, Head, Loaded, Problem, Table, When } from "../lib/parts.js";
import { t } from "../lib/words.js";

const STATES = () => ({ connected: ["good", t("connected")], starting: ["wait", t("starts")], degraded: ["wait", t("has trouble")], stopped: ["bad", t("stopped")], standby: ["plain", t("stands by")] });
const ROLES = () => ({ owner: t("owner"), user: t("user"), guest: t("guest") });

export function View({ me }) {
  const isAdmin = me.scopes === null || me.scopes.includes("admin");
  return html`
    <${Head} title=${t("People")} about=${t("What is kept belongs to a person, and no other sees it.")} />
    ${isAdmin ? html`<${Everyone} />` : html`<${Own} />`}
    ${isAdmin && me.features.includes("pairings") && html`<${Pairings} />`}
    <${Channels} canSetUp=${isAdmin && me.features.includes("channels")} />`;
}

function Own() {
  const { data, error, again } = useLoaded(() => api("v1/people/me"), ["people"]);
  return html`<${Loaded} data=${data} error=${error} again=${again}>${data && html`<div class="cards"><${Person} of=${data} again=${again} /></div>`}</${Loaded}>`;
}

function Everyone() {
  const { data, error, again } = useLoaded(() => api("v1/people"), ["people"]);
  return html`<${Loaded} data=${data && data.data} error=${error} again=${again}>
    <div class="cards">${data?.data.map((each) => html`<${Person} key=${each.id} of=${each} again=${again} canChange=${true} />`)}</div>
  </${Loaded}>`;
}

function Person({ of, again, canChange }) {
  const [changing, setChanging] = useState(false);
  const [code, setCode] = useState(null);
  const path = `v1/people/${step(of.id)}`;
  const separate = (identity) => async () => {
    await remove(`${path}/identities/${step(identity)}`);
    await again();
  };
  return html`<section class="card">
    <header><h2>${of.name || of.id}</h2><${Badge} kind=${of.role === "owner" ? "good" : "plain"}>${ROLES()[of.role]}</${Badge}></header>
    <${Facts} of=${[[t("Zone"), of.zone], [t("Quiet hours"), of.quiet], [t("Reached first in"), of.prefers.join(", ")]]} />
    ${of.identities.length > 0 &&
    html`<ul class="identities">
      ${of.identities.map(
        (each) => html`<li><code>${each}</code>${canChange && of.role !== "owner" && html`<${Act} icon="close" kind="quiet" label=${t("Separate {name}", { name: each })}
          confirm=${t("{name} becomes a person of its own, without what is kept. Go on?", { name: each })} act=${separate(each)} />`}</li>`,
      )}
    </ul>`}
    <div class="actions">
      ${canChange && html`<${Act} icon="edit" act=${() => setChanging(true)}>${t("Change")}</${Act}>`}
      <${Act} act=${async () => setCode(await post(`${path}/codes`))}>${t("Code for another chat")}</${Act}>
    </div>
    ${code && html`<p role="status">${t("Enter this in the other chat within ten minutes:")} <code class="code-shown">/link ${code.code}</code></p>`}
    ${changing && html`<${Change} of=${of} onClose=${() => setChanging(false)} again=${again} />`}
  </section>`;
}

function Change({ of, onClose, again }) {
  const [form, setForm] = useState({ name: of.name, zone: of.zone_chosen ? of.zone : "", quiet: of.quiet ?? "", prefers: of.prefers.join(", "), role: of.role });
  const set = (name) => (event) => setForm({ ...form, [name]: event.target.value });
  const save = async () => {
    const prefers = form.prefers.split(",").map((each) => each.trim()).filter(Boolean);
    const { role, ...rest } = form;
    await post(`v1/people/${step(of.id)}`, { ...rest, prefers, ...(role !== of.role ? { role } : {}) });
    onClose();
    await again();
  };
  return html`<${Dialog} title=${of.name || of.id} onClose=${onClose}>
    <form onSubmit=${(event) => event.preventDefault()}>
      <${Field} label=${t("Name")}><input maxlength="64" value=${form.name} onInput=${set("name")} /></${Field}>
      <${Field} label=${t("Zone")} hint=${t("As “Europe/Berlin”; empty: the server's.")}>
        <input list="zones" value=${form.zone} onInput=${set("zone")} />
        <datalist id="zones">${Intl.supportedValuesOf("timeZone").map((zone) => html`<option value=${zone}></option>`)}</datalist>
      </${Field}>
      <${Field} label=${t("Quiet hours")} hint=${t("As “22:00-07:00”; empty: none.")}><input value=${form.quiet} onInput=${set("quiet")} /></${Field}>
      <${Field} label=${t("Reached first in")} hint=${t("Chats as channel:chat_id, with commas between them.")}><input value=${form.prefers} onInput=${set("prefers")} /></${Field}>
      ${of.role !== "owner" &&
      html`<${Field} label=${t("Role")}><select value=${form.role} onChange=${set("role")}>${["user", "guest"].map((name) => html`<option value=${name}>${ROLES()[name]}</option>`)}</select></${Field}>`}
      <${Act} kind="main" act=${save}>${t("Save")}</${Act}>
    </form>
  </${Dialog}>`;
}

function Pairings() {
  const { data, error, again } = useLoaded(() => api("v1/pairings"), ["people", "channels"]);
  const [code, setCode] = useState("");
  const approve = async () => {
    await post("v1/pairings", { code: code.trim() });
    setCode("");
    await again();
  };
  const end = (row) => async () => {
    await remove(`v1/pairings/${step(row.channel)}/${step(row.sender_id)}`);
    await again();
  };
  const columns = [
    { head: t("Channel"), cell: (row) => row.channel },
    { head: t("Calls itself"), kind: "wide", cell: (row) => html`${row.name} <small>${row.sender_id}</small>` },
    { head: t("State"), cell: (row) => (row.state === "open" ? html`<${Badge} kind="wait">${t("has a code")}</${Badge}>` : html`<${Badge} kind="good">${t("may write")}</${Badge}>`) },
    { head: t("Since"), kind: "minor", cell: (row) => html`<${When} at=${row.created_at} />` },
    { head: "", cell: (row) => html`<${Act} kind="danger" act=${end(row)} confirm=${t("Shall {name} write no more?", { name: row.name })}>${row.state === "open" ? t("Refuse") : t("End")}</${Act}>` },
  ];
  return html`<section class="section">
    <h2>${t("Strangers")}</h2>
    <p class="minor-text">${t("A stranger who writes gets a code. Enter it here only if its holder gave it to you.")}</p>
    <form class="tools" onSubmit=${(event) => event.preventDefault()}>
      <input class="short" aria-label=${t("Code")} placeholder=${t("Code")} value=${code} onInput=${(event) => setCode(event.target.value)} />
      <${Act} kind="main" type="submit" act=${approve} disabled=${!code.trim()}>${t("Let in")}</${Act}>
    </form>
    <${Loaded} data=${data && data.data} error=${error} again=${again} empty=${t("No stranger has written.")}>
      <${Table} label=${t("Strangers")} rows=${data?.data} columns=${columns} keyOf=${(row) => `${row.channel}:${row.sender_id}`} />
    </${Loaded}>
  </section>`;
}

function Channels({ canSetUp }) {
  const { data, error, again } = useLoaded(readiness, ["channels"]);
  const [adding, setAdding] = useState(false);
  const off = (name) => async () => {
    await remove(`v1/channels/${step(name)}`);
    await again();
  };
  return html`<section class="section">
    <h2>${t("Channels")}</h2>
    ${canSetUp && html`<div class="tools"><${Act} icon="plus" act=${() => setAdding(true)}>${t("Add a channel")}</${Act}></div>`}
    <${Loaded} data=${data && data.channels} error=${error} again=${again} empty=${t("No channel is enabled.")}>
      <div class="cards">
        ${data?.channels.map((each) => {
          const [kind, shown] = STATES()[each.state];
          return html`<section key=${each.name} class="card">
            <header><h3>${each.name}</h3><${Badge} kind=${kind}>${shown}</${Badge}></header>
            ${each.detail && html`<p>${each.detail}</p>`}
            <small>${t("since")} <${When} at=${each.since} /></small>
            ${canSetUp && html`<div class="actions"><${Act} act=${off(each.name)} confirm=${t("Switch {name} off? Its settings stay.", { name: each.name })}>${t("Switch off")}</${Act}></div>`}
          </section>`;
        })}
      </div>
    </${Loaded}>
    <${Problem} error=${data ? error : null} />
    ${adding && html`<${AddChannel} onClose=${() => (setAdding(false), again())} />`}
  </section>`;
}

/** Each platform asks for what it needs; nothing is written unless it takes it. */
function AddChannel({ onClose }) {
  const { data, error, again } = useLoaded(() => api("v1/channels"), []);
  const [form, setForm] = useState({ name: "", settings: {}, owner: "" });
  const [made, setMade] = useState(null);
  const kind = data?.data.find((each) => each.name === form.name);
  const connect = async () => setMade(await post(`v1/channels/${step(form.name)}`, { settings: form.settings, owner: form.owner.trim() || null }));
  const test = () => post("v1/deliveries", { to: `${form.name}:${form.owner.trim()}`, text: t("This is a test message.") });
  return html`<${Dialog} title=${t("Add a channel")} onClose=${onClose}>
    <${Loaded} data=${data} error=${error} again=${again}>
      ${made
        ? html`<p role="status">${t("Connected as {name}.", { name: made.account })}</p>
            ${made.waiting.length > 0 && html`<p>${t("It begins to work at the next start of the server:")} <code>${made.waiting.join(", ")}</code></p>`}
            ${kind.called && html`<p>${t("The platform calls this server: give it the address")} <code>https://…/channels/${kind.name}</code></p>`}
            ${form.owner.trim()
              ? html`<${Act} icon="send" act=${test}>${t("Send a test message")}</${Act}>`
              : html`<p>${t("Now write to it: you get a code. Enter the code here, under Strangers.")}</p>`}`
        : html`<form onSubmit=${(event) => event.preventDefault()}>
            <${Field} label=${t("Channel")} hint=${kind?.about}>
              <select value=${form.name} onChange=${(event) => setForm({ name: event.target.value, settings: {}, owner: "" })}>
                <option value="">${t("Choose one")}</option>
                ${data?.data.map((each) => html`<option value=${each.name}>${each.title}${each.enabled ? ` (${t("is on")})` : ""}</option>`)}
              </select>
            </${Field}>
            ${kind?.needs.map(
              (need) => html`<${Field} key=${`${kind.name} ${need.key}`} label=${need.optional ? `${need.key} (${t("optional")})` : need.key} hint=${need.asks}>
                <input type=${need.secret ? "password" : "text"} autocomplete="off" spellcheck="false" placeholder=${need.default} value=${form.settings[need.key] ?? ""}
                  onInput=${(event) => setForm({ ...form, settings: { ...form.settings, [need.key]: event.target.value } })} />
              </${Field}>`,
            )}
            ${kind && html`<${Field} label=${t("Your own id there")} hint=${t("You may write then. Empty: write to it, and enter the code that you get.")}>
              <input value=${form.owner} onInput=${(event) => setForm({ ...form, owner: event.target.value })} /></${Field}>`}
            <${Act} kind="main" act=${connect} disabled=${!kind}>${t("Connect")}</${Act}>
          </form>`}
    </${Loaded}>
  </${Dialog}>`;
}

/** /ready answers 503 with the same body while something is not ready. */
async function readiness() {
  const response = await fetch("ready", { cache: "no-store" });
  return response.json();
}
