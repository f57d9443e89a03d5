"""Prompts as other tools write them down: Langfuse, MLflow, and folders of texts.

Langfuse's export and its API give objects with `name`, `type` (text or chat), `prompt` (a text, or a list of
messages and placeholders), `config`, `version`, `labels` and `tags`, one or a list of them:
langfuse.com/docs/prompt-management/data-model, langfuse.com/changelog/2026-08-06-bulk-import-export-prompts.

MLflow's registry keeps a prompt as a model version whose tags hold it: `mlflow.prompt.text`, which is JSON
where `_mlflow_prompt_type` is chat, and `_mlflow_prompt_model_config`. Its REST API gives them as
`model_version` or `model_versions` (api/2.0/mlflow/model-versions/get, search); its own type PromptVersion
calls the text `template`: mlflow.org/docs/latest/genai/data-model/prompts, mlflow/prompt/constants.py.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from pointsman.app.prompt_drafts import Draft, Unfit

TEXTS: Final = (".txt", ".md", ".prompt")
"""Names of files that hold a prompt end so."""
_LISTS: Final = ("prompts", "data", "model_versions", "registered_model_versions")
_TEXT_TAG: Final = "mlflow.prompt.text"
_TYPE_TAGS: Final = ("_mlflow_prompt_type", "mlflow.prompt.type")
_CONFIG_TAG: Final = "_mlflow_prompt_model_config"


def read(path: Path, role: str) -> Iterator[Draft]:
    """The prompts in a file or folder. `role`: who says a prompt that is one text. Raises Unfit, OSError."""
    if path.is_dir():
        files = sorted(file for file in path.iterdir() if file.suffix in TEXTS and file.is_file())
        if not files:
            raise Unfit(f"{path}: no file in it ends in {', '.join(TEXTS)}")
        for file in files:
            yield _text(file.stem, file.read_text(encoding="utf-8"), role)
    elif path.suffix in TEXTS:
        yield _text(path.stem, path.read_text(encoding="utf-8"), role)
    else:
        yield from parse(path.read_text(encoding="utf-8"), str(path), role)


def parse(text: str, where: str, role: str) -> Iterator[Draft]:
    """The prompts in an export. Raises Unfit."""
    try:
        document = json.loads(text)
    except ValueError as error:
        raise Unfit(
            f"{where}: no JSON: {error}; texts are read from files that end in {', '.join(TEXTS)}"
        ) from None
    found = list(_listed(document))
    if not found:
        raise Unfit(f"{where}: no prompts in it")
    for number, item in enumerate(found):
        yield _draft(item, f"{where}: item {number + 1}", role)


def _listed(document: Any) -> Iterator[Any]:
    if isinstance(document, list):
        yield from document
        return
    if not isinstance(document, dict):
        yield document
        return
    lists = [document[name] for name in _LISTS if isinstance(document.get(name), list)]
    if lists:
        for one in lists:
            yield from one
    else:
        yield document.get("model_version", document)


def _draft(item: Any, where: str, role: str) -> Draft:
    if not isinstance(item, Mapping) or not isinstance(item.get("name"), str):
        raise Unfit(f"{where}: no prompt of Langfuse or MLflow: it has no name")
    if "prompt" in item:
        return _langfuse(item, role)
    tags = _tags(item.get("tags"))
    if "template" in item or _TEXT_TAG in tags:
        return _mlflow(item, tags, role)
    raise Unfit(
        f"{where}: {item['name']!r} is no prompt of Langfuse (it has no `prompt`) and none of MLflow (no "
        f"`template`, no tag {_TEXT_TAG}); a list of prompts without their texts isn't enough"
    )


def _text(name: str, text: str, role: str) -> Draft:
    return Draft(name, "", [(role, text.strip())])


def _langfuse(item: Mapping[str, Any], role: str) -> Draft:
    name, version = item["name"], _version(item)
    prompt = item["prompt"]
    draft = Draft(name, version, [], item.get("config") or {}, frozenset(item.get("labels") or ()))
    if isinstance(prompt, str):
        return _with(draft, [(role, prompt)])
    if not isinstance(prompt, list):
        raise Unfit(f"{draft.told}: `prompt` must be a text or a list of messages")
    # The last placeholder is where the conversation goes, and a client's messages follow the prompt anyway.
    kept = prompt[:-1] if prompt and _is_placeholder(prompt[-1]) else prompt
    held = next((one for one in kept if _is_placeholder(one)), None)
    if held is not None:
        raise Unfit(
            f"{draft.told}: the placeholder {held.get('name')!r} stands before messages of the prompt; a "
            "client's messages can only follow them"
        )
    return _with(draft, [_message(draft, one) for one in kept])


def _is_placeholder(message: Any) -> bool:
    return isinstance(message, Mapping) and message.get("type") == "placeholder"


def _mlflow(item: Mapping[str, Any], tags: Mapping[str, str], role: str) -> Draft:
    template: Any = item.get("template", tags.get(_TEXT_TAG))
    given = item.get("model_config") or _json(tags.get(_CONFIG_TAG)) or {}
    config = dict(given) if isinstance(given, Mapping) else {}
    config |= config.pop("extra_params", None) or {}
    draft = Draft(item["name"], _version(item), [], config, frozenset(_aliases(item)))
    if any(tags.get(tag) == "chat" for tag in _TYPE_TAGS) and isinstance(template, str):
        template = _json(template)
    if isinstance(template, str):
        return _with(draft, [(role, template)])
    if not isinstance(template, list):
        raise Unfit(f"{draft.told}: its text must be a text or a list of messages")
    return _with(draft, [_message(draft, one) for one in template])


def _aliases(item: Mapping[str, Any]) -> Iterator[str]:
    for alias in item.get("aliases") or ():
        yield str(alias.get("alias")) if isinstance(alias, Mapping) else str(alias)


def _tags(tags: Any) -> dict[str, str]:
    if isinstance(tags, Mapping):
        return {str(key): str(value) for key, value in tags.items()}
    pairs = [tag for tag in tags or () if isinstance(tag, Mapping)]
    return {str(tag.get("key")): str(tag.get("value", "")) for tag in pairs}


def _json(text: str | None) -> Any:
    try:
        return json.loads(text) if text else None
    except ValueError:
        return None


def _message(draft: Draft, message: Any) -> tuple[str, str]:
    role = message.get("role") if isinstance(message, Mapping) else None
    content = message.get("content") if isinstance(message, Mapping) else None
    if not isinstance(role, str) or not isinstance(content, str):
        raise Unfit(f"{draft.told}: every message must have a role and a content that is text")
    return ("system" if role == "developer" else role), content


def _version(item: Mapping[str, Any]) -> str:
    version = item.get("version")
    return "" if version is None else str(version)


def _with(draft: Draft, messages: list[tuple[str, str]]) -> Draft:
    return Draft(draft.name, draft.version, messages, draft.config, draft.labels)
