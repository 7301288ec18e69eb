"""The server itself, with agents and models of its configuration."""

import json
from pathlib import Path

import httpx2
import openai
import pytest
from openai.types.chat import ChatCompletionMessageParam

from tests.doubles.live_server import live_server, with_model
from tests.doubles.model_server import ModelServer

from .conftest import Start


async def test_agents_and_models_of_the_configuration_answer_each_in_its_own_way(start: Start) -> None:
    live = await start(
        agents={
            "defaults": {"provider": "custom", "model": "fake-model"},
            "beta": {"model": "other-model", "provider": "custom", "instructions": "You are beta.", "tools": ["list_attachments"]},
        },
        models={"tuned": {"provider": "custom", "model": "tuned-upstream"}, "vectors": {"type": "embedding", "provider": "custom"}},
    )
    async with openai.AsyncOpenAI(base_url=f"{live.server.url}/v1", api_key="dummy") as client:
        listed = [model.id async for model in client.models.list()]
        assert listed == ["fake-model", "agent:main", "agent:beta", "custom/fake-model", "tuned", "vectors"]
        await client.chat.completions.create(
            model="agent:beta",
            messages=[
                {"role": "user", "content": "ECHO one"},
                {"role": "assistant", "content": "one"},
                {"role": "user", "content": "ECHO two"},
            ],
        )
        asked = live.asked()
        assert asked["model"] == "other-model"
        assert [message["role"] for message in asked["messages"]] == ["system", "user", "assistant", "user"]
        assert asked["messages"][0]["content"].startswith("You are beta.")
        assert [tool["function"]["name"] for tool in asked["tools"]] == ["list_attachments"]
        assert (await live.client.get("/v1/sessions")).json()["data"] == []
        for text in ("ECHO a", "ECHO b"):
            await client.chat.completions.create(model="agent:beta", messages=[{"role": "user", "content": text}], user="bob")
        assert [message["content"] for message in await live.session("agent:beta:openai-user:bob")] == ["ECHO a", "a", "ECHO b", "b"]
        await client.chat.completions.create(model="tuned", messages=[{"role": "user", "content": "ECHO x"}])
        assert (live.asked()["model"], "tools" in live.asked()) == ("tuned-upstream", False)
        vectors = await client.embeddings.create(model="vectors", input=["a", "bb"], encoding_format="float")
        assert [item.embedding for item in vectors.data] == [[1.0, 0.0], [2.0, 0.0]]


async def test_the_default_agents_model_is_asked_by_itself(start: Start) -> None:
    live = await start(models={"custom/other": {"provider": "custom", "model": "other-upstream"}})
    async with openai.AsyncOpenAI(base_url=f"{live.server.url}/v1", api_key="dummy", max_retries=0) as client:
        assert [model.id async for model in client.models.list()] == ["fake-model", "agent:main", "custom/fake-model", "custom/other"]
        assert (await client.models.retrieve("custom/fake-model")).owned_by == "custom"
        await client.chat.completions.create(model="custom/fake-model", messages=[{"role": "user", "content": "ECHO x"}], n=2)
        assert live.asked()["messages"] == [{"role": "user", "content": "ECHO x"}]
        assert live.asked()["model"] == "fake-model"
        for model in ("custom/unheard-of", "Custom/fake-model", "custom/"):
            with pytest.raises(openai.NotFoundError):
                await client.chat.completions.create(model=model, messages=[{"role": "user", "content": "hi"}])


