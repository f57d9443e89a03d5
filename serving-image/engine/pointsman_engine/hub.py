"""Talks to a model hub by the hub's own client, and says what went wrong in plain words.

The only module that imports huggingface_hub, and late: the engine's entrypoint runs it in a process of its
own (fetch.py), the operator's image runs it as `resolve`. Mirror, proxy and private CA come from the
environment, as the client reads it: HF_ENDPOINT, HTTPS_PROXY, SSL_CERT_FILE.
"""

from __future__ import annotations

import errno
import json
import os
import ssl
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from pointsman_engine.outcome import Reason, StartFailure
from pointsman_engine.repository import File, NoWeights, needed, weight_bytes

TRIES = 3
"""How often something is asked; for files the client itself tries several times each."""

FIRST_WAIT_S = 1.0
WORKERS = 4
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Repository:
    """A repository at one commit: what of it is needed."""

    name: str
    commit: str
    files: tuple[File, ...]
    parameters: Mapping[str, int] = field(default_factory=dict)
    """How many of each number format (safetensors' names) the hub says it has; empty: it doesn't say."""

    @property
    def size(self) -> int:
        return sum(file.size for file in self.files)

    @property
    def weight_bytes(self) -> int:
        """Size of the files that hold weights."""
        return weight_bytes(self.files)


@dataclass(frozen=True, slots=True)
class Hub:
    """A hub as one caller sees it."""

    endpoint: str
    token: str | None
    first_wait_s: float = FIRST_WAIT_S
    """Pause before the second try; each further one is twice as long."""

    def look_up(self, name: str, revision: str) -> Repository:
        """Commit and needed files of a repository. Raises StartFailure."""
        return self._ask(name, revision, lambda: self._look_up(name, revision))

    def _look_up(self, name: str, revision: str) -> Repository:
        from huggingface_hub import HfApi

        info = HfApi(endpoint=self.endpoint, token=self.token or False).model_info(
            name, revision=revision or None, files_metadata=True
        )
        listed = [File(s.rfilename, s.size or 0) for s in info.siblings or ()]
        stored = info.safetensors.parameters if info.safetensors else {}
        return Repository(name, str(info.sha), needed(listed), dict(stored))

    def config(self, repository: Repository, into: Path) -> dict[str, Any]:
        """The model's config.json; empty where there's none."""
        if not any(file.path == "config.json" for file in repository.files):
            return {}
        self.fetch_file(repository, "config.json", into)
        content = json.loads((into / "config.json").read_bytes())
        return content if isinstance(content, dict) else {}

    def fetch(self, repository: Repository, into: Path) -> None:
        """Fetches all needed files; what is there already stays, what was begun is resumed."""
        paths = [file.path for file in repository.files]
        with ThreadPoolExecutor(WORKERS) as pool:
            for _ in pool.map(lambda path: self.fetch_file(repository, path, into), paths):
                pass
        for file in repository.files:
            if (into / file.path).stat().st_size != file.size and file.size:
                raise StartFailure(
                    Reason.WEIGHTS_DOWNLOAD_FAILED,
                    f"{file.path} arrived with another size than the hub announced",
                )

    def fetch_file(self, repository: Repository, path: str, into: Path) -> None:
        """Fetches one file. Raises StartFailure."""
        from huggingface_hub import hf_hub_download

        self._ask(
            repository.name,
            repository.commit,
            lambda: hf_hub_download(
                repository.name,
                path,
                revision=repository.commit,
                local_dir=into,
                token=self.token or False,
                endpoint=self.endpoint,
                etag_timeout=30,
            ),
        )

    def _ask(self, name: str, revision: str, call: Callable[[], T]) -> T:
        """Calls, and calls again with growing pauses while the failure may pass by itself."""
        for attempt in range(TRIES):
            try:
                return call()
            except StartFailure:
                raise
            except Exception as error:
                cause = underlying(error)
                if not passing(cause) or attempt == TRIES - 1:
                    raise explain(cause, self, name, revision) from error
                time.sleep(self.first_wait_s * 2**attempt)
        raise AssertionError("unreachable")


def open_hub(environment: Mapping[str, str]) -> Hub:
    """The hub that the environment names. Raises StartFailure where the token's file can't be used."""
    token = environment.get("HF_TOKEN", "").strip() or None
    path = environment.get("HF_TOKEN_PATH", "")
    if path:
        try:
            token = Path(path).read_text(encoding="utf-8").strip()
        except (OSError, UnicodeDecodeError) as error:
            raise StartFailure(
                Reason.SECRET_INVALID, f"the hub's token can't be read from {path}: {error}"
            ) from error
        if not token:
            raise StartFailure(
                Reason.SECRET_INVALID, f"the hub's token in {path} is empty: put one under the key token"
            )
        if not token.isascii() or not token.isprintable() or " " in token:
            raise StartFailure(
                Reason.SECRET_INVALID, f"what stands in {path} isn't a token: it has to be one word"
            )
    endpoint = environment.get("HF_ENDPOINT", "").rstrip("/") or "https://huggingface.co"
    return Hub(endpoint, token, float(environment.get("POINTSMAN_HUB_RETRY_SECONDS") or FIRST_WAIT_S))


