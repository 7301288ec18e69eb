// The page: who is there, where they are (`#/deliveries`), and the frame around the views.
import { api, post, whenLoggedOut } from "./lib/api.js";
import { startChanges, stopChanges, useConnected, useLoaded } from "./lib/changes.js";
import { classes, html, render, useEffect, useState } from "./lib/dom.js";
import { Icon } from "./lib/icons.js";
import { keep, kept } from "./lib/kept.js";
import { Problem } from "./lib/parts.js";
import { language, setLanguage, t } from "./lib/words.js";
import { Chat } from "./views/chat.js";
import { Login } from "./views/login.js";

/** The views by their place in the address. `needs`: the feature of the server, or `admin`; `module` is loaded when the view is opened. */
const VIEWS = [
  { name: "chat", title: () => t("Chat"), view: Chat },
  { name: "deliveries", title: () => t("Deliveries"), needs: "deliveries", module: "deliveries" },
  { name: "schedule", title: () => t("Schedule"), needs: "schedules", module: "schedule" },
  { name: "memory", title: () => t("Memory"), needs: "memory", module: "memory" },
  { name: "approvals", title: () => t("Approvals"), needs: "approvals", module: "approvals" },
  { name: "tasks", title: () => t("Tasks"), needs: "tasks", module: "tasks" },
  { name: "files", title: () => t("Files"), needs: "files", module: "files" },
  { name: "people", title: () => t("People"), needs: "people", module: "people" },
  { name: "usage", title: () => t("Usage"), needs: "usage", module: "usage" },
  { name: "audit", title: () => t("Audit"), needs: "audit", module: "audit" },
  { name: "settings", title: () => t("Settings"), module: "settings" },
];

function placeOf() {
  let written = location.hash;
  try {
    written = decodeURIComponent(written);
  } catch {
    // Written by hand, and no encoding: taken as it is.
  }
  const [, name = "chat", ...rest] = (written || "#/chat").split("/");
  return { name: name || "chat", rest: rest.join("/") };
}

function usePlace() {
  const [place, set] = useState(placeOf);
  useEffect(() => {
    const changed = () => set(placeOf());
    addEventListener("hashchange", changed);
    return () => removeEventListener("hashchange", changed);
  }, []);
  return place;
}

/** A view of a module of its own, which is loaded when it is first shown. */
function Lazy({ module, ...given }) {
  const [state, set] = useState({});
  useEffect(() => {
    let here = true;
    set({});
    import(`./views/${module}.js`).then(
      (loaded) => here && set({ View: loaded.View }),
      (error) => here && set({ error }),
    );
    return () => {
      here = false;
    };
  }, [module]);
  if (state.error) return html`<${Problem} error=${state.error} again=${() => location.reload()} />`;
  return state.View ? html`<${state.View} ...${given} />` : html`<p class="waiting" aria-busy="true">${t("Loading …")}</p>`;
}

function ApprovalCount() {
  const { data } = useLoaded(() => api("v1/approvals?waiting=true&limit=50"), ["approvals"]);
  const waiting = data?.data.length ?? 0;
  return waiting > 0 && html`<span class="count" aria-label=${t("{n} waiting", { n: waiting })}>${waiting}</span>`;
}

function Navigation({ views, now, onGo }) {
  return html`<nav aria-label=${t("Views")}>
    ${views.map(
      (each) => html`<a href=${`#/${each.name}`} aria-current=${each.name === now ? "page" : undefined} onClick=${onGo}>
        <${Icon} name=${each.name} /><span>${each.title()}</span>${each.name === "approvals" && html`<${ApprovalCount} />`}
      </a>`,
    )}
  </nav>`;
}

function Look() {
  const [look, set] = useState(kept("look") ?? "");
  useEffect(() => {
    document.documentElement.dataset.look = look;
  }, [look]);
  const next = { "": "light", light: "dark", dark: "" }[look];
  const names = { "": t("As the system"), light: t("Light"), dark: t("Dark") };
  const press = () => {
    keep("look", next || null);
    set(next);
  };
  return html`<button type="button" class="link" onClick=${press} title=${t("Look")}>${names[look]}</button>`;
}

