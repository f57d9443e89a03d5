"""The entrypoint's life as probes, routers and the kubelet see it: real processes, a scripted engine."""

from __future__ import annotations

import http.client
import json
import os
import signal
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pointsman_engine.drain import drain
from tests.engine.entrypoint import Entrypoint, eventually
from tests.engine.models import write_model

Start = Callable[..., Entrypoint]

SHARDS = "Loading safetensors checkpoint shards:  {percent}% Completed | {n}/2 [00:00<00:00,  2.50it/s]"


def test_it_answers_from_the_first_second_and_becomes_ready(entrypoint: Start) -> None:
    pod = entrypoint(script={"report_s": 0.5, "load_s": 0.5})
    assert pod.until("Preflight")
    assert (pod.code("/readyz"), pod.code("/livez"), pod.code("/startedz")) == (503, 200, 503)
    pod.until("Loading")
    assert (pod.code("/readyz"), pod.code("/livez"), pod.code("/startedz")) == (503, 200, 503)
    status = pod.until("Ready")
    assert (pod.code("/readyz"), pod.code("/livez"), pod.code("/startedz")) == (200, 200, 200)
    assert set(status["timings"]) == {"preflight", "load", "firstToken", "total"}
    assert status["timings"]["load"] >= 0.5
    assert 1 <= status["timings"]["total"] <= status["elapsed"]
    assert status["bytesLoaded"] == status["bytesTotal"] > 8192


def test_loading_counts_whole_files_as_the_engine_reports_them(entrypoint: Start) -> None:
    pod = entrypoint(
        script={"log": [SHARDS.format(percent=0, n=0), SHARDS.format(percent=50, n=1)], "load_s": 1}
    )
    status = pod.until("Loading")
    eventually(lambda: pod.status()["bytesLoaded"], "bytes of the first shard")
    assert pod.status()["bytesLoaded"] == status["bytesTotal"] // 2


COMPILING = {
    "compiling, as releases of vLLM have said it": (["torch.compile takes 0.30 s in total"], 0.3),
    "compiling, as they say it now": (
        ["(EngineCore pid=9) INFO [m.py:1] torch.compile took 0.30 s in total"],
        0.3,
    ),
    "what each worker says again": (
        ["torch.compile took 0.20 s in total", "torch.compile took 0.30 s in total"],
        0.3,
    ),
    "capturing graphs too": (
        ["torch.compile took 0.20 s in total", "Graph capturing finished in 0.1 secs, took 0.31 GiB"],
        0.3,
    ),
    "the summary": (
        ["init engine (profile, create kv cache, warmup model) took 0.42 s (compilation: 0.30 s)"],
        0.3,
    ),
    "more than loading took altogether": (["torch.compile took 99.00 s in total"], None),
}


@pytest.mark.parametrize(("log", "seconds"), COMPILING.values(), ids=COMPILING)
def test_compiling_is_told_apart_from_loading(
    entrypoint: Start, log: list[str], seconds: float | None
) -> None:
    timings = entrypoint(script={"log": log, "load_s": 0.6}).until("Ready")["timings"]
    if seconds is None:
        assert (timings["load"], timings["compile"] >= 0.6) == (0, True)
    else:
        assert timings["compile"] == pytest.approx(seconds)
        assert timings["load"] >= 0.3


def test_unknown_paths_and_methods_are_refused(entrypoint: Start) -> None:
    pod = entrypoint(script={"load_s": 5})
    pod.until("Loading")
    assert pod.code("/metrics") == 404
    connection = http.client.HTTPConnection("127.0.0.1", pod.status_port)
    connection.request("POST", "/status", body="{}")
    assert connection.getresponse().status == 405
    connection.close()


