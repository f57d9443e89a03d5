"""`pointsman-engine resolve`: what a remote source holds, before a revision is born.

Runs in a small Job without an accelerator; its answer is the container's termination message.
"""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pointsman_engine import hub
from pointsman_engine.outcome import Reason, StartFailure, write_termination
from pointsman_engine.settings import REMOTE, termination_log

MESSAGE_BYTES = 4096
"""What the kubelet keeps of a termination message."""

CONFIG_KEYS = (
    "architectures",
    "model_type",
    "torch_dtype",
    "dtype",
    "num_hidden_layers",
    "hidden_size",
    "intermediate_size",
    "num_attention_heads",
    "num_key_value_heads",
    "head_dim",
    "vocab_size",
    "max_position_embeddings",
    "sliding_window",
    "num_experts",
    "num_local_experts",
    "num_experts_per_tok",
    "tie_word_embeddings",
)
"""Facts for the fit calculation; the order is the order of dropping, last first, where there's no room."""


def resolve(uri: str, revision: str, environment: Mapping[str, str] = os.environ) -> dict[str, object]:
    """Commit, bytes, number of files and configuration facts of `hf://org/name`. Raises StartFailure."""
    if not uri.startswith(REMOTE):
        raise StartFailure(Reason.WEIGHTS_NOT_FOUND, f"{uri!r} can't be resolved: it has to be hf://org/name")
    with tempfile.TemporaryDirectory() as scratch:
        hub.prepare_environment(Path(scratch))
        opened = hub.open_hub(environment)
        found = opened.look_up(uri.removeprefix(REMOTE).strip("/"), revision)
        config = opened.config(found, Path(scratch))
    document = {
        "commit": found.commit,
        "bytes": found.size,
        "files": len(found.files),
        "config": facts(config),
    }
    return fitting(document)


def facts(config: Mapping[str, Any]) -> dict[str, object]:
    """The allow-listed part of a config.json; of a model with several parts, the part that makes text."""
    text = config.get("text_config")
    merged = {**(text if isinstance(text, dict) else {}), **config}
    kept: dict[str, object] = {}
    for key in CONFIG_KEYS:
        value = merged.get(key)
        if isinstance(value, list):
            kept[key] = [str(item)[:80] for item in value[:4]]
        elif isinstance(value, str):
            kept[key] = value[:80]
        elif isinstance(value, (bool, int, float)):
            kept[key] = value
    quantization = config.get("quantization_config")
    if isinstance(quantization, dict) and isinstance(quantization.get("quant_method"), str):
        kept["quantization"] = quantization["quant_method"][:40]
    return kept


def fitting(document: dict[str, object]) -> dict[str, object]:
    """`document` with as much of `config` as a termination message holds."""
    config = dict(document["config"]) if isinstance(document["config"], dict) else {}
    while config and len(json.dumps({**document, "config": config}).encode()) > MESSAGE_BYTES:
        config.popitem()
    return {**document, "config": config}


def run(uri: str, revision: str) -> int:
    """Resolves and reports; returns the exit status."""
    target = termination_log(os.environ)
    try:
        document = resolve(uri, revision)
    except StartFailure as failure:
        write_termination(target, {"reason": str(failure.reason), "message": failure.message})
        print(f"{failure.reason}: {failure.message}", flush=True)
        return 1
    write_termination(target, document)
    print(json.dumps(document), flush=True)
    return 0
