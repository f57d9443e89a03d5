"""What vLLM itself says of a model: bytes of its weights, and the longest context that fits a small cache.

Runs in vLLM's environment, one model a process: probe.py MODEL OPTIONS, the options as JSON. The last line of
standard output is one JSON object; how many tokens its cache holds, vLLM logs above it. With too little
memory for one sequence vLLM refuses to start, and names the longest context that would fit: asked second.
"""

import json
import re
import sys
from typing import Any

from vllm import LLM
from vllm.model_executor.model_loader import base_loader

_LONGEST = re.compile(r"estimated maximum model length is (\d+)")


def started(model: str, options: dict[str, Any]) -> LLM:
    """vLLM on this model."""
    return LLM(model=model, skip_tokenizer_init=True, enforce_eager=True, **options)


def watched() -> list[int]:
    """Where bytes of the parameters of a model that is loaded are put, each counted once.

    Before they're brought to the form that a CPU multiplies best, which not all of them keep as parameters.
    """
    held: list[int] = []
    process = base_loader.process_weights_after_loading

    def count(model: Any, *rest: Any) -> None:
        held.append(sum(tensor.numel() * tensor.element_size() for tensor in model.parameters()))
        process(model, *rest)

    base_loader.process_weights_after_loading = count
    return held


def main(argv: list[str]) -> None:
    """Asks, and prints what was told."""
    model, options = argv[0], json.loads(argv[1])
    short = options.pop("short")
    held = watched()
    llm = started(model, options)
    config = llm.llm_engine.vllm_config
    told = {
        "weights": held[0],
        "context": config.model_config.max_model_len,
        "block": config.cache_config.block_size,
        "batch": config.scheduler_config.max_num_batched_tokens,
        "longest": 0,
    }
    del llm
    try:
        started(model, {**options, "kv_cache_memory_bytes": short})
    except Exception as error:
        found = _LONGEST.search(str(error))
        told["longest"] = int(found[1]) if found else 0
    print(json.dumps(told), flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
