"""What models, people and files say is shown as words: nothing of it runs, and nothing is loaded from elsewhere."""

import json
from collections.abc import Sequence

import pytest

from tests.flow.page.rig import PageHouse, Visit

pytestmark = pytest.mark.asyncio(loop_scope="module")

RUN = "window.__ran=1"
TAGS = [
    *("script", "img", "svg", "iframe", "object", "embed", "video", "audio", "body", "input", "details", "marquee", "math", "style"),
    *("link", "meta", "form", "button", "select", "textarea", "keygen", "frameset", "table", "a", "base", "template", "noscript", "dialog"),
]
EVENTS = ["onerror", "onload", "onclick", "onfocus", "ontoggle", "onmouseover", "onanimationstart", "onpointerenter"]


def payloads() -> Sequence[str]:
    """Over 200, after OWASP's filter evasion sheet and html5sec.org: every tag with a handler, and what parsers were fooled by."""
    made = [f"<{tag} src=x href=x autofocus open {EVENTS[place % len(EVENTS)]}={RUN}>" for place, tag in enumerate(TAGS)]
    made += [f"<{tag}>{RUN}</{tag}>" for tag in ("script", "style", "template", "noscript", "title", "textarea", "xmp", "plaintext")]
    made += [f"<img src=x {event}='{RUN}'>" for event in EVENTS]
    made += [f"<svg><{inner} {event}={RUN}></svg>" for inner in ("animate", "set", "image", "use", "a", "script") for event in EVENTS]
    made += [
        f"<{outer}><{inner}><img src=x onerror={RUN}>"
        for outer in ("math", "svg", "table", "form")
        for inner in ("mtext", "style", "p", "mglyph")
    ]
    schemes = [
        *("javascript:", "JaVaScRiPt:", " javascript:", "java\tscript:", "java\nscript:", "\x01javascript:", "javascript&colon;"),
        *("&#106;avascript:", "data:text/html,<script>", "vbscript:", "view-source:javascript:", "javascript://%0a", "feed:javascript:"),
        *("blob:", "file:///", "jar:javascript:"),
    ]
    for scheme in schemes:
        made += [
            f"[w]({scheme}{RUN})",
            f"[w](<{scheme}{RUN}>)",
            f"![w]({scheme}{RUN})",
            f"<{scheme.strip()}{RUN}>",
            f'<a href="{scheme}{RUN}">w</a>',
        ]
    made += [
        f'[w](https://a.example "onmouseover={RUN}")',
        f'![w"onerror="{RUN}](x)',
        f"[w]: javascript:{RUN}\n[w]",
        f"`<img src=x onerror={RUN}>`",
        f"```\n</code></pre><script>{RUN}</script>\n```",
        f"```<img src=x onerror={RUN}>\nx\n```",
        f"| <img src=x onerror={RUN}> |\n|---|\n| x |",
        f"- [ ] <img src=x onerror={RUN}>",
        f"<!--><img src=x onerror={RUN}>-->",
        f"<![CDATA[><img src=x onerror={RUN}>]]>",
        f"<noscript><p title='</noscript><img src=x onerror={RUN}>'>",
        "<a id=x name=getElementById>w</a>",
        "<form id=app><input name=innerHTML>",
        f"<math><mtext><table><mglyph><style><!--</style><img title='--&gt;&lt;img src=1 onerror={RUN}&gt;'>",
        f"<svg></p><style><a id='</style><img src=1 onerror={RUN}>'>",
        "<base href=//evil.example/>",
        "<meta http-equiv=refresh content='0;url=//evil.example'>",
        "<link rel=stylesheet href=//evil.example/x.css>",
        "![beacon](https://evil.example/x.png)",
        "<img src=https://evil.example/y.png>",
        "<style>@import '//evil.example/z.css'</style>",
        "\u202e<script>\u202c",
    ]
    return made


async def watched(visit: Visit) -> list[str]:
    """What the page asks another server for."""
    asked: list[str] = []
    visit.page.on("request", lambda request: None if request.url.startswith((visit.url, "data:", "blob:")) else asked.append(request.url))
    return asked


async def unharmed(visit: Visit, asked: list[str]) -> None:
    assert await visit.page.evaluate("window.__ran") is None
    assert asked == []
    assert visit.wrong == []
    assert await visit.page.locator("#app .frame").count() == 1


async def test_answers_run_nothing(house: PageHouse, visit: Visit) -> None:
    assert len(set(payloads())) >= 200
    asked = await watched(visit)
    page = await visit.open()
    for place in range(0, len(payloads()), 40):
        house.model.configure(text="\n\n".join(payloads()[place : place + 40]) + f"\n\nend {place}", chunks=30)
        await visit.say(f"say {place}")
        await visit.answered(f"end {place}" if place != 0 else "end 0")
    for link in await page.locator("article a[href]").all():
        href = await link.get_attribute("href")
        assert href is not None
        assert href.lower().startswith(("http://", "https://", "mailto:", "tel:"))
        assert await link.get_attribute("rel") == "noopener noreferrer nofollow"
    assert (
        await page.locator(":is(article img, article svg:not(.icon), article iframe, article form, article style, article script)").count()
        == 0
    )
    await unharmed(visit, asked)


async def test_what_people_and_tools_say_runs_nothing(house: PageHouse, visit: Visit) -> None:
    asked = await watched(visit)
    some = "\n\n".join(payloads()[::7])
    house.model.configure(text="fine")
    page = await visit.open()
    await visit.say(f"hello {some}")
    await visit.answered("fine")
    await visit.say('CALLTOOL read_file {"path": "<img src=x onerror=window.__ran=1>"}')
    await visit.answered("done")
    for step in await page.locator("details.step summary").all():
        await step.click()
    await unharmed(visit, asked)


@pytest.mark.parametrize("place", ["memory", "schedule", "deliveries", "files", "audit", "people"])
async def test_names_and_rows_run_nothing(house: PageHouse, visit: Visit, place: str) -> None:
    asked = await watched(visit)
    hostile = f"<img src=x onerror={RUN}><svg onload={RUN}> [w](javascript:{RUN})"
    client = house.client
    match place:
        case "memory":
            (await client.post("/v1/memories", json={"text": f"I like {hostile}"})).raise_for_status()
        case "schedule":
            body = {"kind": "ask", "when": "tomorrow 9:00", "text": hostile}
            (await client.post("/v1/schedules", json=body)).raise_for_status()
        case "files":
            files = {"file": ("<img src=x onerror=window.__ran=1>.txt", b"x", "text/plain")}
            (await client.post("/v1/files", data={"purpose": "user_data"}, files=files)).raise_for_status()
        case "people":
            (await client.post("/v1/people/me", json={"name": f"<b onclick={RUN}>Eve</b>"})).raise_for_status()
        case _:
            body = {"session_id": "h", "messages": [{"role": "user", "content": "CALLTOOL remember " + json.dumps({"text": hostile})}]}
            (await client.post("/v1/chat/completions", json=body)).raise_for_status()
    page = await visit.open(f"#/{place}")
    await page.locator("h1").wait_for()
    for row in (await page.locator(".opener").all())[:3]:
        await row.click()
    await page.wait_for_timeout(100)
    await unharmed(visit, asked)
