"""What users of the OpenAI SDKs see where all goes well: answers and streams."""

from __future__ import annotations

from tests.router.sdk import scripts
from tests.router.sdk.behaviours import RESPONSES, TOOLS, Behaviour, Call, call, chat, keyed, several_models

ANSWERS = [
    Behaviour(
        "a chat",
        chat(temperature=0.5),
        {"value.choices.0.message.content": "pong", "value.usage.total_tokens": 5, "requestId": str},
        engine=(scripts.chat("pong"),),
        engine_got={"temperature": 0.5, "model": "chat"},
    ),
    Behaviour(
        "a chat in every script, byte for byte",
        chat(messages=[{"role": "user", "content": "Grüße, 東京 🚂 \u2028\u0000"}]),
        {"value.choices.0.message.content": "Grüße, 東京 🚂 \u2028\u0000"},
        engine=(scripts.chat("Grüße, 東京 🚂 \u2028\u0000"),),
        engine_got={"messages.0.content": "Grüße, 東京 🚂 \u2028\u0000"},
    ),
    Behaviour(
        "a base URL with a slash at its end",
        Call(base="/v1/"),
        {"value.choices.0.message.content": "pong"},
        engine=(scripts.chat("pong"),),
    ),
    Behaviour(
        "tools: the call as the model made it",
        chat(tools=TOOLS, tool_choice="auto"),
        {
            "value.choices.0.message.tool_calls.0.function.name": "look",
            "value.choices.0.message.tool_calls.0.function.arguments": '{"x":1}',
            "value.choices.0.finish_reason": "tool_calls",
        },
        engine=(scripts.tool_call(),),
        engine_got={"tools": TOOLS, "tool_choice": "auto"},
    ),
    Behaviour(
        "embeddings as numbers",
        call("embeddings.create", model="chat", input="ping", encoding_format="float"),
        {"value.data.0.embedding": [0.5, 0.25]},
        engine=(scripts.embedding([0.5, 0.25]),),
    ),
    Behaviour(
        "embeddings in base64, which clients ask for by themselves",
        call("embeddings.create", model="chat", input="ping"),
        {"value.data.0.embedding": [0.5, 0.25]},
        engine=(scripts.embedding("AAAAPwAAgD4="),),
        engine_got={"encoding_format": "base64"},
    ),
    Behaviour(
        "a response",
        call(RESPONSES, model="chat", input="ping"),
        {"value.id": "resp_1", "value.object": "response"},
        engine=(scripts.response(),),
    ),
    Behaviour(
        "a plain completion",
        call("completions.create", model="chat", prompt="ping"),
        {"value.choices.0.text": "pong"},
        engine=(scripts.completion("pong"),),
    ),
    Behaviour(
        "the list of models",
        call("models.list"),
        {"value.data.0.id": "chat", "value.data.1.id": "org/model"},
        configure=several_models,
    ),
    Behaviour(
        "the list of the models that the key may use",
        call("models.list"),
        {"value.data.0.id": "chat", "value.data.1": None},
        configure=keyed,
    ),
    Behaviour(
        "a model whose name has a slash",
        call("models.retrieve", "org/model"),
        {"value.id": "org/model", "value.owned_by": "team-a"},
        configure=several_models,
    ),
]

STREAMS = [
    Behaviour(
        "a chat, streamed, with usage at its end",
        chat(stream=True, stream_options={"include_usage": True}),
        {"text": "pong", "items.2.usage.total_tokens": 5},
        engine=(scripts.streamed("po", "ng", usage=True),),
        engine_got={"stream": True, "stream_options.include_usage": True},
    ),
    Behaviour(
        "tools, streamed",
        chat(stream=True, tools=TOOLS),
        {"items.0.choices.0.delta.tool_calls.0.function.arguments": '{"x":1}'},
        engine=(scripts.streamed_tool_call(),),
    ),
    Behaviour(
        "a response, streamed",
        call(RESPONSES, model="chat", input="ping", stream=True),
        {"items.0.type": "response.created", "items.1.type": "response.completed", "items.2": None},
        engine=(scripts.streamed_response(),),
    ),
    Behaviour(
        "comments before the first event keep the line open",
        chat(stream=True),
        {"text": "pong", "error": None},
        engine=(scripts.late(0.4, scripts.streamed("po", "ng")),),
        settings={"commentSeconds": 0.1},
    ),
    Behaviour(
        "comments between events keep the line open",
        chat(stream=True),
        {"text": "pong", "error": None},
        engine=(scripts.streamed("po", "ng", gap=0.4),),
        settings={"commentSeconds": 0.1},
    ),
    Behaviour(
        "comments in a streamed response",
        call(RESPONSES, model="chat", input="ping", stream=True),
        {"items.1.type": "response.completed", "error": None},
        engine=(scripts.late(0.4, scripts.streamed_response()),),
        settings={"commentSeconds": 0.1},
    ),
]
