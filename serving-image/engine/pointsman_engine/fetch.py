"""The process that fetches remote weights: `python -m pointsman_engine.fetch NAME COMMIT DIRECTORY`.

Its own process, so that it can be ended at any moment and its memory is gone when the engine runs. Prints one
JSON object per line: {"done": bytes, "total": bytes} about every second, and at last {"complete": true} or
{"reason": …, "message": …}.
"""

from __future__ import annotations

import json
import os
import shutil
import sys
import threading
from collections.abc import Sequence
from pathlib import Path

from pointsman_engine import hub
from pointsman_engine.outcome import Reason, StartFailure

MARKER = ".pointsman-complete.json"
INTERVAL_S = 1.0


def fetch(name: str, commit: str, into: Path) -> None:
    """Fetches a repository's needed files at one commit; nothing to do where that was done before."""
    if is_complete(name, commit, into):
        return
    into.mkdir(parents=True, exist_ok=True)
    hub.prepare_environment(into / ".cache")
    opened = hub.open_hub(os.environ)
    repository = opened.look_up(name, commit)
    _check_room(repository, into)
    stop = threading.Event()
    watcher = threading.Thread(target=_report, args=(into, repository.size, stop), daemon=True)
    watcher.start()
    try:
        opened.fetch(repository, into)
    finally:
        stop.set()
        watcher.join()
    _mark(repository, into)


def is_complete(name: str, commit: str, into: Path) -> bool:
    """Whether exactly this was fetched before: a restarted container needs no hub."""
    try:
        marker = json.loads((into / MARKER).read_bytes())
        sizes = {path: (into / path).stat().st_size for path in marker["files"]}
    except (OSError, ValueError, KeyError, TypeError):
        return False
    return (
        bool(commit)
        and marker.get("name") == name
        and marker.get("commit") == commit
        and sizes == marker["files"]
    )


def bytes_on_disk(directory: Path) -> int:
    """Bytes fetched so far, files that are still being written included, holes in them not."""
    total = 0
    for folder, _, files in os.walk(directory):
        for file in files:
            try:
                found = os.lstat(os.path.join(folder, file))
            except OSError:
                continue  # renamed into place between the two calls
            total += min(found.st_size, found.st_blocks * 512)
    return total


def _mark(repository: hub.Repository, into: Path) -> None:
    files = {file.path: (into / file.path).stat().st_size for file in repository.files}
    unfinished = into / f"{MARKER}.unfinished"
    unfinished.write_text(json.dumps({"name": repository.name, "commit": repository.commit, "files": files}))
    unfinished.replace(into / MARKER)


def _check_room(repository: hub.Repository, into: Path) -> None:
    missing = repository.size - bytes_on_disk(into)
    free = shutil.disk_usage(into).free
    if missing > free:
        raise StartFailure(
            Reason.WEIGHTS_DOWNLOAD_FAILED,
            f"{repository.name} needs {missing / 1e9:.1f} GB more, but the weights volume has "
            f"{free / 1e9:.1f} GB free; see model.storage.size",
        )


def _report(into: Path, total: int, stop: threading.Event) -> None:
    while not stop.wait(INTERVAL_S):
        _say({"done": min(bytes_on_disk(into), total), "total": total})
    _say({"done": total, "total": total})


def _say(document: dict[str, object]) -> None:
    print(json.dumps(document), flush=True)


def main(argv: Sequence[str]) -> int:
    """See the module's docstring."""
    try:
        fetch(argv[0], argv[1], Path(argv[2]))
    except StartFailure as failure:
        _say({"reason": str(failure.reason), "message": failure.message})
        return 1
    except OSError as error:
        _say(
            {"reason": str(Reason.WEIGHTS_DOWNLOAD_FAILED), "message": f"{argv[2]} can't be written: {error}"}
        )
        return 1
    _say({"complete": True})
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
