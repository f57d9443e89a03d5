"""What is looked at before an engine starts, and what its log means when it doesn't."""

from __future__ import annotations

import json
import struct
from collections.abc import Callable
from pathlib import Path

import pytest

from pointsman_engine import causes, health, repository
from pointsman_engine.devices import check_devices
from pointsman_engine.facts import facts
from pointsman_engine.outcome import MESSAGE_CHARS, Reason, StartFailure, shorten
from pointsman_engine.patterns import PATTERNS
from pointsman_engine.progress import LoadProgress
from pointsman_engine.repository import File, NoWeights
from pointsman_engine.resolve import MESSAGE_BYTES, fitting
from pointsman_engine.state import Phase, State
from pointsman_engine.weights import check_tokenizer, check_weights
from tests.engine.models import safetensors, write_model

LOGS = Path(__file__).parent / "logs"
"""What vLLM 0.32 wrote in each of these cases, without the lines that say nothing."""

Damage = Callable[[Path], object]


def test_a_whole_model_passes_and_its_files_are_listed(tmp_path: Path) -> None:
    names = [name for name, _ in check_weights(write_model(tmp_path))]
    assert names == ["model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors"]
    check_tokenizer(tmp_path)


def _replace(name: str, content: bytes) -> Damage:
    return lambda model: (model / name).write_bytes(content)


def _only(name: str, content: bytes) -> Damage:
    def damage(model: Path) -> None:
        for path in model.glob("model*"):
            path.unlink()
        (model / name).write_bytes(content)

    return damage


