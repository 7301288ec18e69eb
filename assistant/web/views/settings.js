// The browser's own log-in, others that are logged in, the models, and how the server is.
import { api, remove, step } from "../lib/api.js";
import { useLoaded } from "../lib/changes.js";
import { html } from "../lib/dom.js";
import { Act, Badge, Facts, Head, Loaded, Problem, Table, When } from "../lib/parts.js";
import { t } from "../lib/words.js";

export function View({ me, onLogOut }) {
  return html`
    <${Head} title=${t("Settings")} />
    <${Server} me=${me} />
    <${Models} />
    <${Browsers} me=${me} onLogOut=${onLogOut} />`;
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
