// Where the server asks who it is.
import { post } from "../lib/api.js";
import { html, useState } from "../lib/dom.js";
import { Field, Problem } from "../lib/parts.js";
import { t } from "../lib/words.js";

export function Login({ why, onIn }) {
  const [key, setKey] = useState("");
  const [error, setError] = useState(why ?? null);
  const [busy, setBusy] = useState(false);
  const enter = async (event) => {
    event.preventDefault();
    setBusy(true);
    setError(null);
    try {
      await post("v1/login", { key: key.trim() });
      setKey("");
      await onIn();
    } catch (failure) {
      setError(failure);
    } finally {
      setBusy(false);
    }
  };
  return html`<main class="login" id="main">
    <img src="web/icon.svg" alt="" width="44" height="44" />
    <h1>${t("Log in to nanobot")}</h1>
    <p>${t("On the machine that runs nanobot, enter this in a terminal. It opens a link that logs this browser in:")}</p>
    <pre><code>nanobot web</code></pre>
    <form onSubmit=${enter}>
      <${Field} label=${t("Or with an API key")}>
        <input type="password" autocomplete="current-password" required value=${key} onInput=${(event) => setKey(event.target.value)} />
      </${Field}>
      <button class="button main" disabled=${busy || !key.trim()}>${t("Log in")}</button>
    </form>
    <${Problem} error=${error} />
  </main>`;
}
