"""What the fit calculation is made on: a model and its placement, out of what was declared and found.

Declared facts (`model.facts`) go before those that the source gave when the revision was born (a document of
`pointsman-engine resolve`). What isn't known stays zero, and whatever isn't counted is named, so that nobody
takes a guess for a figure.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from fractions import Fraction
from typing import Any, Final, TypeGuard

from pointsman.api import quantity
from pointsman.api.engine import Dtype
from pointsman.api.model_facts import ModelFacts, WeightsDtype
from pointsman.api.service import ServiceSpec
from pointsman.core.fit import BLOCK, GIB, STEPS_IN_FLIGHT, Model, Placement, held_bytes, quantised_bytes

Document = Mapping[str, Any]

FORMATS: Final[dict[WeightsDtype, str]] = {
    WeightsDtype.FLOAT32: "F32",
    WeightsDtype.BFLOAT16: "BF16",
    WeightsDtype.FLOAT16: "F16",
    WeightsDtype.FLOAT8: "F8_E4M3",
    WeightsDtype.INT8: "I8",
    WeightsDtype.FLOAT4: "F4",
    WeightsDtype.INT4: "F4",
}
"""Safetensors' name of a declared format; one of the same size where it has none."""

PACKED: Final = {"I32": 8, "U8": 2}
"""Parameters in one stored value of the formats that pack several."""

BITS_WHILE_LOADING: Final = {"fp8": 8, "experts_int8": 8, "bitsandbytes": 4}
"""Bits to which `engine.quantization` brings 16-bit weights; other methods count 4, the fewest."""

CACHE_BITS: Final[dict[str, Fraction]] = {
    **dict.fromkeys(("float16", "bfloat16", "half"), Fraction(16)),
    **dict.fromkeys(("fp8", "fp8_e4m3", "fp8_e5m2", "fp8_inc", "fp8_ds_mla"), Fraction(8)),
    **dict.fromkeys(("int8_per_token_head", "fp8_per_token_head"), Fraction(8)),
    "nvfp4": Fraction(9, 2),
}
"""Bits of a cached value by --kv-cache-dtype (`CacheDType` in config/cache.py); others count 3, the least."""

MOST_STRETCHED: Final = 10_000
"""Largest factor by which a context is believed to be stretched; a document is what a pod said."""

UNCOUNTED: Final = (
    "decode-context-parallel-size",
    "hf-overrides",
    "kv-cache-memory-bytes",
    "num-gpu-blocks-override",
    "prefill-context-parallel-size",
)
"""Engine arguments that change the calculation in ways it doesn't know."""

_CACHED_LAYERS: Final = ("full_attention", "attention", "sliding_attention", "chunked_attention")


def asks_source(spec: ServiceSpec, facts: ModelFacts | None) -> bool:
    """Whether a mounted volume is looked into before a revision is born: for the calculation alone."""
    hardware = spec.hardware
    return facts is None and hardware is not None and hardware.device_memory is not None


def placement(spec: ServiceSpec) -> Placement | None:
    """Where the model is to run; None unless an accelerator and its memory are declared."""
    hardware, engine, parallel = spec.hardware, spec.engine, spec.parallelism
    if hardware is None or hardware.accelerator is None or hardware.device_memory is None:
        return None
    arguments = (engine and engine.args) or {}
    cache = arguments.get("kv-cache-dtype", "auto")
    made = Placement(
        device=int(quantity.amount(hardware.device_memory)),
        tensor=(parallel.tensor or 1) if parallel else hardware.accelerator.count,
        pipeline=(parallel.pipeline if parallel else None) or 1,
        data=(parallel.data if parallel else None) or 1,
        whole_experts=bool(parallel and parallel.expert),
        context=(engine and engine.max_model_len) or 0,
        sequences=_number(arguments.get("max-num-seqs")),
        batch=_number(arguments.get("max-num-batched-tokens")),
        steps=1 if arguments.get("async-scheduling") == "false" else STEPS_IN_FLIGHT,
        block=_number(arguments.get("block-size")) or BLOCK,
        cache_scales=4 if cache.endswith("_per_token_head") else 0,
        value_bytes=4 if engine and engine.dtype in (Dtype.FLOAT, Dtype.FLOAT32) else 2,
        eager=arguments.get("enforce-eager") in ("true", ""),
        offloaded=_number(arguments.get("cpu-offload-gb")) * GIB,
    )
    if engine and engine.gpu_memory_utilization:
        made = replace(made, percent=engine.gpu_memory_utilization)
    return made if cache == "auto" else replace(made, cache_bits=CACHE_BITS.get(cache, Fraction(3)))


