// The browser's own log-in, others that are logged in, the models, and how the server is.
import { api, post, remove, step } from "../lib/api.js";
import { useLoaded } from "../lib/changes.js";
import { html, useState } from "../lib/dom.js";
import { Act, Badge, Choice, Dialog, Facts, Field, Head, Loaded, Problem, Table, When } from "../lib/parts.js";
import { t } from "../lib/words.js";

export function View({ me, onLogOut }) {
  const isAdmin = me.scopes === null || me.scopes.includes("admin");
  return html`
    <${Head} title=${t("Settings")} />
    <${Server} me=${me} />
    ${isAdmin && me.features.includes("doctor") && html`<${Doctor} />`}
    <${Models} />
    <${Browsers} me=${me} onLogOut=${onLogOut} />
    ${isAdmin && me.features.includes("keys") && html`<${Keys} />`}
    ${isAdmin && me.features.includes("configuration") && html`<${Configuration} />`}`;
}

function Server({ me }) {
  const { data, error } = useLoaded(async () => (await fetch("ready", { cache: "no-store" })).json(), ["channels"]);
  return html`<section class="section">
    <h2>${t("Server")}</h2>
    <${Facts} of=${[
      [t("Version"), me.version],
      [t("You are"), `${me.person.name || me.person.id} (${me.person.role})`],
      [t("Your rights"), me.scopes ? me.scopes.join(", ") : t("all")],
      [t("API"), html`<a href="docs" target="_blank" rel="noopener">/docs</a>`],
    ]} />
    <${Problem} error=${error} />
    ${data &&
    html`<ul class="checks">
      ${data.checks.map((each) => html`<li><${Badge} kind=${each.ok ? "good" : "bad"}>${each.ok ? t("well") : t("not well")}</${Badge}> <b>${each.name}</b> <small>${each.detail}</small></li>`)}
    </ul>`}
  </section>`;
}

function Doctor() {
  const [found, setFound] = useState(null);
  return html`<section class="section">
    <h2>${t("Doctor")}</h2>
    <p class="minor-text">${t("Reads a file, asks each platform and the model's provider, and says how to fix what is wrong.")}</p>
    <div class="tools"><${Act} kind=${found ? "" : "main"} act=${async () => setFound(await post("v1/doctor"))}>${found ? t("Check again") : t("Check everything")}</${Act}></div>
    ${found &&
    html`<ul class="checks" role="status">
      ${found.checks.map(
        (each) => html`<li><${Badge} kind=${each.ok ? "good" : "bad"}>${each.ok ? t("well") : t("not well")}</${Badge}> <b>${each.name}</b> <small>${each.detail}</small>
          ${each.fix && html`<p>${t("To fix it:")} <code>${each.fix}</code></p>`}</li>`,
      )}
    </ul>`}
  </section>`;
}

function Models() {
  const { data, error, again } = useLoaded(() => api("v1/models"));
  const columns = [
    { head: t("Model"), kind: "wide", cell: (row) => html`<code>${row.id}</code>` },
    { head: t("Whose"), cell: (row) => row.owned_by },
  ];
  return html`<section class="section">
    <h2>${t("Models")}</h2>
    <${Loaded} data=${data && data.data} error=${error} again=${again}><${Table} label=${t("Models")} rows=${data?.data} columns=${columns} /></${Loaded}>
  </section>`;
}

function Browsers({ me, onLogOut }) {
  const { data, error, again } = useLoaded(() => api("v1/browsers"), []);
  const end = (row) => async () => {
    await remove(`v1/browsers/${step(row.id)}`);
    await again();
  };
  const columns = [
    { head: t("Browser"), kind: "wide", cell: (row) => html`${row.name} ${row.id === me.browser && html`<${Badge} kind="good">${t("this one")}</${Badge}>`}` },
    { head: t("Since"), kind: "minor", cell: (row) => html`<${When} at=${row.created_at} />` },
    { head: t("Until"), cell: (row) => html`<${When} at=${row.expires_at} />` },
    { head: "", cell: (row) => row.id !== me.browser && html`<${Act} act=${end(row)}>${t("Log out")}</${Act}>` },
  ];
  return html`<section class="section">
    <h2>${t("Logged-in browsers")}</h2>
    <${Loaded} data=${data && data.data} error=${error} again=${again} empty=${t("None. This server needs no log-in from this machine.")}>
      <${Table} label=${t("Logged-in browsers")} rows=${data?.data} columns=${columns} />
    </${Loaded}>
    ${me.browser &&
    html`<div class="actions section">
      <${Act} act=${() => onLogOut(false)}>${t("Log out")}</${Act}>
      <${Act} kind="danger" act=${() => onLogOut(true)} confirm=${t("Log out of all browsers?")}>${t("Log out everywhere")}</${Act}>
    </div>`}
  </section>`;
}

const SCOPES = ["chat", "models", "sessions", "files", "deliveries", "memory", "schedules", "tasks", "approvals", "workflows", "usage", "audit", "metrics", "mcp", "admin"];
const USUAL = ["chat", "models", "sessions", "files"];