SHARD = "model-00002-of-00002.safetensors"
DAMAGED = [
    pytest.param(_replace("config.json", b"{"), "isn't JSON", id="a configuration cut short"),
    pytest.param(_replace("config.json", b"[]"), "isn't a JSON object", id="a configuration of another kind"),
    pytest.param(_replace(SHARD, safetensors(cut=100)), "is cut short", id="weights cut short"),
    pytest.param(_replace(SHARD, b""), "isn't a whole safetensors file", id="an empty file"),
    pytest.param(_replace(SHARD, bytes(100)), "isn't a whole safetensors file", id="zeros"),
    pytest.param(
        _replace(SHARD, struct.pack("<Q", 1 << 60) + b"{}"),
        "isn't a whole safetensors file",
        id="a mad header",
    ),
    pytest.param(
        _replace(SHARD, b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n"),
        "Git LFS pointer",
        id="a pointer instead of weights",
    ),
    pytest.param(_only("notes.txt", b"x"), "has no weights", id="no weights"),
    pytest.param(_only("pytorch_model.bin", b"x"), "empty or cut short", id="a .bin of one byte"),
    pytest.param(_only("training_args.bin", bytes(99)), "has no weights", id="nothing but a training state"),
]


@pytest.mark.parametrize(("damage", "message"), DAMAGED)
def test_damaged_weights_are_named(tmp_path: Path, damage: Damage, message: str) -> None:
    damage(write_model(tmp_path))
    with pytest.raises(StartFailure, match=message) as failure:
        check_weights(tmp_path)
    assert failure.value.reason is Reason.WEIGHTS_NOT_FOUND


def test_an_engine_that_makes_its_weights_up_needs_none(tmp_path: Path) -> None:
    _only("notes.txt", b"x")(write_model(tmp_path))
    assert check_weights(tmp_path, dummy=True) == []


@pytest.mark.parametrize("name", ["tokenizer.model", "tekken.json", "vocab.txt", "qwen.tiktoken"])
def test_tokenizers_come_in_several_formats(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_text("x")
    check_tokenizer(tmp_path)


@pytest.mark.parametrize(
    ("name", "content"),
    [("tokenizer.json", "[]"), ("tokenizer.json", "{}"), ("tokenizer_config.json", "1")],
    ids=["another kind of JSON", "no model in it", "a configuration that is a number"],
)
def test_a_tokenizer_that_cannot_be_one_is_named(tmp_path: Path, name: str, content: str) -> None:
    write_model(tmp_path)
    (tmp_path / name).write_text(content)
    with pytest.raises(StartFailure, match=name) as failure:
        check_tokenizer(tmp_path)
    assert failure.value.reason is Reason.TOKENIZER_INVALID


DEVICES = [
    pytest.param("cuda", "cuda", ["nvidia0", "nvidiactl"], 1, "", id="a GPU for a GPU engine"),
    pytest.param("cuda", "", ["nvidia0", "nvidia1"], 2, "", id="two GPUs, in an image that says nothing"),
    pytest.param("cuda", "cuda", ["dxg"], 1, "", id="a GPU under WSL"),
    pytest.param("accelerator", "", [], 1, "", id="a device we don't know"),
    pytest.param("cuda", "cpu", [], 1, "", id="a CPU engine on a node with GPUs"),
    pytest.param("cpu", "cpu", [], 1, "", id="a CPU engine"),
    pytest.param("cuda", "cuda", ["nvidiactl"], 1, "no NVIDIA device", id="no GPU for a GPU engine"),
    pytest.param("cuda", "cuda", ["nvidia0"], 2, "ask for 2 in hardware", id="one GPU where two are needed"),
]


@pytest.mark.parametrize(("given", "image", "nodes", "wanted", "message"), DEVICES)
def test_devices(tmp_path: Path, given: str, image: str, nodes: list[str], wanted: int, message: str) -> None:
    for name in nodes:
        (tmp_path / name).touch()
    (tmp_path / "cpuinfo").write_text("flags\t\t: fpu avx avx2\n")
    if not message:
        check_devices(given, image, wanted, tmp_path, tmp_path / "cpuinfo")
        return
    with pytest.raises(StartFailure, match=message) as failure:
        check_devices(given, image, wanted, tmp_path, tmp_path / "cpuinfo")
    assert failure.value.reason is Reason.DEVICE_UNAVAILABLE


def test_a_cpu_that_is_too_old_is_named(tmp_path: Path) -> None:
    (tmp_path / "cpuinfo").write_text("flags\t\t: fpu avx\n")
    with pytest.raises(StartFailure, match="AVX2"):
        check_devices("cpu", "cpu", 1, tmp_path, tmp_path / "cpuinfo")


REAL = {
    "code-of-its-own": (Reason.ARGUMENTS_INVALID, "model.defaults.trustRemoteCode"),
    "heads-not-divisible": (Reason.ARGUMENTS_INVALID, "attention heads (4) must be divisible"),
    "kv-cache-beyond-memory": (Reason.OUT_OF_MEMORY, "400.0 GiB"),
    "max-model-len-too-long": (Reason.ARGUMENTS_INVALID, "max_position_embeddings=8192"),
    "memory-utilization-too-high": (Reason.OUT_OF_MEMORY, "0.99"),
    "no-room-for-the-kv-cache": (Reason.OUT_OF_MEMORY, "engine.maxModelLen"),
    "not-quantized": (Reason.ARGUMENTS_INVALID, "engine.quantization"),
    "odd-block-size": (Reason.ARGUMENTS_INVALID, "block size for 7"),
    "tokenizer-with-missing-parts": (Reason.TOKENIZER_INVALID, "added_tokens"),
    "unknown-architecture": (Reason.ENGINE_FAILED, "FooForCausalLM"),
    "unknown-model-type": (Reason.ENGINE_FAILED, "`foo9`"),
    "unknown-tool-call-parser": (Reason.ARGUMENTS_INVALID, "nope"),
    "weights-of-another-shape": (Reason.WEIGHTS_NOT_FOUND, "size of tensor a (256)"),
}


@pytest.mark.parametrize("case", sorted(path.stem for path in LOGS.glob("*.log")))
def test_the_root_cause_is_found_in_what_vllm_really_writes(case: str) -> None:
    reason, words = REAL[case]
    found = causes.explain((LOGS / f"{case}.log").read_text().splitlines(), 1, out_of_memory=False)
    assert found.reason is reason
    assert words in found.message
    assert len(found.message) <= MESSAGE_CHARS


EXCEPTIONS = [
    ("torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 2.00 GiB.", Reason.OUT_OF_MEMORY),
    ("torch.OutOfMemoryError: HIP out of memory. Tried to allocate 2.00 GiB.", Reason.OUT_OF_MEMORY),
    ("RuntimeError: CUDA error: out of memory", Reason.OUT_OF_MEMORY),
    ("torch.AcceleratorError: CUDA error: out of memory", Reason.OUT_OF_MEMORY),
    ("torch.AcceleratorError: HIP error: out of memory", Reason.OUT_OF_MEMORY),
    ("RuntimeError: CUDA driver error: out of memory", Reason.OUT_OF_MEMORY),
    ("RuntimeError: Triton Error [CUDA]: out of memory", Reason.OUT_OF_MEMORY),
    (
        "RuntimeError: CUDA error: CUBLAS_STATUS_ALLOC_FAILED in `cublasCreate`",
        Reason.OUT_OF_MEMORY,
    ),
    ("RuntimeError: cuDNN error: CUDNN_STATUS_ALLOC_FAILED", Reason.OUT_OF_MEMORY),
    ("RuntimeError: NCCL error: Cuda failure 'out of memory'", Reason.OUT_OF_MEMORY),
    ("RuntimeError: CUDA error: an illegal memory access was encountered", Reason.ENGINE_FAILED),
    ("ValueError: Free memory on device (3/80 GiB) on startup is less than desired", Reason.OUT_OF_MEMORY),
    ("RuntimeError: [enforce fail] DefaultCPUAllocator: can't allocate memory", Reason.OUT_OF_MEMORY),
    ("RuntimeError: No CUDA GPUs are available", Reason.DEVICE_UNAVAILABLE),
    ("RuntimeError: CUDA error: no kernel image is available for execution", Reason.DEVICE_UNAVAILABLE),
    ("RuntimeError: Failed to infer device type", Reason.DEVICE_UNAVAILABLE),
    ("ValueError: World size (4) is larger than the number of available GPUs (1)", Reason.DEVICE_UNAVAILABLE),
    ("OSError: [Errno 98] Address already in use", Reason.ARGUMENTS_INVALID),
    ("ValueError: Unknown quantization method: foo", Reason.ARGUMENTS_INVALID),
    ("OSError: Can't load tokenizer for '/m'", Reason.TOKENIZER_INVALID),
    ("RuntimeError: Cannot find any model weights with `/m`", Reason.WEIGHTS_NOT_FOUND),
    ("safetensors_rust.SafetensorError: Error while deserializing header", Reason.WEIGHTS_NOT_FOUND),
    ("OSError: [Errno 28] No space left on device", Reason.ENGINE_FAILED),
    ("ZeroDivisionError: division by zero", Reason.ENGINE_FAILED),
]


@pytest.mark.parametrize(("text", "reason"), EXCEPTIONS, ids=[text for text, _ in EXCEPTIONS])
def test_exceptions_have_reasons(text: str, reason: Reason) -> None:
    lines = ["INFO all well", "Traceback (most recent call last):", '  File "x.py", line 1', text]
    found = causes.explain(lines, 1, out_of_memory=False)
    assert found.reason is reason
    assert text.partition(": ")[2][:20] in found.message


def test_what_nccl_ran_out_of_stands_below_its_exception() -> None:
    lines = [
        "Traceback (most recent call last):",
        '  File "x.py", line 1',
        "torch.distributed.DistBackendError: NCCL error in: NCCLUtils.cpp:94, unhandled cuda error",
        "ncclUnhandledCudaError: Call to CUDA function failed.",
        "Last error:",
        "Cuda failure 2 'out of memory'",
    ]
    found = causes.explain(lines, 1, out_of_memory=False)
    assert found.reason is Reason.OUT_OF_MEMORY
    assert "NCCLUtils.cpp:94, unhandled cuda error Cuda failure 2 'out of memory'" in found.message
    assert causes.explain(lines[:-1], 1, out_of_memory=False).reason is Reason.ENGINE_FAILED


def test_the_cause_counts_and_not_what_followed_from_it() -> None:
    lines = [
        "Traceback (most recent call last):",
        "ValueError: No available memory for the cache blocks.",
        "During handling of the above exception, another exception occurred:",
        "Traceback (most recent call last):",
        "RuntimeError: No CUDA GPUs are available",
    ]
    assert causes.explain(lines, 1, out_of_memory=False).reason is Reason.OUT_OF_MEMORY


def test_a_kill_for_memory_outranks_what_the_log_says() -> None:
    lines = ["Traceback (most recent call last):", "RuntimeError: EngineCore died"]
    found = causes.explain(lines, 1, out_of_memory=True)
    assert found.reason is Reason.OUT_OF_MEMORY
    assert "limits.memory" in found.message


def test_every_known_cause_gives_advice() -> None:
    assert all(pattern.advice and pattern.texts for pattern in PATTERNS)


def test_messages_are_one_line_of_bounded_length() -> None:
    assert shorten("a\n  b\t c", 100) == "a b c"
    assert len(StartFailure(Reason.ENGINE_FAILED, "x" * 5000).message) == MESSAGE_CHARS


NEEDED = [
    pytest.param(
        ["config.json", "model.safetensors", "pytorch_model.bin", "README.md", "tokenizer.json"],
        ["config.json", "model.safetensors", "tokenizer.json"],
        id="safetensors before .bin",
    ),
    pytest.param(
        ["config.json", "model-1.safetensors", "consolidated.safetensors"],
        ["config.json", "model-1.safetensors"],
        id="shards before the consolidated copy",
    ),
    pytest.param(
        ["params.json", "consolidated.safetensors", "tekken.json"],
        ["consolidated.safetensors", "params.json", "tekken.json"],
        id="the maker's own format where there's no other",
    ),
    pytest.param(
        ["config.json", "pytorch_model.bin", "training_args.bin", "optimizer.pt"],
        ["config.json", "pytorch_model.bin"],
        id="no training states",
    ),
    pytest.param(
        ["config.json", "model.safetensors", "onnx/model.safetensors", ".gitattributes", "modeling_x.py"],
        ["config.json", "model.safetensors", "modeling_x.py"],
        id="no folders, no hidden files, but code",
    ),
]


@pytest.mark.parametrize(("files", "expected"), NEEDED)
def test_only_the_needed_files_are_fetched(files: list[str], expected: list[str]) -> None:
    assert [file.path for file in repository.needed(File(path, 1) for path in files)] == expected


@pytest.mark.parametrize(
    ("files", "message"),
    [
        ([], "neither"),
        (["model.safetensors"], "no config.json"),
        (["config.json", "x.gguf"], "GGUF"),
        (["config.json", "sub/model.safetensors"], "neither"),
    ],
    ids=["an empty repository", "no configuration", "GGUF only", "weights in a folder only"],
)
def test_a_repository_that_cannot_be_served_says_why(files: list[str], message: str) -> None:
    with pytest.raises(NoWeights, match=message):
        repository.needed(File(path, 1) for path in files)


def test_facts_are_an_allow_list() -> None:
    config = {
        "architectures": ["A"] * 9,
        "num_hidden_layers": 2,
        "secret": "x",
        "text_config": {"hidden_size": 64, "num_hidden_layers": 9},
        "quantization_config": {"quant_method": "awq", "bits": 4},
        "vocab_size": {"odd": 1},
    }
    assert facts(config) == {
        "architectures": ["A"] * 4,
        "num_hidden_layers": 2,
        "hidden_size": 64,
        "quantization": "awq",
    }


def test_a_termination_message_never_grows_beyond_what_the_kubelet_keeps() -> None:
    config = {f"key{i}": "é" * 80 for i in range(40)}
    document = fitting({"commit": "c", "bytes": 1, "files": 1, "config": config})
    assert len(json.dumps(document).encode()) <= MESSAGE_BYTES
    assert document["config"]


def test_loaded_bytes_follow_the_engines_log() -> None:
    progress = LoadProgress([10, 20, 30])
    bar = "Loading safetensors checkpoint shards:  {}% Completed | {}/{} [00:01<00:00,  2.50it/s]"
    assert progress.read(bar.format(33, 1, 3)) == 10
    assert progress.read(bar.format(66, 2, 3)) == 30
    assert progress.read("something else") == 30
    assert progress.read(bar.format(50, 1, 2)) == 30, "a bar of other files"
    assert progress.read("INFO [default_loader.py:501] Loading weights took 0.40 seconds") == 60


@pytest.mark.parametrize(
    ("text", "count"),
    [
        ('vllm:num_requests_running{engine="0"} 2.0\nvllm:num_requests_waiting{engine="0"} 1.0\n', 3),
        ('vllm:num_requests_running{engine="0"} 1.0\nvllm:num_requests_running{engine="1"} 1.0\n', 2),
        ('vllm:num_requests_waiting_by_reason{reason="capacity"} 5.0\n', None),
        ("", None),
    ],
    ids=["running and waiting", "several engines", "another metric of a similar name", "no metrics"],
)
def test_what_is_in_flight_is_read_from_metrics(text: str, count: int | None) -> None:
    assert health.count_in_flight(text) == count


@pytest.mark.parametrize(
    ("way", "end"),
    [
        ([Phase.LOADING, Phase.READY, Phase.DRAINING, Phase.READY], Phase.DRAINING),
        ([Phase.LOADING, Phase.READY, Phase.DRAINING, Phase.FAILED], Phase.FAILED),
        ([Phase.LOADING, Phase.FAILED, Phase.READY], Phase.FAILED),
        ([Phase.DOWNLOADING, Phase.PREFLIGHT, Phase.LOADING, Phase.READY], Phase.READY),
    ],
    ids=["a draining engine stays so", "but may fail", "a failed one stays so", "the usual way"],
)
def test_phases_go_one_way(way: list[Phase], end: Phase) -> None:
    state = State(since=0)
    for phase in way:
        state.enter(phase, 1)
    assert state.phase is end


def test_only_an_engine_that_was_ready_can_hang() -> None:
    state = State(since=0)
    assert not state.hung(1000)
    state.enter(Phase.READY, 1)
    state.answered = 1000
    assert not state.hung(1060)
    assert state.hung(1061)