def adapted(made: Placement, spec: ServiceSpec, found: Document) -> Placement:
    """The placement with what the model's own configuration says where nothing is declared."""
    arguments = (spec.engine and spec.engine.args) or {}
    if arguments.get("kv-cache-dtype", "auto") != "auto":
        return made
    own = _positive(_config(found), "kv_cache_bits")
    return replace(made, cache_bits=Fraction(own or 8 * made.value_bytes))


def uncounted(spec: ServiceSpec) -> str:
    """The first declared argument that makes the calculation worthless; empty for none."""
    arguments = (spec.engine and spec.engine.args) or {}
    return next((name for name in UNCOUNTED if name in arguments), "")


def model(spec: ServiceSpec, declared: ModelFacts | None, found: Document) -> Model:
    """What the model is. Total, whatever the document holds."""
    facts = declared or ModelFacts()
    shape = _declared(_found(found), facts)
    value_bytes = 4 if spec.engine and spec.engine.dtype in (Dtype.FLOAT, Dtype.FLOAT32) else 2
    sized = _sized(shape, facts, found, value_bytes)
    method = spec.engine.quantization if spec.engine else None
    if method is None or _is_quantised(facts, found):
        return sized
    return replace(sized, weights=quantised_bytes(sized, BITS_WHILE_LOADING.get(method, 4)))


def _sized(shape: Model, facts: ModelFacts, found: Document, value_bytes: int) -> Model:
    """The shape with parameters and bytes: declared, else counted by the source, else what its files take."""
    if facts.parameters:
        name = FORMATS[facts.dtype or WeightsDtype.BFLOAT16]
        plain = replace(shape, parameters=facts.parameters, weights=2 * facts.parameters)
        bits = {"F8_E4M3": 8, "I8": 8, "F4": 4}.get(name)
        if bits:
            return replace(plain, weights=quantised_bytes(plain, bits))
        return replace(plain, weights=held_bytes({name: facts.parameters}, value_bytes))
    stored = {str(k): v for k, v in _mapping(found, "weights").items() if _is_count(v)}
    if stored:
        count = sum(number * PACKED.get(name, 1) for name, number in stored.items())
        held, parameters = held_bytes(stored, value_bytes), count
    else:
        held = _positive(found, "weightBytes")
        parameters = held // 2
    # Layers that predict several tokens at once are stored, and not loaded unless that is asked for.
    further = _positive(_config(found), "num_nextn_predict_layers")
    share = Fraction(shape.layers, shape.layers + further) if shape.layers else Fraction(1)
    return replace(shape, weights=int(held * share), parameters=int(parameters * share))