function Keys() {
  const { data, error, again } = useLoaded(() => api("v1/keys"));
  const [making, setMaking] = useState(false);
  const revoke = (row) => async () => {
    await remove(`v1/keys/${step(row.id)}`);
    await again();
  };
  const columns = [
    { head: t("Name"), kind: "wide", cell: (row) => html`${row.name} <small>${row.prefix}…</small>` },
    { head: t("Rights"), kind: "minor", cell: (row) => row.scopes.join(", ") },
    { head: t("Last used"), kind: "minor", cell: (row) => (row.last_used_at ? html`<${When} at=${row.last_used_at} />` : t("never")) },
    { head: t("Until"), kind: "minor", cell: (row) => (row.expires_at ? html`<${When} at=${row.expires_at} />` : "") },
    { head: "", cell: (row) => html`<${Act} kind="danger" act=${revoke(row)} confirm=${t("Revoke the key {name} for good?", { name: row.name })}>${t("Revoke")}</${Act}>` },
  ];
  return html`<section class="section">
    <h2>${t("API keys")}</h2>
    <div class="tools"><${Act} icon="plus" act=${() => setMaking(true)}>${t("Make a key")}</${Act}></div>
    <${Loaded} data=${data && data.data} error=${error} again=${again} empty=${t("No keys yet. Each program gets one of its own.")}>
      <${Table} label=${t("API keys")} rows=${data?.data} columns=${columns} />
    </${Loaded}>
    ${making && html`<${MakeKey} onClose=${() => (setMaking(false), again())} />`}
  </section>`;
}

function MakeKey({ onClose }) {
  const [form, setForm] = useState({ name: "", scopes: USUAL, days: "" });
  const [made, setMade] = useState(null);
  const make = async () => {
    const days = form.days ? { expires_in_days: Number(form.days) } : {};
    setMade(await post("v1/keys", { name: form.name.trim(), scopes: form.scopes, ...days }));
  };
  const toggle = (scope) => () =>
    setForm({ ...form, scopes: form.scopes.includes(scope) ? form.scopes.filter((each) => each !== scope) : [...form.scopes, scope] });
  return html`<${Dialog} title=${t("Make a key")} onClose=${onClose}>
    ${made
      ? html`<p>${t("This is shown once. Keep it where its user finds it:")}</p>
          <pre><code>${made.secret}</code></pre>
          <${Act} icon="copy" act=${() => navigator.clipboard.writeText(made.secret)}>${t("Copy")}</${Act}>`
      : html`<form onSubmit=${(event) => event.preventDefault()}>
          <${Field} label=${t("Name")} hint=${t("Its user or purpose.")}><input maxlength="100" value=${form.name} onInput=${(event) => setForm({ ...form, name: event.target.value })} /></${Field}>
          <fieldset class="scopes"><legend>${t("Rights")}</legend>
            ${SCOPES.map((scope) => html`<label><input type="checkbox" checked=${form.scopes.includes(scope)} onChange=${toggle(scope)} /> ${scope}</label>`)}
          </fieldset>
          <${Field} label=${t("Days until it ends")} hint=${t("Empty: it does not end by itself.")}>
            <input type="number" min="1" max="3650" value=${form.days} onInput=${(event) => setForm({ ...form, days: event.target.value })} />
          </${Field}>
          <${Act} kind="main" type="submit" act=${make} disabled=${!form.name.trim() || !form.scopes.length}>${t("Make it")}</${Act}>
        </form>`}
  </${Dialog}>`;
}

function Configuration() {
  const { data, error, again } = useLoaded(() => api("v1/configuration"));
  const [which, setWhich] = useState("set");
  const [typed, setTyped] = useState("");
  const words = typed.trim().toLowerCase();
  const rows = data?.settings.filter((each) => (which === "all" || each.origin) && (!words || each.key.toLowerCase().includes(words))) ?? null;
  const columns = [
    { head: t("Setting"), kind: "wide", cell: (row) => html`<code>${row.key}</code>` },
    { head: t("Value"), cell: (row) => html`<code>${JSON.stringify(row.value)}</code>` },
    { head: t("From"), kind: "minor", cell: (row) => row.origin || t("default") },
  ];
  return html`<section class="section">
    <h2>${t("Configuration")}</h2>
    <p class="minor-text">${data && (data.file ?? t("There is no file; the built-in defaults hold."))}</p>
    ${data?.notices.map((notice) => html`<p class="problem">${notice}</p>`)}
    <div class="tools">
      <${Choice} label=${t("Which")} value=${which} onChange=${setWhich} options=${[["set", t("What is set")], ["all", t("All")]]} />
      <input type="search" aria-label=${t("Search settings")} placeholder=${t("Search")} value=${typed} onInput=${(event) => setTyped(event.target.value)} />
    </div>
    <${Loaded} data=${rows} error=${error} again=${again} empty=${which === "set" ? t("Nothing is set: the defaults hold.") : t("Nothing found.")}>
      <${Table} label=${t("Configuration")} rows=${rows} columns=${columns} keyOf=${(row) => row.key} />
    </${Loaded}>
  </section>`;
}