function Foot({ me }) {
  return html`<footer class="foot">
    <span class="who" title=${me.person.id}>${me.person.name || t("Owner")}</span>
    <span class="spacer"></span>
    <${Look} />
    <button type="button" class="link" lang=${language() === "de" ? "en" : "de"} onClick=${() => setLanguage(language() === "de" ? "en" : "de")}>
      ${language() === "de" ? "English" : "Deutsch"}
    </button>
  </footer>`;
}

function Page({ me, onLogOut }) {
  const place = usePlace();
  const connected = useConnected();
  const [drawer, setDrawer] = useState(false);
  useEffect(() => {
    startChanges();
    return stopChanges;
  }, []);
  useEffect(() => setDrawer(false), [place.name, place.rest]);
  const views = VIEWS.filter(({ needs }) => !needs || me.features.includes(needs));
  const shown = views.find(({ name }) => name === place.name) ?? views[0];
  useEffect(() => {
    document.title = `${shown.title()} · nanobot`;
  }, [shown.name]);
  const given = { me, rest: place.name === shown.name ? place.rest : "", onLogOut, navigation: html`<${Navigation} views=${views} now=${shown.name} />`, foot: html`<${Foot} me=${me} />`, drawer, setDrawer };
  return html`
    <a class="skip" href="#main" onClick=${(event) => (event.preventDefault(), document.getElementById("main").focus())}>${t("Skip to the content")}</a>
    ${!connected && html`<p class="offline" role="status">${t("No connection to the server. What you see may be old; it is loaded again as soon as the server is back.")}</p>`}
    <div class=${classes("frame", { chatting: shown.view, drawn: drawer })} onKeyDown=${(event) => event.key === "Escape" && setDrawer(false)}>
      <header class="bar">
        <button type="button" class="button quiet bare" aria-label=${t("Menu")} aria-expanded=${drawer} onClick=${() => setDrawer(!drawer)}><${Icon} name="menu" /></button>
        <span>${shown.title()}</span>
      </header>
      <div class="veil" onClick=${() => setDrawer(false)}></div>
      ${shown.view
        ? html`<${shown.view} ...${given} />`
        : html`<aside class="side">${given.navigation}<span class="spacer"></span>${given.foot}</aside>
            <main id="main" class="view" tabindex="-1"><${Lazy} module=${shown.module} ...${given} /></main>`}
    </div>`;
}

/** The link of `nanobot web` is taken out of the address before anything else reads it. */
function takenLink() {
  const found = /^#login=(nbl_[\w-]+)$/.exec(location.hash);
  if (found) history.replaceState(null, "", location.pathname + location.search);
  return found?.[1];
}

function App({ link }) {
  const [state, set] = useState({ me: null, error: null, out: false });
  const look = async () => {
    try {
      set({ me: await api("v1/me"), error: null, out: false });
    } catch (error) {
      set({ me: null, error: error.status === 401 ? null : error, out: error.status === 401 });
    }
  };
  useEffect(() => {
    whenLoggedOut(() => set((now) => (now.me ? { me: null, error: null, out: true } : now)));
    (async () => {
      if (link) {
        try {
          await post("v1/login", { link });
        } catch (error) {
          set({ me: null, error: null, out: true, why: error });
          return;
        }
      }
      await look();
    })();
  }, []);
  const logOut = async (everywhere) => {
    await post("v1/logout", { everywhere });
    await look();
  };
  if (state.out) return html`<${Login} why=${state.why} onIn=${look} />`;
  if (state.error) return html`<main class="alone"><${Problem} error=${state.error} again=${look} /></main>`;
  if (!state.me) return html`<p class="waiting alone" aria-busy="true">${t("Loading …")}</p>`;
  return html`<${Page} key=${state.me.person.id} me=${state.me} onLogOut=${logOut} />`;
}

document.documentElement.dataset.look = kept("look") ?? "";
render(html`<${App} link=${takenLink()} />`, document.getElementById("app"));
if ("serviceWorker" in navigator && isSecureContext) navigator.serviceWorker.register("sw.js").catch(() => {});