def _found(found: Document) -> Model:
    """The shape that a config.json tells; keys as makers name them."""
    config = _config(found)
    if config.get("unlike"):
        # Layers of several kinds: neither how many have a cache nor how large it is follows from the facts.
        return Model(
            hidden=_positive(config, "hidden_size"),
            vocabulary=_positive(config, "vocab_size"),
            context=_context(config),
        )
    layers, hidden = _positive(config, "num_hidden_layers"), _positive(config, "hidden_size")
    heads = _positive(config, "num_attention_heads")
    experts = _first(config, "n_routed_experts", "num_local_experts", "num_experts", "moe_num_experts")
    inner, dense = _positive(config, "intermediate_size"), _positive(config, "first_k_dense_replace")
    latent = _positive(config, "kv_lora_rank")
    windowed, uncached, window = _windows(config, layers)
    return Model(
        layers=layers,
        hidden=hidden,
        intermediate=inner if dense or not experts else 0,
        kv_heads=0 if latent else _positive(config, "num_key_value_heads") or heads,
        head_size=0 if latent else _positive(config, "head_dim") or (hidden // heads if heads else 0),
        vocabulary=_positive(config, "vocab_size"),
        tied=config.get("tie_word_embeddings") is True,
        context=_context(config),
        window=window,
        window_layers=windowed,
        uncached_layers=uncached,
        experts=experts,
        expert_size=(_positive(config, "moe_intermediate_size") or inner) if experts else 0,
        experts_per_token=_positive(config, "num_experts_per_tok"),
        dense_layers=dense,
        latent=latent,
        rope=_positive(config, "qk_rope_head_dim") if latent else 0,
    )


def _windows(config: Document, layers: int) -> tuple[int, int, int]:
    """Layers with a window, layers without a cache, and the window."""
    kinds = {str(k): v for k, v in _mapping(config, "layer_types").items() if _is_count(v)}
    window = _positive(config, "sliding_window") if config.get("use_sliding_window") is not False else 0
    chunk, every = _positive(config, "attention_chunk_size"), _positive(config, "full_attention_interval")
    if kinds:
        chunked = kinds.get("chunked_attention", 0)
        windowed = (kinds.get("sliding_attention", 0) if window else 0) + (chunked if chunk else 0)
        uncached = sum(count for kind, count in kinds.items() if kind not in _CACHED_LAYERS)
        windowed = min(windowed, layers)
        return windowed, min(uncached, layers - windowed), max(window, chunk) if windowed else 0
    if every:
        return 0, layers - layers // every, 0
    if not window:
        return 0, 0, 0
    pattern = _positive(config, "sliding_window_pattern") or 2 * (config.get("model_type") == "gemma2")
    return (layers - layers // pattern if pattern else layers), 0, window


def _context(config: Document) -> int:
    """The longest context: stretched as `_get_and_verify_max_len` in config/model.py does."""
    context, factor = _positive(config, "max_position_embeddings"), config.get("rope_factor")
    kind = config.get("rope_type", "default")
    if (
        not isinstance(factor, (int, float))
        or not 0 < factor <= MOST_STRETCHED
        or kind in ("default", "su", "longrope", "llama3", "mrope")
    ):
        return context
    if kind == "yarn":
        context = _positive(config, "rope_original") or context
    return int(context * factor)


def _declared(shape: Model, facts: ModelFacts) -> Model:
    """The shape with every declared fact in it."""
    latent = facts.kv_lora_rank or (shape.latent if facts.kv_heads is None else 0)
    heads = facts.kv_heads or shape.kv_heads or facts.attention_heads or 0
    hidden = facts.hidden_size or shape.hidden
    by_heads = hidden // facts.attention_heads if facts.attention_heads else 0
    layers = facts.layers or shape.layers
    window = facts.sliding_window or shape.window
    windowed = facts.sliding_layers or (layers if facts.sliding_window else shape.window_layers)
    return replace(
        shape,
        layers=layers,
        hidden=hidden,
        intermediate=facts.intermediate_size or shape.intermediate,
        kv_heads=0 if latent else heads,
        head_size=0 if latent else facts.head_size or shape.head_size or by_heads,
        vocabulary=facts.vocabulary_size or shape.vocabulary,
        tied=shape.tied if facts.tied_embeddings is None else facts.tied_embeddings,
        context=facts.context_length or shape.context,
        window=window,
        window_layers=min(windowed, layers) if window else 0,
        uncached_layers=min(shape.uncached_layers, layers - min(windowed, layers)),
        experts=facts.experts or shape.experts,
        expert_size=facts.expert_size or shape.expert_size,
        experts_per_token=facts.experts_per_token or shape.experts_per_token or bool(facts.experts),
        latent=latent,
        rope=(facts.rope_head_size or shape.rope) if latent else 0,
    )


def _is_quantised(facts: ModelFacts, found: Document) -> bool:
    if facts.dtype is not None:
        return facts.dtype not in (WeightsDtype.FLOAT32, WeightsDtype.BFLOAT16, WeightsDtype.FLOAT16)
    return bool(_config(found).get("quantization"))


def _config(found: Document) -> Document:
    return _mapping(found, "config")


def _mapping(document: Document, key: str) -> Document:
    value = document.get(key)
    return value if isinstance(value, Mapping) else {}


def _first(document: Document, *keys: str) -> int:
    return next((value for key in keys if (value := _positive(document, key))), 0)


def _positive(document: Document, key: str) -> int:
    value = document.get(key)
    return value if _is_count(value) else 0


def _is_count(value: object) -> TypeGuard[int]:
    """Whether it's a number that something can be counted with; a document is what a pod said."""
    return isinstance(value, int) and not isinstance(value, bool) and 0 < value <= 10**16


def _number(argument: str | None) -> int:
    """An engine argument as a number; 0 for none, and for one that only the engine understands."""
    plain = argument and len(argument) <= 9 and argument.isascii() and argument.isdecimal()
    return int(argument) if argument and plain else 0