def test_the_engine_gets_the_model_first_and_the_images_defaults_last(
    entrypoint: Start, tmp_path: Path
) -> None:
    record = tmp_path / "record"
    pod = entrypoint(
        script={"record": str(record)},
        args=("--served-model-name=chat", "--dtype=float32", "--max-model-len=2048"),
        env={
            "POINTSMAN_IMAGE_DEVICE": "cpu",
            "POINTSMAN_DEFAULT_ARGS": "--dtype=float16 --enforce-eager",
            "HF_TOKEN_PATH": "/nowhere",
            "VLLM_CPU_KVCACHE_SPACE": "",
        },
    )
    pod.until("Ready")
    seen = json.loads(record.read_text())
    assert seen["words"][0] == str(pod.folder / "model")
    assert "--dtype=float32" in seen["words"]
    assert "--dtype=float16" not in seen["words"]
    assert "--enforce-eager" in seen["words"]
    assert any(word.startswith("--kv-cache-memory-bytes=") for word in seen["words"])
    assert seen["env"]["HF_HUB_OFFLINE"] == "1"
    assert seen["env"]["HOME"] == "/tmp"
    assert int(seen["env"]["OMP_NUM_THREADS"]) >= 1
    assert not {"HF_TOKEN_PATH", "VLLM_CPU_KVCACHE_SPACE"} & set(seen["env"])


def test_an_accelerator_that_a_cpu_engine_leaves_alone_is_only_a_line_in_the_log(entrypoint: Start) -> None:
    pod = entrypoint(env={"POINTSMAN_DEVICE": "cuda", "POINTSMAN_IMAGE_DEVICE": "cpu"})
    pod.until("Ready")
    assert "leaves the pod's device (cuda) alone" in pod.log()


def test_a_model_that_completes_no_text_is_ready_without_a_first_token(entrypoint: Start) -> None:
    status = entrypoint(script={"completion": 404}).until("Ready")
    assert "firstToken" not in status["timings"]


def test_draining_waits_for_what_is_in_flight(entrypoint: Start) -> None:
    pod = entrypoint()
    pod.until("Ready")
    body: list[str] = []
    client = threading.Thread(target=lambda: body.append(pod.get("/stream?s=2", pod.port)[1]))
    client.start()
    eventually(lambda: pod.status()["inFlight"] == 1, "the stream is counted")
    hook = pod.drain()
    status = pod.until("Draining")
    assert pod.code("/readyz") == 503
    assert (pod.code("/livez"), pod.code("/startedz")) == (200, 200)
    assert status["inFlight"] == 1
    assert hook.wait(10) == 0
    client.join(10)
    assert body[0].endswith("data: [DONE]\n\n")
    pod.terminate()
    assert pod.wait() == 0
    assert "requests cut: 0" in pod.log()
    assert pod.left() == {"stopped": "Ready", "started": True}


def test_draining_gives_routers_time_to_learn_even_with_nothing_in_flight(entrypoint: Start) -> None:
    pod = entrypoint(env={"POINTSMAN_SETTLE_SECONDS": "1"})
    pod.until("Ready")
    hook = pod.drain()
    pod.until("Draining")
    assert hook.poll() is None
    assert pod.get("/health", pod.port)[0] == 200, "the engine still serves late requests"
    assert hook.wait(10) == 0


def test_what_is_in_flight_at_the_deadline_is_cut_and_counted(entrypoint: Start) -> None:
    pod = entrypoint(env={"POINTSMAN_DRAIN_SECONDS": "1"})
    pod.until("Ready")
    client = threading.Thread(target=lambda: pod.get("/stream?s=30", pod.port))
    client.start()
    eventually(lambda: pod.status()["inFlight"] == 1, "the stream is counted")
    pod.terminate()
    assert pod.wait() == 0
    client.join(10)
    assert "requests cut: 1" in pod.log()


def test_sigterm_without_the_hook_drains_too(entrypoint: Start) -> None:
    pod = entrypoint()
    pod.until("Ready")
    body: list[str] = []
    client = threading.Thread(target=lambda: body.append(pod.get("/stream?s=1", pod.port)[1]))
    client.start()
    eventually(lambda: pod.status()["inFlight"] == 1, "the stream is counted")
    pod.terminate()
    assert pod.wait() == 0
    client.join(10)
    assert body[0].endswith("data: [DONE]\n\n")


