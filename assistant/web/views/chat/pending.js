// A call that waits for a yes, answered where it is read.
import { api, post, step } from "../../lib/api.js";
import { useLoaded } from "../../lib/changes.js";
import { html } from "../../lib/dom.js";
import { Act, Badge, When } from "../../lib/parts.js";
import { t } from "../../lib/words.js";

export const STATES = () => ({
  waiting: ["wait", t("waits for your yes")],
  approved: ["good", t("allowed, runs now")],
  done: ["good", t("allowed, done")],
  denied: ["bad", t("denied")],
  expired: ["plain", t("expired")],
  void: ["plain", t("not the same call any more")],
});

export function Pending({ pending }) {
  const { data, again } = useLoaded(() => api(`v1/approvals/${step(pending.id)}`), ["approvals"], [pending.id]);
  const shown = data ?? { ...pending, state: "waiting" };
  return html`<${Asked} approval=${shown} again=${again} />`;
}

/** The whole call, why it is asked about, and the answers. */
export function Asked({ approval, again }) {
  const [kind, said] = STATES()[approval.state] ?? ["plain", approval.state];
  const answer = (word) => async () => {
    await post(`v1/approvals/${step(approval.id)}`, { answer: word });
    await again();
  };
  return html`<div class=${`asked ${approval.state}`} role="group" aria-label=${t("Asks for your yes: {tool}", { tool: approval.tool ?? "" })}>
    <p><${Badge} kind=${kind}>${said}</${Badge}> ${approval.why && html`<span>${approval.why}</span>`}</p>
    ${approval.text && html`<pre><code>${approval.text}</code></pre>`}
    ${approval.state === "waiting" &&
    approval.text &&
    html`<div class="actions">
      <${Act} kind="main" icon="check" act=${answer("once")}>${t("Allow once")}</${Act}>
      <${Act} act=${answer("session")}>${t("Allow in this conversation")}</${Act}>
      <${Act} kind="danger" act=${answer("deny")}>${t("Deny")}</${Act}>
      <small>${t("until")} <${When} at=${approval.expires_at} /></small>
    </div>`}
  </div>`;
}