def prepare_environment(cache: Path) -> None:
    """Sets up the client before it is imported: quiet, online, and with its caches where we may write."""
    os.environ.update(HF_HUB_DISABLE_PROGRESS_BARS="1", HF_HUB_DISABLE_TELEMETRY="1", HF_HUB_OFFLINE="0")
    os.environ.setdefault("HF_HOME", str(cache))
    os.environ.setdefault("HF_HUB_DOWNLOAD_TIMEOUT", "30")
    # Each file is fetched once: a cache of its chunks would only fill the weights volume.
    os.environ.setdefault("HF_XET_CHUNK_CACHE_SIZE_BYTES", "0")


def underlying(error: Exception) -> Exception:
    """The client says of any failure that the file isn't cached; what happened is the cause of that."""
    if type(error).__name__ == "LocalEntryNotFoundError" and isinstance(error.__cause__, Exception):
        return error.__cause__
    return error


def passing(error: BaseException) -> bool:
    """Whether the same call may succeed a little later."""
    if certificate_error(error) or isinstance(error, NoWeights):
        return False
    code = status_code(error)
    if code is not None:
        return code in (408, 425, 429) or code >= 500
    return (isinstance(error, OSError) and error.errno != errno.ENOSPC) or _is_transport(error)


def status_code(error: BaseException) -> int | None:
    """The HTTP status inside a client's error."""
    return getattr(getattr(error, "response", None), "status_code", None)


def certificate_error(error: BaseException) -> ssl.SSLError | None:
    """The TLS error at the bottom of a chain of exceptions."""
    seen: BaseException | None = error
    while seen is not None:
        if isinstance(seen, ssl.SSLCertVerificationError):
            return seen
        if "CERTIFICATE_VERIFY_FAILED" in str(seen):
            return ssl.SSLError(str(seen))
        seen = seen.__cause__ or seen.__context__
    return None


def _is_transport(error: BaseException) -> bool:
    """Connection, timeout and protocol errors of the client's HTTP library, whose name differs by release."""
    bases = {f"{base.__module__.partition('.')[0]}.{base.__name__}" for base in type(error).__mro__}
    return bool(bases & {"httpx.TransportError", "httpx2.TransportError", "requests.ConnectionError"})


def explain(error: Exception, hub: Hub, name: str, revision: str) -> StartFailure:
    """What a failed call means for the person who declared the model."""
    where = f"{name} at {hub.endpoint}"
    certificate = certificate_error(error)
    if certificate is not None:
        return StartFailure(
            Reason.WEIGHTS_DOWNLOAD_FAILED,
            f"the certificate of {hub.endpoint} isn't trusted ({certificate}): give the private CA to the "
            "operator's settings",
        )
    if isinstance(error, NoWeights):
        return StartFailure(Reason.WEIGHTS_NOT_FOUND, f"{where} can't be served: {error}")
    if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
        return StartFailure(
            Reason.WEIGHTS_DOWNLOAD_FAILED,
            f"the weights volume is full: {name} needs more; see model.storage.size",
        )
    return _explain_answer(error, hub, name, revision)


def _explain_answer(error: Exception, hub: Hub, name: str, revision: str) -> StartFailure:
    """What the hub's own answer, or its absence, means."""
    where = f"{name} at {hub.endpoint}"
    kinds = {base.__name__ for base in type(error).__mro__}
    code = status_code(error)
    if "RevisionNotFoundError" in kinds:
        return StartFailure(Reason.WEIGHTS_NOT_FOUND, f"{where} has no revision {revision!r}")
    if "GatedRepoError" in kinds:
        return StartFailure(Reason.SECRET_INVALID, f"{where} is gated: {_gated(hub)}")
    if code == 401 and hub.token:
        return StartFailure(Reason.SECRET_INVALID, f"{hub.endpoint} refuses the token in the model's Secret")
    if code == 403:
        return StartFailure(Reason.SECRET_INVALID, f"the token may not read {where}")
    if "RepositoryNotFoundError" in kinds or code in (401, 404):
        return StartFailure(
            Reason.WEIGHTS_NOT_FOUND, f"there is no {where}, or it is private: {_hidden(hub)}"
        )
    if "HFValidationError" in kinds:
        return StartFailure(
            Reason.WEIGHTS_NOT_FOUND, f"{name!r} is no name of a repository: it has to be org/name"
        )
    if code is not None:
        return StartFailure(
            Reason.WEIGHTS_DOWNLOAD_FAILED, f"{hub.endpoint} answers {code}, {TRIES} times in a row"
        )
    return StartFailure(
        Reason.WEIGHTS_DOWNLOAD_FAILED,
        f"{hub.endpoint} can't be reached ({type(error).__name__}: {error}): check HF_ENDPOINT, proxy and "
        "network",
    )


def _gated(hub: Hub) -> str:
    if hub.token:
        return "the token's account hasn't been granted access; accept the model's terms there"
    return "give a token in a Secret that source.secretRef names"


def _hidden(hub: Hub) -> str:
    if hub.token:
        return "check the name, and what the token may read"
    return "check the name, or give a token in a Secret that source.secretRef names"