async def test_an_engine_that_hangs_is_not_waited_for() -> None:
    async def silence() -> None:
        return None

    drained = await drain(silence, lambda: True, settle_s=0.1, limit_s=60, silent_s=0.2)
    assert drained.seconds < 5
    assert drained.cut is None


def test_a_hanging_engine_fails_its_probes_but_not_at_once(entrypoint: Start, tmp_path: Path) -> None:
    hang = tmp_path / "hang"
    pod = entrypoint(script={"hang": str(hang)})
    pod.until("Ready")
    hang.touch()
    time.sleep(0.5)
    assert (pod.code("/readyz"), pod.code("/livez")) == (200, 200), "a busy engine may be slow"
    hang.unlink()


def test_a_status_port_that_is_taken_is_said_plainly(entrypoint: Start) -> None:
    first = entrypoint()
    first.until("Ready")
    failure = entrypoint(status_port=first.status_port).failure()
    assert failure["reason"] == "EngineFailed"
    assert "address already in use" in failure["message"]


def test_sigterm_while_loading_ends_at_once(entrypoint: Start) -> None:
    pod = entrypoint(script={"load_s": 60})
    pod.until("Loading")
    pod.terminate()
    assert pod.wait(5) == 0
    assert pod.left() == {"stopped": "Loading", "started": False}


def test_an_engine_that_ignores_sigterm_is_killed_in_time(entrypoint: Start) -> None:
    pod = entrypoint(script={"term_s": 60}, env={"POINTSMAN_END_PATIENCE_SECONDS": "1"})
    pod.until("Ready")
    pod.terminate()
    assert pod.wait(10) == 0


def test_the_hook_has_nothing_to_do_where_no_entrypoint_runs(entrypoint: Start) -> None:
    pod = entrypoint(script={"load_s": 60})
    pod.until("Loading")
    assert pod.drain().wait(5) == 0, "not ready yet: nothing to drain"
    pod.terminate()
    pod.wait()
    assert pod.drain().wait(5) == 0
    assert "nothing to drain" in pod.log()


def test_the_engine_leaves_no_process_behind(entrypoint: Start) -> None:
    pod = entrypoint(script={"record": ""})
    pod.until("Ready")
    assert pod.process
    children = Path(f"/proc/{pod.process.pid}/task/{pod.process.pid}/children").read_text().split()
    assert children
    pod.terminate()
    assert pod.wait() == 0
    assert not any(Path(f"/proc/{child}").exists() for child in children)


def _wrong(reason: str, message: str) -> dict[str, object]:
    return {"report": {"ok": False, "reason": reason, "message": message}}


ROOT_CAUSE = [
    "(EngineCore pid=28) ERROR 11-22 17:59:14 [core.py:1510] Traceback (most recent call last):",
    '(EngineCore pid=28) ERROR 11-22 17:59:14 [core.py:1510]   File "core.py", line 1482, in run_engine_core',
    "(EngineCore pid=28) ERROR 11-22 17:59:14 [core.py:1510] ValueError: No available memory for the cache "
    "blocks.",
    "Traceback (most recent call last):",
    '  File "/opt/venv/bin/vllm", line 10, in <module>',
    "RuntimeError: Engine core initialization failed. See root cause above. Failed core proc(s): {}",
]

FAILURES = [
    pytest.param(
        _wrong("ArgumentsInvalid", "vLLM has no argument --max-modellen"),
        "ArgumentsInvalid",
        "no argument --max-modellen",
        id="arguments that vLLM's parser refuses",
    ),
    pytest.param(
        {"report": "none", "early": ["ImportError: libnuma.so.1"], "early_exit": 1},
        "EngineFailed",
        "libnuma",
        id="an engine that ends before it reports",
    ),
    pytest.param({"log": ROOT_CAUSE, "exit": 1}, "OutOfMemory", "KV cache", id="no room for the KV cache"),
    pytest.param(
        {"log": ["Traceback (most recent call last):", "  File x", "ValueError: odd"], "exit": 1},
        "EngineFailed",
        "ValueError: odd",
        id="a cause that isn't known",
    ),
    pytest.param({"exit": 3}, "EngineFailed", "status 3", id="an engine that says nothing"),
    pytest.param({"kill": signal.SIGSEGV}, "EngineFailed", "SIGSEGV", id="an engine that crashes"),
    pytest.param({"kill": signal.SIGILL}, "DeviceUnavailable", "SIGILL", id="a CPU that lacks instructions"),
    pytest.param({"completion": 500}, "EngineFailed", "500", id="a healthy engine that makes no token"),
]


