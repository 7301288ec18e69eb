"""`nanobot chat-server --remote-auth`: users of a Supabase project, at a server that runs."""

from pathlib import Path

import httpx2

from tests.doubles.live_server import live_server, offline

from .supabase_project import Project


async def test_users_of_the_project_come_in_and_nobody_else(tmp_path: Path) -> None:
    project = Project()
    project.add_ec("ec-1")
    runner = await project.start()
    try:
        env = {"SUPABASE_URL": project.url, "SUPABASE_KEY": "publishable", "NODETOOL_ENVIRONMENT": "production"}
        with live_server(tmp_path / "home", config=offline(), env=env, command="chat-server", args=["--remote-auth"]) as server:
            async with httpx2.AsyncClient(base_url=server.url, timeout=30) as client:
                body = {"messages": [{"role": "user", "content": "hi"}], "session_id": "mine"}
                tokens = (
                    project.token("ec-1"),
                    project.secret_token(),
                    project.token("ec-1", exp=1),
                    project.token("ec-1", aud="other"),
                    "x",
                )
                answers = [
                    await client.post("/v1/chat/completions", json=body, headers={"authorization": f"Bearer {token}"}) for token in tokens
                ]
                assert [answer.status_code for answer in answers] == [200, 200, 401, 401, 401]
                assert answers[2].json()["error"]["code"] == "invalid_api_key"
                assert (await client.post("/v1/chat/completions", json=body)).status_code == 401
                assert (await client.get("/health")).status_code == 200
                assert project.asked == 1, "the project was asked about the token that only it can check"
    finally:
        await runner.cleanup()
