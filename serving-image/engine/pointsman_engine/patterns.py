"""What engines say when they can't start, and what it means for the person who declared the service.

One entry per cause; a new one is an entry here and a case in the test. Earlier entries win.
"""

from __future__ import annotations

from dataclasses import dataclass

from pointsman_engine.outcome import Reason


@dataclass(frozen=True, slots=True)
class Pattern:
    """A known cause: one of `texts` is in the exception, and `frames`, if given, in its traceback."""

    reason: Reason
    advice: str
    texts: tuple[str, ...] = ("",)
    frames: str = ""


MEMORY = (
    Pattern(
        Reason.OUT_OF_MEMORY,
        "the KV cache has no room beside the weights: lower engine.maxModelLen or raise the memory",
        ("No available memory for the cache blocks", "larger than the available KV cache memory"),
    ),
    Pattern(
        Reason.OUT_OF_MEMORY,
        "something else uses the device's memory, or engine.gpuMemoryUtilization is too high",
        (r"Free memory on device .* is less than desired",),
    ),
    Pattern(
        Reason.OUT_OF_MEMORY,
        "the container's memory is too small for the KV cache that was asked for",
        (r"Available memory on node .* is less than",),
    ),
    Pattern(
        Reason.OUT_OF_MEMORY,
        "the device's memory is too small for this model: lower engine.maxModelLen, take a quantized model, "
        "or spread it by parallelism.tensor",
        (
            # Of torch's allocator, of the runtime, of the driver, of kernels, of BLAS, of NCCL.
            r"\b(?:CUDA|HIP)(?: driver)?(?: error:)? out of memory",
            "OutOfMemoryError",
            r"Triton Error \[(?:CUDA|HIP)\]: out of memory",
            r"(?:BLAS|DNN)_STATUS_ALLOC_FAILED",
            r"(?:Cuda|HIP) failure:? (?:\d+ )?'out of memory'",
        ),
    ),
    Pattern(
        Reason.OUT_OF_MEMORY,
        "the container's memory is too small: raise hardware.resources.limits.memory",
        ("can't allocate memory", "Cannot allocate memory", "MemoryError", "std::bad_alloc"),
    ),
)

DEVICES = (
    Pattern(
        Reason.DEVICE_UNAVAILABLE,
        "check the node's driver and hardware.runtimeClassName",
        (
            "No CUDA GPUs are available",
            "Found no NVIDIA driver",
            "no CUDA-capable device",
            "CUDA driver version is insufficient",
            "CUDA driver initialization failed",
            "Failed to infer device type",
            r"libcuda\.so",
        ),
    ),
    Pattern(
        Reason.DEVICE_UNAVAILABLE,
        "this device is too old or too new for the engine's image: choose other nodes or another image",
        ("no kernel image is available", "compute capability"),
    ),
    Pattern(
        Reason.DEVICE_UNAVAILABLE,
        "ask for as many devices in hardware.accelerator.count as parallelism needs",
        (
            r"World size .* is larger than the number of available GPUs",
            "adjusted local rank .* out of bounds",
        ),
    ),
)

ARGUMENTS = (
    Pattern(
        Reason.ARGUMENTS_INVALID,
        "engine.maxModelLen is longer than the model allows",
        (r"max_model_len \(\d+\) is greater than the derived",),
    ),
    Pattern(
        Reason.ARGUMENTS_INVALID,
        "the model brings code of its own: if you trust it, set model.defaults.trustRemoteCode",
        ("trust_remote_code=True", "custom code which must be executed"),
    ),
    Pattern(
        Reason.ARGUMENTS_INVALID,
        "choose another parallelism",
        ("must be divisible by tensor parallel size", "divisible by the number of pipeline"),
    ),
    Pattern(
        Reason.ARGUMENTS_INVALID,
        "see model.defaults.toolCallParser",
        ("invalid tool call parser",),
    ),
    Pattern(
        Reason.ARGUMENTS_INVALID,
        "see model.defaults.reasoningParser",
        ("invalid reasoning parser", r"Reasoning parser .* not found"),
    ),
    Pattern(
        Reason.ARGUMENTS_INVALID,
        "the model isn't quantized that way: see engine.quantization",
        (
            "Cannot find the config file for",
            "Unknown quantization method",
            r"[Qq]uantization method .* (?:does not match|is not supported)",
        ),
    ),
    Pattern(Reason.ARGUMENTS_INVALID, "see block-size in engine.args", ("No common block size",)),
    Pattern(
        Reason.ARGUMENTS_INVALID, "another process has the engine's port", ("[Aa]ddress already in use",)
    ),
)

ENGINE = (
    Pattern(
        Reason.ENGINE_FAILED,
        "this release of vLLM doesn't know the model: another engine.image might",
        (
            r"Model architectures .* (?:are not supported|failed to be inspected)",
            "does not recognize this architecture",
        ),
    ),
    Pattern(
        Reason.ENGINE_FAILED,
        "a volume is full (/tmp or /dev/shm)",
        ("No space left on device", "Bus error"),
    ),
)

FILES = (
    Pattern(
        Reason.TOKENIZER_INVALID,
        "the tokenizer's files don't fit together",
        frames=r"/vllm/tokenizers/|/tokenization_\w+\.py|/vllm/transformers_utils/tokenizer",
    ),
    Pattern(
        Reason.TOKENIZER_INVALID,
        "the tokenizer's files are missing or don't fit together",
        ("[Cc]an't load tokenizer", "backend tokenizer", "untagged enum", "Unable to load vocabulary"),
    ),
    Pattern(
        Reason.WEIGHTS_NOT_FOUND,
        "the weights are missing or damaged",
        (
            "Cannot find any model weights",
            "SafetensorError",
            "incomplete metadata",
            "header too large",
            "PytorchStreamReader failed",
        ),
    ),
    Pattern(
        Reason.WEIGHTS_NOT_FOUND,
        "the weights don't fit config.json",
        frames=r"in load_weights|/model_loader/weight_utils\.py|in weight_loader",
    ),
    Pattern(
        Reason.WEIGHTS_NOT_FOUND,
        "the model's directory isn't one",
        (
            "Invalid repository ID or local directory",
            r"no file named config\.json",
            "Unrecognized model in",
            "PermissionError",
        ),
    ),
)

PATTERNS = (*MEMORY, *DEVICES, *ARGUMENTS, *ENGINE, *FILES)