async def test_the_default_model_takes_the_clients_history_where_it_is_told_to(start: Start) -> None:
    live = await start(api={"history": "client"})
    history: list[ChatCompletionMessageParam] = [
        {"role": "user", "content": "My name is Anna."},
        {"role": "assistant", "content": "Hello Anna."},
        {"role": "user", "content": "ECHO who"},
    ]
    async with openai.AsyncOpenAI(base_url=f"{live.server.url}/v1", api_key="dummy", max_retries=0) as client:
        for model in ("fake-model", "agent:main"):
            answer = await client.chat.completions.create(model=model, messages=history)
            assert (answer.model, answer.choices[0].message.content) == (model, "who")
            assert [message["role"] for message in live.asked()["messages"]] == ["system", "user", "assistant", "user"]
        assert (await live.client.get("/v1/sessions")).json()["data"] == []
        assert (await live.client.post("/v1/chat/completions", json={"messages": history})).status_code == 200
        for text in ("ECHO one", "ECHO two"):  # in a session, a history only begins it
            await client.chat.completions.create(
                model="fake-model", messages=[*history[:2], {"role": "user", "content": text}], extra_body={"session_id": "s"}
            )
        assert [message["content"] for message in await live.session()] == [
            "My name is Anna.", "Hello Anna.", "ECHO one", "one", "ECHO two", "two",
        ]  # fmt: skip
        response = await client.responses.create(
            model="fake-model", input=[{"role": "user", "content": "a"}, {"role": "user", "content": "ECHO b"}]
        )
        assert response.output_text == "b"
        asked = live.asked()["messages"]  # of an unknown server, neighbours of one role are one message: templates demand it
        assert [(message["role"], message["content"]) for message in asked[1:]] == [("user", "a\n\nECHO b")]


async def test_what_a_provider_lists_can_be_asked_and_one_that_fails_is_left_out(start: Start, tmp_path: Path) -> None:
    live = await start()
    custom = {"apiBase": live.model.url, "apiKey": "not-a-secret", "list": True}
    providers = {"custom": custom, "gone": {"apiBase": "http://127.0.0.1:9/v1", "list": True}}
    with live_server(tmp_path / "other", config={**with_model(live.model.url), "providers": providers}) as server:
        async with openai.AsyncOpenAI(base_url=f"{server.url}/v1", api_key="dummy", max_retries=0) as client:
            assert [model.id async for model in client.models.list()] == ["fake-model", "agent:main", "custom/fake-model"]
            answer = await client.chat.completions.create(model="custom/fake-model", messages=[{"role": "user", "content": "ECHO hi"}])
            assert answer.choices[0].message.content == "hi"
            assert (await client.models.retrieve("custom/fake-model")).owned_by == "custom"
            for model, error in (("custom/unheard-of", openai.NotFoundError), ("gone/anything", openai.InternalServerError)):
                try:
                    await client.chat.completions.create(model=model, messages=[{"role": "user", "content": "hi"}])
                except error:
                    continue
                raise AssertionError(model)


async def test_server_nodes_file_serves_and_a_model_without_its_file_says_so_when_it_is_asked(tmp_path: Path) -> None:
    async with ModelServer() as model:
        home = tmp_path / "home"
        home.mkdir()
        toml = home / "node.toml"
        models = '[api.models.mine]\nprovider = "custom"\n[api.models.file]\npath = "/models/none.gguf"\n'
        toml.write_text(
            '[api]\nenabled = true\naddress = "127.0.0.1:8080"\napi_key = "sk-node"\nrequire_auth = true\n'
            + f'{models}[providers.custom]\napiBase = "{model.url}"\n[agents.defaults]\nprovider = "custom"\nmodel = "fake-model"\n'
        )
        with live_server(home, config={}, args=["--config", str(toml)]) as server:
            headers = {"Authorization": "Bearer sk-node"}
            async with httpx2.AsyncClient(base_url=server.url, headers=headers, timeout=30) as client:
                body = {"model": "mine", "messages": [{"role": "user", "content": "ECHO hi"}]}
                assert (await client.post("/v1/chat/completions", json=body)).json()["choices"][0]["message"]["content"] == "hi"
                refused = await client.post("/v1/chat/completions", json={**body, "model": "file"})
                assert refused.status_code == 502
                assert "none.gguf" not in refused.text
                assert (await client.get("/v1/models", headers={"Authorization": "Bearer wrong"})).status_code == 401
            assert json.loads(model.bodies[-1])["model"] == "mine"
