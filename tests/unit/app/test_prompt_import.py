"""Prompts of other tools: what becomes of their exports, and what is refused with its reason."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from pointsman.api.prompt import PromptVersion
from pointsman.app.main import main

Json = dict[str, Any]

LANGFUSE: list[Json] = [
    {
        "name": "Movie Critic",
        "type": "text",
        "prompt": "As a {{criticLevel}} movie critic,\ndo you like {{ movie }}?\n",
        "config": {"model": "gpt-4o", "temperature": 0.5, "supported_languages": ["en", "fr"]},
        "version": 1,
        "labels": ["staging"],
        "tags": ["movies"],
    },
    {
        "name": "Movie Critic",
        "type": "chat",
        "prompt": [
            {"role": "system", "content": "You are a {{criticLevel}} critic."},
            {"type": "chatmessage", "role": "user", "content": "Do you like {{movie}}?"},
            {"type": "placeholder", "name": "history"},
        ],
        "config": {"max_tokens": 200, "top_p": 1, "stop": "END", "seed": 3},
        "version": 2,
        "labels": ["production", "latest"],
        "tags": [],
    },
]

MLFLOW: Json = {
    "model_versions": [
        {
            "name": "summarization_prompt",
            "version": "3",
            "description": "Shorter.",
            "aliases": ["champion"],
            "tags": [
                {"key": "mlflow.prompt.is_prompt", "value": "true"},
                {
                    "key": "mlflow.prompt.text",
                    "value": "Summarize in {{ num_sentences }} sentences: {{content}}",
                },
                {"key": "_mlflow_prompt_type", "value": "text"},
            ],
        },
        {
            "name": "summarization_prompt",
            "version": "4",
            "tags": [
                {
                    "key": "mlflow.prompt.text",
                    "value": json.dumps([{"role": "system", "content": "Be short."}]),
                },
                {"key": "_mlflow_prompt_type", "value": "chat"},
                {
                    "key": "_mlflow_prompt_model_config",
                    "value": json.dumps(
                        {
                            "provider": "openai",
                            "temperature": 0.25,
                            "stop_sequences": ["a"],
                            "extra_params": {"seed": 1},
                        }
                    ),
                },
            ],
        },
    ]
}


def filed(tmp_path: Path, document: Any) -> str:
    path = tmp_path / "export.json"
    path.write_text(json.dumps(document))
    return str(path)


def imported(*arguments: str, capsys: pytest.CaptureFixture[str]) -> tuple[list[Json], str]:
    """What stands on standard output, and on the other."""
    assert main(["prompt", "import", *arguments]) == 0
    out, err = capsys.readouterr()
    found = list(yaml.safe_load_all(out))
    for manifest in found:
        PromptVersion.model_validate(manifest)
    return found, err


def test_langfuses_export(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (text, chat), notes = imported(filed(tmp_path, LANGFUSE), capsys=capsys)
    assert text["metadata"] == {"name": "movie-critic-v1"}
    assert text["spec"] == {
        "family": "movie-critic",
        "messages": [
            {"role": "system", "content": "As a {{criticLevel}} movie critic,\ndo you like {{movie}}?\n"}
        ],
        "variables": [{"name": "criticLevel", "type": "string"}, {"name": "movie", "type": "string"}],
        "parameters": {"temperature": "0.5"},
    }
    assert chat["metadata"] == {"name": "movie-critic-v2"}
    assert [message["role"] for message in chat["spec"]["messages"]] == ["system", "user"]
    assert chat["spec"]["parameters"] == {"maxTokens": 200, "topP": "1", "stop": ["END"], "seed": 3}
    assert (
        notes == "note: prompt 'Movie Critic' version 1: left out of its config: model, supported_languages\n"
    )


def test_langfuses_answer_for_one_prompt(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO(json.dumps(LANGFUSE[1])))
    (found,), _ = imported("-", "--family=critics", capsys=capsys)
    assert (found["metadata"]["name"], found["spec"]["family"]) == ("movie-critic-v2", "critics")


@pytest.mark.parametrize(
    ("document", "label", "name"),
    [(LANGFUSE, "production", "movie-critic-v2"), (MLFLOW, "champion", "summarization-prompt-v3")],
)
def test_one_label_alone(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], document: Any, label: str, name: str
) -> None:
    found, _ = imported(filed(tmp_path, document), f"--label={label}", capsys=capsys)
    assert [one["metadata"]["name"] for one in found] == [name]


def test_mlflows_registry(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (text, chat), notes = imported(filed(tmp_path, MLFLOW), "--role=user", capsys=capsys)
    assert text["spec"]["messages"] == [
        {"role": "user", "content": "Summarize in {{num_sentences}} sentences: {{content}}"}
    ]
    assert chat["metadata"]["name"] == "summarization-prompt-v4"
    assert chat["spec"]["messages"] == [{"role": "system", "content": "Be short."}]
    assert chat["spec"]["parameters"] == {"temperature": "0.25", "stop": ["a"], "seed": 1}
    assert "left out of its config: provider" in notes


def test_mlflows_own_type(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    document = {"name": "greet", "version": 1, "template": "Hello {{name}}", "tags": {"author": "me"}}
    (found,), _ = imported(filed(tmp_path, document), capsys=capsys)
    assert found["spec"]["messages"][0]["content"] == "Hello {{name}}"


def test_a_folder_of_texts(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "Support v7.md").write_text("Help {{customer}}.\n\nBe kind.\n")
    (tmp_path / "sales.txt").write_text("Sell.")
    (tmp_path / "notes.json").write_text("{}")
    found, _ = imported(str(tmp_path), capsys=capsys)
    assert [(one["metadata"]["name"], one["spec"]["family"]) for one in found] == [
        ("support-v7", "support"),
        ("sales", "sales"),
    ]
    assert found[0]["spec"]["messages"][0]["content"] == "Help {{customer}}.\n\nBe kind."


def test_one_file_each(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    target = tmp_path / "out" / "prompts"
    arguments = ["prompt", "import", filed(tmp_path, LANGFUSE), "-o", str(target)]
    assert main(arguments) == 0
    assert main(arguments) == 0, "the same again is no change"
    assert sorted(path.name for path in target.iterdir()) == ["movie-critic-v1.yaml", "movie-critic-v2.yaml"]
    text = (target / "movie-critic-v1.yaml").read_text()
    assert "content: |\n      As a {{criticLevel}} movie critic,\n      do you like" in text
    capsys.readouterr()
    (target / "movie-critic-v2.yaml").write_text("other: thing\n")
    assert main(arguments) == 2
    assert "is there and says something else" in capsys.readouterr().err
    assert (target / "movie-critic-v2.yaml").read_text() == "other: thing\n"


def langfuse(prompt: Any, name: str = "a", **fields: Any) -> Json:
    return {"name": name, "version": 1, "type": "text", "prompt": prompt, **fields}


REFUSED: dict[str, tuple[Any, str]] = {
    "an empty list": ([], "no prompts in it"),
    "a list of names": ([{"name": "a", "versions": [1], "labels": []}], "without their texts isn't enough"),
    "no prompt at all": ({"kind": "Pod"}, "item 1: no prompt of Langfuse or MLflow: it has no name"),
    "a condition": (langfuse("{{#if a}}x{{/if}}"), "prompt 'a' version 1: '{{#if a}}' is no variable"),
    "a Jinja template": (langfuse("{% if a %}x{% endif %}"), "'{% if a %}' is no variable"),
    "a dotted name": (langfuse("Hi {{ user.name }}"), "'{{ user.name }}' is no variable"),
    "braces that don't close": (langfuse("Hi {{name"), "'{{name' is no variable"),
    "another prompt within": (
        langfuse("@@@langfusePrompt:name=b|label=production@@@ x"),
        "@@@langfusePrompt:name=b|label=production@@@ takes in another prompt",
    ),
    "a placeholder in the middle": (
        langfuse([{"type": "placeholder", "name": "examples"}, {"role": "user", "content": "x"}]),
        "the placeholder 'examples' stands before messages",
    ),
    "nothing but a placeholder": (langfuse([{"type": "placeholder", "name": "all"}]), "messages: "),
    "an unknown role": (
        langfuse([{"role": "tool", "content": "x"}]),
        "spec.messages.0.role: Input should be",
    ),
    "content that isn't text": (
        langfuse([{"role": "user", "content": [{"type": "image"}]}]),
        "every message must have a role and a content that is text",
    ),
    "a prompt that is a number": (langfuse(3), "`prompt` must be a text or a list of messages"),
    "a name of nothing": (langfuse("x", name="日本"), "no letter or digit of its name"),
    "a temperature that is none": (langfuse("x", config={"temperature": "hot"}), "temperature is 'hot'"),
    "a temperature too high": (langfuse("x", config={"temperature": 3}), "spec.parameters.temperature"),
    "two of one name": (
        [langfuse("x", name="A b"), langfuse("y", name="a-b")],
        "prompt 'A b' version 1 and prompt 'a-b' version 1 would both be called 'a-b-v1'; rename one",
    ),
    "MLflow's chat that is no list": (
        {
            "model_version": {
                "name": "a",
                "version": "1",
                "tags": [
                    {"key": "mlflow.prompt.text", "value": "no JSON"},
                    {"key": "_mlflow_prompt_type", "value": "chat"},
                ],
            }
        },
        "its text must be a text or a list of messages",
    ),
}


@pytest.mark.parametrize(("document", "says"), REFUSED.values(), ids=REFUSED)
def test_what_cannot_be_taken_over_is_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], document: Any, says: str
) -> None:
    assert main(["prompt", "import", filed(tmp_path, document)]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert says in err


def test_what_is_no_export_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "export.json").write_text("Hello")
    for path, says in (
        (tmp_path / "export.json", "no JSON"),
        (tmp_path / "nowhere.json", "No such file"),
        (tmp_path, "no file in it ends in .txt"),
    ):
        assert main(["prompt", "import", str(path)]) == 2
        assert says in capsys.readouterr().err
    assert main(["prompt", "import", filed(tmp_path, LANGFUSE), "--label=gone"]) == 2
    assert "no prompt bears the label 'gone'" in capsys.readouterr().err


def test_long_names_keep_their_version(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (found,), _ = imported(filed(tmp_path, langfuse("x", name="a" * 60, version=12)), capsys=capsys)
    assert found["metadata"]["name"] == "a" * 36 + "-v12"
    assert found["spec"]["family"] == "a" * 40
