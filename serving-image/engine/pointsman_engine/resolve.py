"""`pointsman-engine resolve`: what a hub's repository or a mounted volume holds, before a revision is born.

Runs in a small Job without an accelerator; its answer is the container's termination message.
"""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Mapping
from pathlib import Path

from pointsman_engine import hub, weights
from pointsman_engine.facts import facts
from pointsman_engine.outcome import Reason, StartFailure, write_termination
from pointsman_engine.settings import MOUNTED, REMOTE, model_dir, termination_log

MESSAGE_BYTES = 4096
"""What the kubelet keeps of a termination message."""


def resolve(uri: str, revision: str, environment: Mapping[str, str] = os.environ) -> dict[str, object]:
    """What `hf://org/name` or a mounted `pvc://claim/path` holds. Raises StartFailure.

    `weights` counts the parameters of each number format, `weightBytes` what their files take; of a hub's
    repository also commit, bytes of all files that are needed, and their number.
    """
    if uri.startswith(REMOTE):
        return fitting(_repository(uri, revision, environment))
    if uri.startswith(MOUNTED):
        return fitting(_directory(Path(environment.get("POINTSMAN_MODEL_DIR") or model_dir(uri))))
    raise StartFailure(
        Reason.WEIGHTS_NOT_FOUND, f"{uri!r} can't be resolved: it has to be hf://org/name or pvc://claim/path"
    )


def _repository(uri: str, revision: str, environment: Mapping[str, str]) -> dict[str, object]:
    with tempfile.TemporaryDirectory() as scratch:
        hub.prepare_environment(Path(scratch))
        opened = hub.open_hub(environment)
        found = opened.look_up(uri.removeprefix(REMOTE).strip("/"), revision)
        config = opened.config(found, Path(scratch))
    return {
        "commit": found.commit,
        "bytes": found.size,
        "files": len(found.files),
        "weightBytes": found.weight_bytes,
        "weights": dict(found.parameters),
        "config": facts(config),
    }


def _directory(directory: Path) -> dict[str, object]:
    files = weights.check_weights(directory)
    described = directory / "config.json"
    config = json.loads(described.read_bytes()) if described.is_file() else {}
    return {
        "weightBytes": sum(size for _, size in files),
        "weights": weights.parameters(directory),
        "config": facts(config),
    }


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