@pytest.mark.parametrize(("script", "reason", "message"), FAILURES)
def test_a_failed_start_ends_with_its_root_cause(
    entrypoint: Start, script: dict[str, Any], reason: str, message: str
) -> None:
    failure = entrypoint(script=script).failure()
    assert failure["reason"] == reason
    assert message in failure["message"]
    assert len(failure["message"]) <= 1000
    assert set(failure) == {"reason", "message"}


def _without(name: str) -> Callable[[Path], None]:
    return lambda model: (model / name).unlink()


BROKEN = [
    pytest.param(
        _without("config.json"), "WeightsNotFound", "no config.json", id="a folder that is no model"
    ),
    pytest.param(
        _without("model-00002-of-00002.safetensors"),
        "WeightsNotFound",
        "lacks 1 of the 2 weight files",
        id="a shard that isn't there",
    ),
    pytest.param(_without("tokenizer.json"), "TokenizerInvalid", "has no tokenizer", id="no tokenizer"),
    pytest.param(
        lambda model: (model / "tokenizer.json").write_text("{"),
        "TokenizerInvalid",
        "isn't JSON",
        id="a tokenizer cut short",
    ),
]


@pytest.mark.parametrize(("damage", "reason", "message"), BROKEN)
def test_weights_and_tokenizer_are_looked_at_before_the_engine_starts(
    entrypoint: Start, tmp_path: Path, damage: Callable[[Path], object], reason: str, message: str
) -> None:
    model = write_model(tmp_path / "model")
    damage(model)
    pod = entrypoint(model=model, script={"report_s": 60})  # what is wrong is said before vLLM is imported
    failure = pod.failure()
    assert failure["reason"] == reason
    assert message in failure["message"]


@pytest.mark.parametrize(
    "option", ["--tokenizer=/another", "--skip-tokenizer-init"], ids=["another tokenizer", "none needed"]
)
def test_a_tokenizer_is_only_missed_where_it_is_used(entrypoint: Start, tmp_path: Path, option: str) -> None:
    model = write_model(tmp_path / "model")
    (model / "tokenizer.json").unlink()
    entrypoint(model=model, args=(option,)).until("Ready")


def test_a_missing_directory_names_what_is_there_instead(entrypoint: Start, tmp_path: Path) -> None:
    write_model(tmp_path / "qwen-7b")
    failure = entrypoint(model=tmp_path / "qwen7b").failure()
    assert failure["reason"] == "WeightsNotFound"
    assert "qwen-7b" in failure["message"]


def test_a_gpu_engine_without_a_gpu_says_so_before_anything_is_loaded(entrypoint: Start) -> None:
    failure = entrypoint(env={"POINTSMAN_DEVICE": "cuda"}, script={"report_s": 30}).failure()
    assert failure["reason"] == "DeviceUnavailable"


def test_an_engine_lost_while_serving_ends_the_container_with_a_reason(entrypoint: Start) -> None:
    pod = entrypoint()
    pod.until("Ready")
    assert pod.process
    children = Path(f"/proc/{pod.process.pid}/task/{pod.process.pid}/children").read_text().split()
    os.kill(int(children[0]), signal.SIGKILL)
    failure = pod.failure()
    assert failure["reason"] == "EngineFailed"
    assert "SIGKILL" in failure["message"]


def test_a_source_of_an_unknown_kind_is_refused(entrypoint: Start) -> None:
    failure = entrypoint(env={"POINTSMAN_SOURCE": "ftp://x"}).failure()
    assert failure["reason"] == "ArgumentsInvalid"
    assert "hf://org/name" in failure["message"]
