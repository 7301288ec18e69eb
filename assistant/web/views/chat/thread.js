// The messages of a session: older ones on scroll, the running turn at the end.
import { html, useEffect, useLayoutEffect, useMemo, useRef, useState } from "../../lib/dom.js";
import { dayName } from "../../lib/format.js";
import { Icon } from "../../lib/icons.js";
import { Problem } from "../../lib/parts.js";
import { t } from "../../lib/words.js";
import { Live, Message, grouped } from "./message.js";

const NEAR = 80; // pixels from the end within which the view follows what comes

export function Thread({ thread }) {
  const scroller = useRef();
  const top = useRef();
  const follows = useRef(true);
  const height = useRef(0);
  const [away, setAway] = useState(false);
  const first = thread.messages[0]?.seq;

  const toEnd = () => {
    const box = scroller.current;
    if (box) box.scrollTop = box.scrollHeight;
  };
  useLayoutEffect(() => {
    if (follows.current) toEnd();
  }, [thread.messages, thread.live]);
  useLayoutEffect(() => {
    // What came before keeps in place what was seen.
    const box = scroller.current;
    if (!follows.current && height.current) box.scrollTop += box.scrollHeight - height.current;
    height.current = 0;
  }, [first]);
  useEffect(() => {
    const grown = new ResizeObserver(() => follows.current && toEnd());
    grown.observe(scroller.current.firstElementChild);
    return () => grown.disconnect();
  }, []);
  useEffect(() => {
    if (!thread.hasMore) return undefined;
    const seen = new IntersectionObserver(
      ([{ isIntersecting }]) => {
        if (!isIntersecting || follows.current) return;
        height.current = scroller.current.scrollHeight;
        thread.older();
      },
      { root: scroller.current, rootMargin: "400px 0px 0px 0px" },
    );
    seen.observe(top.current);
    return () => seen.disconnect();
  }, [thread.hasMore, first, away]);
  const scrolled = () => {
    const box = scroller.current;
    follows.current = box.scrollHeight - box.scrollTop - box.clientHeight < NEAR;
    setAway(!follows.current);
  };

  const groups = useMemo(() => grouped(thread.messages, thread.live), [thread.messages, thread.live?.id]);
  const lastQuestion = groups.findLast((each) => each.role === "user")?.key;
  const idle = !thread.live && !thread.running;
  const shown = useMemo(() => {
    let day = "";
    return groups.map((group) => {
      const named = dayName(group.at);
      const isNext = named !== day;
      day = named;
      return html`${isNext && html`<p key=${`day${group.key}`} class="day"><span>${named}</span></p>`}
        <${Message} key=${group.key} group=${group} thread=${thread} isLast=${group.key === groups.at(-1).key} canAsk=${idle && group.key === lastQuestion} />`;
    });
  }, [groups, idle, lastQuestion]);
  return html`<div class="scroller" ref=${scroller} onScroll=${scrolled} tabindex="0" role="log" aria-label=${t("Conversation")} aria-busy=${Boolean(thread.live)}>
      <div class="thread">
        <div ref=${top} class="top">${thread.hasMore ? t("Loading …") : ""}</div>
        ${shown}
        ${thread.live && html`<${Live} turn=${thread.live} />`}
        ${!thread.live && thread.running && html`<p class="working" role="status"><span class="pulse"></span>${t("nanobot is at work. The answer appears here.")}</p>`}
        <${Problem} error=${thread.problem} />
      </div>
    </div>
    ${away && html`<button type="button" class="button round todown" aria-label=${t("To the end")} onClick=${() => ((follows.current = true), toEnd())}><${Icon} name="down" /></button>`}`;
}
