"""The engine's argument list, and what vLLM's parser is asked about it."""

from __future__ import annotations

import argparse
import re
from pathlib import Path
from typing import Any

import pytest

from pointsman_engine import launch
from pointsman_engine.arguments import complete
from pointsman_engine.environment import (
    Machine,
    cache_bytes,
    engine_environment,
    read_machine,
    read_oom_kills,
    seed_cache,
)
from pointsman_engine.settings import model_dir, read_settings

COMPLETED = [
    pytest.param(["--model=/m", "--port=1"], "/m", ("--port=1",), id="the model goes to the front"),
    pytest.param(["--model", "/m", "--port=1"], "/m", ("--port=1",), id="the model as two words"),
    pytest.param(["/m", "--port=1"], "/m", ("--port=1",), id="the model without its name"),
    pytest.param(["--port=1"], "/default", ("--port=1",), id="no model: the source's directory"),
    pytest.param(
        ["--model=/m", "--model=/n"], "/m", ("--model=/n",), id="a second model stays, to be refused"
    ),
]


@pytest.mark.parametrize(("given", "model", "options"), COMPLETED)
def test_the_model_is_found(given: list[str], model: str, options: tuple[str, ...]) -> None:
    done = complete(given, "/default", ())
    assert (done.model, done.options) == (model, options)


DEFAULTED = [
    pytest.param([], ("--dtype=float16",), id="nothing said: the image's default"),
    pytest.param(["--dtype=float32"], ("--dtype=float32",), id="said: not the image's"),
    pytest.param(["--enforce-eager"], ("--enforce-eager", "--dtype=float16"), id="something else said"),
]


@pytest.mark.parametrize(("given", "options"), DEFAULTED)
def test_the_image_has_a_say_only_where_nothing_was_said(given: list[str], options: tuple[str, ...]) -> None:
    assert complete(given, "/m", ("--dtype=float16",)).options == options


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        pytest.param(["--no-enforce-eager"], False, id="a flag taken back"),
        pytest.param(["--enforce_eager"], False, id="a flag with underscores"),
        pytest.param([], True, id="nothing"),
    ],
)
def test_a_default_flag_gives_way_to_any_spelling(given: list[str], kept: bool) -> None:
    assert ("--enforce-eager" in complete(given, "/m", ("--enforce-eager",)).options) is kept


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        pytest.param("--tensor-parallel-size=2", False, id="two workers"),
        pytest.param("--tensor-parallel-size=1", True, id="one worker, said so"),
        pytest.param("--max-model-len=9", True, id="one worker"),
    ],
)
def test_the_executor_for_one_worker_is_not_used_for_several(given: str, kept: bool) -> None:
    default = "--distributed-executor-backend=uni"
    assert (default in complete([given], "/m", (default,)).options) is kept


def test_what_the_entrypoint_needs_is_read_from_the_arguments() -> None:
    done = complete(["--host=0.0.0.0", "--port=8100", "--served-model-name=chat"], "/m", ())
    assert (done.host, done.port, done.served_name) == ("127.0.0.1", 8100, "chat")
    bare = complete([], "/m", ())
    assert (bare.host, bare.port, bare.served_name) == ("127.0.0.1", 8000, "/m")


def parser() -> argparse.ArgumentParser:
    """Stands for vLLM's: it takes abbreviations and lets the last of equal options win."""
    made = argparse.ArgumentParser(prog="vllm serve")
    made.add_argument("model_tag", nargs="?")
    made.add_argument("--host")
    made.add_argument("--port", type=int, default=8000)
    made.add_argument("--served-model-name", nargs="+")
    made.add_argument("--max-model-len", type=int)
    made.add_argument("--tensor-parallel-size", "-tp", type=int, default=1)
    made.add_argument("--enable-prefix-caching", action=argparse.BooleanOptionalAction)
    made.add_argument("--speculative-config")
    made.add_argument("--dtype", choices=["auto", "float16"])
    made.add_argument("--api-key", nargs="*")
    return made


@pytest.mark.parametrize(
    "options",
    [
        pytest.param([], id="none"),
        pytest.param(["--host=0.0.0.0", "--port=8000", "--served-model-name=chat"], id="the operator's"),
        pytest.param(["--max-model-len=2048", "--no-enable-prefix-caching"], id="the user's"),
    ],
)
def test_right_arguments_pass(options: list[str]) -> None:
    assert launch.examine(["/m", *options], parser()).model_tag == "/m"


