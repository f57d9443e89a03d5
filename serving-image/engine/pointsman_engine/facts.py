"""What of a model's config.json its memory depends on, small enough for a termination message. Pure.

The operator reads it (`core.fitting`), and knows what follows from it; here names are only chosen.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any

CONFIG_KEYS = (
    "architectures",
    "model_type",
    "torch_dtype",
    "dtype",
    "num_hidden_layers",
    "hidden_size",
    "num_attention_heads",
    "num_key_value_heads",
    "head_dim",
    "max_position_embeddings",
    "vocab_size",
    "tie_word_embeddings",
    "intermediate_size",
    "kv_lora_rank",
    "qk_rope_head_dim",
    "sliding_window",
    "use_sliding_window",
    "sliding_window_pattern",
    "attention_chunk_size",
    "full_attention_interval",
    "num_experts",
    "num_local_experts",
    "n_routed_experts",
    "moe_num_experts",
    "moe_intermediate_size",
    "num_experts_per_tok",
    "first_k_dense_replace",
    "num_nextn_predict_layers",
)
"""Facts for the fit calculation; the order is the order of dropping, last first, where there's no room."""

UNLIKE = (
    "attn_layer_period",
    "block_configs",
    "compress_ratios",
    "hybrid_override_pattern",
    "mamba_d_state",
    "ssm_cfg",
    "state_size",
)
"""Keys of models whose layers aren't alike in a way that the calculation doesn't know."""

_ROPE = {"type": "rope_type", "rope_type": "rope_type", "factor": "rope_factor"}


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
    kept |= _rope(merged) | _quantization(merged)
    kinds = merged.get("layer_types")
    if isinstance(kinds, list):
        kept["layer_types"] = dict(Counter(str(kind)[:40] for kind in kinds).most_common(6))
    if any(merged.get(key) for key in UNLIKE):
        kept["unlike"] = True
    return kept


def _rope(config: Mapping[str, Any]) -> dict[str, object]:
    """How much longer than trained a context may get."""
    scaling = config.get("rope_scaling") or config.get("rope_parameters")
    if not isinstance(scaling, dict):
        return {}
    found = {ours: scaling[theirs] for theirs, ours in _ROPE.items() if _plain(scaling.get(theirs))}
    if isinstance(scaling.get("original_max_position_embeddings"), int):
        found["rope_original"] = scaling["original_max_position_embeddings"]
    return found


def _quantization(config: Mapping[str, Any]) -> dict[str, object]:
    """The method by which weights, and the format in which keys and values, were quantised."""
    given = config.get("quantization_config") or config.get("compression_config")
    if not isinstance(given, dict):
        return {}
    found: dict[str, object] = {}
    if isinstance(given.get("quant_method"), str):
        found["quantization"] = given["quant_method"][:40]
    scheme = given.get("kv_cache_scheme")
    if isinstance(scheme, dict) and isinstance(scheme.get("num_bits"), int):
        found["kv_cache_bits"] = scheme["num_bits"]
    if str(given.get("kv_cache_quant_algo") or "").upper() == "FP8":
        found["kv_cache_bits"] = 8
    return found


def _plain(value: object) -> bool:
    return isinstance(value, (int, float)) or (isinstance(value, str) and len(value) <= 40)