REFUSED = [
    pytest.param(["--max-model=9"], "write --max-model-len in full", id="an abbreviation"),
    pytest.param(["--max_model_len=9"], "write --max-model-len in full", id="underscores"),
    pytest.param(["--max-modellen=9"], "did you mean --max-model-len?", id="a slip of the keyboard"),
    pytest.param(["--frobnicate=1"], "no argument --frobnicate", id="an unknown name"),
    pytest.param(["--port=1", "--port=2"], "--port is given twice", id="the same twice"),
    pytest.param(["--dtype=float17"], "invalid choice: 'float17'", id="a value that isn't one"),
    pytest.param(["--max-model-len=x"], "invalid int value: 'x'", id="a number that isn't one"),
    pytest.param(["--api-key=k"], "--api-key isn't allowed here", id="a key of the engine's own"),
    pytest.param(["-tp=2"], "has to be --name or --name=value", id="a short name"),
    pytest.param(["other"], "has to be --name or --name=value", id="a stray word"),
    pytest.param(["--model=/n"], "no argument --model", id="a second model"),
]


@pytest.mark.parametrize(("options", "message"), REFUSED)
def test_what_could_stand_for_something_else_is_refused(options: list[str], message: str) -> None:
    with pytest.raises(ValueError, match=re.escape(message)):
        launch.examine(["/m", *options], parser())


def test_a_parser_that_understands_a_reserved_name_otherwise_is_not_trusted() -> None:
    odd = parser()
    odd.add_argument("--shift", dest="port", const=1, action="store_const")
    with pytest.raises(ValueError, match="understands --port as 1"):
        launch.examine(["/m", "--port=8000", "--shift"], odd)


def test_addresses_of_functions_stay_out_of_messages() -> None:
    odd = parser()

    def size(_: str) -> int:
        raise argparse.ArgumentTypeError(f"Value 1Q cannot be converted to {size}.")

    odd.add_argument("--kv-cache-memory-bytes", type=size)
    with pytest.raises(ValueError, match=r"cannot be converted") as refused:
        launch.examine(["/m", "--kv-cache-memory-bytes=1Q"], odd)
    assert "0x" not in str(refused.value)


CPU = Machine(cpus=2, memory_bytes=None, user_known=True)
ENVIRONMENTS = [
    pytest.param({}, {"HOME": "/tmp", "OMP_NUM_THREADS": "2", "HF_HUB_OFFLINE": "1"}, id="nothing set"),
    pytest.param(
        {"OMP_NUM_THREADS": "7", "HOME": "/h"}, {"OMP_NUM_THREADS": "7", "HOME": "/h"}, id="set by users"
    ),
    pytest.param(
        {"HF_TOKEN": "x", "HF_TOKEN_PATH": "/x"}, {"HF_TOKEN": None, "HF_TOKEN_PATH": None}, id="a token"
    ),
    pytest.param({"VLLM_CPU_KVCACHE_SPACE": ""}, {"VLLM_CPU_KVCACHE_SPACE": None}, id="an empty cache size"),
    pytest.param({"VLLM_CPU_KVCACHE_SPACE": "4"}, {"VLLM_CPU_KVCACHE_SPACE": "4"}, id="a cache size"),
]


@pytest.mark.parametrize(("given", "expected"), ENVIRONMENTS)
def test_the_engines_environment(given: dict[str, str], expected: dict[str, str | None]) -> None:
    found = engine_environment(given, complete([], "/m", ()), CPU, "cpu")
    assert {name: found.get(name) for name in expected} == expected


def test_the_cache_argument_is_stronger_than_the_variable() -> None:
    done = complete(["--kv-cache-memory-bytes=1"], "/m", ())
    assert "VLLM_CPU_KVCACHE_SPACE" not in engine_environment(
        {"VLLM_CPU_KVCACHE_SPACE": "4"}, done, CPU, "cpu"
    )


def test_a_user_without_a_name_gets_one_and_others_keep_theirs() -> None:
    nameless = Machine(cpus=1, memory_bytes=None, user_known=False)
    assert engine_environment({}, complete([], "/m", ()), nameless, "cuda")["USER"] == "vllm"
    assert "USER" not in engine_environment({}, complete([], "/m", ()), CPU, "cuda")


def test_threads_and_their_binding_are_for_cpus_only() -> None:
    found = engine_environment({}, complete([], "/m", ()), CPU, "cuda")
    assert not {"OMP_NUM_THREADS", "VLLM_CPU_OMP_THREADS_BIND"} & set(found)


@pytest.mark.parametrize(
    ("values", "cache"),
    [
        ({"VLLM_CACHE_ROOT": "a", "XDG_CACHE_HOME": "b"}, "a"),
        ({"XDG_CACHE_HOME": "b", "HOME": "c"}, "b/vllm"),
        ({"HOME": "c"}, "c/.cache/vllm"),
    ],
    ids=["vLLM's own variable", "the cache folder's", "the home's"],
)
def test_the_engines_cache_begins_with_what_the_image_knows(
    tmp_path: Path, values: dict[str, str], cache: str
) -> None:
    seed = tmp_path / "seed"
    (seed / "modelinfos").mkdir(parents=True)
    (seed / "modelinfos/llama.json").write_text("{}")
    absolute = {name: str(tmp_path / value) for name, value in values.items()}
    assert seed_cache(seed, absolute) == 1
    assert (tmp_path / cache / "modelinfos/llama.json").read_text() == "{}"
    assert seed_cache(seed, absolute) == 0, "what is there stays"


def test_a_cache_that_cannot_be_written_is_no_reason_to_fail(tmp_path: Path) -> None:
    (tmp_path / "seed").mkdir()
    (tmp_path / "seed/x").write_text("x")
    (tmp_path / "file").write_text("")
    assert seed_cache(tmp_path / "seed", {"VLLM_CACHE_ROOT": str(tmp_path / "file")}) == 0


GIB = 1024**3


@pytest.mark.parametrize(
    ("limit", "weights", "expected"),
    [
        pytest.param(None, 0, GIB, id="no limit"),
        pytest.param(8 * GIB, GIB, 5 * GIB // 2, id="half of what is left"),
        pytest.param(2 * GIB, GIB, GIB // 4, id="never too little to start"),
        pytest.param(64 * GIB, GIB, 4 * GIB, id="never more than four"),
    ],
)
def test_a_cpu_engine_that_was_told_nothing_gets_a_cache_that_fits(
    limit: int | None, weights: int, expected: int
) -> None:
    assert cache_bytes(Machine(1, limit, True), weights) == expected


CGROUPS: list[Any] = [
    pytest.param({"cpu.max": "150000 100000", "memory.max": "1000"}, (2, 1000), id="version 2"),
    pytest.param({"cpu.max": "max 100000", "memory.max": "max"}, (49, None), id="version 2, no limits"),
    pytest.param(
        {
            "cpu/cpu.cfs_quota_us": "100000",
            "cpu/cpu.cfs_period_us": "100000",
            "memory/memory.limit_in_bytes": "2000",
        },
        (1, 2000),
        id="version 1",
    ),
    pytest.param(
        {
            "cpu/cpu.cfs_quota_us": "-1",
            "cpu/cpu.cfs_period_us": "100000",
            "memory/memory.limit_in_bytes": str((1 << 63) - 4096),
        },
        (49, None),
        id="version 1, no limits",
    ),
    pytest.param({}, (49, None), id="no control groups"),
]


@pytest.mark.parametrize(("files", "expected"), CGROUPS)
def test_limits_are_read_from_control_groups(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, files: dict[str, str], expected: tuple[int, int | None]
) -> None:
    monkeypatch.setattr("os.sched_getaffinity", lambda _: set(range(99)))
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text + "\n")
    found = read_machine(tmp_path)
    assert (found.cpus, found.memory_bytes) == expected


@pytest.mark.parametrize(
    ("name", "text", "count"),
    [
        ("memory.events", "low 0\noom 1\noom_kill 3\n", 3),
        ("memory/memory.oom_control", "oom_kill_disable 0\nunder_oom 0\noom_kill 2\n", 2),
        ("other", "", 0),
    ],
    ids=["version 2", "version 1", "no control groups"],
)
def test_kills_for_memory_are_counted(tmp_path: Path, name: str, text: str, count: int) -> None:
    (tmp_path / name).parent.mkdir(exist_ok=True)
    (tmp_path / name).write_text(text)
    assert read_oom_kills(tmp_path) == count


@pytest.mark.parametrize(
    ("source", "directory"),
    [
        ("hf://org/name", "/weights/model"),
        ("pvc://claim/sub/path", "/weights/sub/path"),
        ("pvc://claim", "/weights"),
        ("file:///models/tiny", "/models/tiny"),
    ],
)
def test_each_kind_of_source_has_its_directory(source: str, directory: str) -> None:
    assert model_dir(source) == directory


@pytest.mark.parametrize(
    ("environment", "message"),
    [
        ({}, "POINTSMAN_SOURCE"),
        ({"POINTSMAN_SOURCE": "file:///m", "POINTSMAN_DRAIN_SECONDS": "soon"}, "POINTSMAN_DRAIN_SECONDS"),
        ({"POINTSMAN_SOURCE": "file:///m", "POINTSMAN_STATUS_PORT": "-1"}, "POINTSMAN_STATUS_PORT"),
    ],
    ids=["no source", "a time that is no number", "a port below zero"],
)
def test_settings_that_cannot_be_right_are_named(environment: dict[str, str], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        read_settings(environment)
