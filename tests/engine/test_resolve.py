"""What resolving says of a model: the facts its memory depends on, within a termination message."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from pointsman_engine.facts import CONFIG_KEYS, facts
from pointsman_engine.outcome import Reason, StartFailure
from pointsman_engine.resolve import MESSAGE_BYTES, fitting, resolve
from tests.engine.models import CONFIG, write_model

FACTS: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "what is not asked for stays away": ({"model_type": "llama", "bos_token_id": 1}, {"model_type": "llama"}),
    "of several parts the one that makes text": (
        {
            "model_type": "gemma3",
            "text_config": {"hidden_size": 2560},
            "vision_config": {"hidden_size": 1152},
        },
        {"model_type": "gemma3", "hidden_size": 2560},
    ),
    "a mixture of experts, as DeepSeek names it": (
        {"n_routed_experts": 256, "moe_intermediate_size": 2048, "first_k_dense_replace": 3},
        {"n_routed_experts": 256, "moe_intermediate_size": 2048, "first_k_dense_replace": 3},
    ),
    "latent attention": (
        {"kv_lora_rank": 512, "qk_rope_head_dim": 64, "q_lora_rank": 1536},
        {"kv_lora_rank": 512, "qk_rope_head_dim": 64},
    ),
    "kinds of layers are counted": (
        {"layer_types": ["sliding_attention"] * 5 + ["full_attention"]},
        {"layer_types": {"sliding_attention": 5, "full_attention": 1}},
    ),
    "how far a context is stretched": (
        {"rope_scaling": {"type": "yarn", "factor": 40, "original_max_position_embeddings": 4096}},
        {"rope_type": "yarn", "rope_factor": 40, "rope_original": 4096},
    ),
    "how weights are quantised": (
        {"quantization_config": {"quant_method": "awq", "bits": 4}},
        {"quantization": "awq"},
    ),
    "how the cache is quantised": (
        {"quantization_config": {"quant_method": "fp8", "kv_cache_scheme": {"num_bits": 8, "type": "float"}}},
        {"quantization": "fp8", "kv_cache_bits": 8},
    ),
    "the same in another maker's words": (
        {"quantization_config": {"quant_method": "modelopt", "kv_cache_quant_algo": "FP8"}},
        {"quantization": "modelopt", "kv_cache_bits": 8},
    ),
    "layers that aren't alike": ({"mamba_d_state": 16}, {"unlike": True}),
    "nonsense": ({"hidden_size": {}, "rope_scaling": "x", "quantization_config": [], "layer_types": 4}, {}),
}


@pytest.mark.parametrize(("config", "expected"), FACTS.values(), ids=FACTS)
def test_the_facts_of_a_configuration(config: dict[str, Any], expected: dict[str, Any]) -> None:
    assert facts(config) == expected


def test_the_message_has_room_for_every_fact_at_its_longest() -> None:
    """What the kubelet keeps, and so what may be said, is 4,096 bytes."""
    longest: dict[str, Any] = dict.fromkeys(CONFIG_KEYS, "x" * 200) | {"architectures": ["y" * 200] * 9}
    config = facts(longest | {"layer_types": ["z" * 99, "w" * 99], "mamba_d_state": 1})
    document = fitting({"commit": "0" * 40, "weights": {"BF16": 10**12, "F8_E4M3": 10**12}, "config": config})
    assert len(json.dumps(document).encode()) <= MESSAGE_BYTES
    kept = document["config"]
    assert isinstance(kept, dict)
    assert {"num_hidden_layers", "num_key_value_heads", "head_dim", "kv_lora_rank"} <= set(kept)


def test_a_mounted_model_is_read(tmp_path: Path) -> None:
    model = write_model(tmp_path / "qwen" / "3-8b")
    found = resolve("pvc://models/qwen/3-8b", "", {"POINTSMAN_MODEL_DIR": str(model)})
    assert found == {
        "weightBytes": sum(path.stat().st_size for path in model.glob("*.safetensors")),
        "weights": {"F16": 4096},
        "config": CONFIG,
    }


def test_a_mounted_model_in_another_format_has_bytes_alone(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text(json.dumps(CONFIG))
    (tmp_path / "pytorch_model.bin").write_bytes(bytes(3000))
    found = resolve("pvc://models", "", {"POINTSMAN_MODEL_DIR": str(tmp_path)})
    assert (found["weightBytes"], found["weights"]) == (3000, {})


def test_a_mounted_folder_that_holds_no_model_is_named(tmp_path: Path) -> None:
    with pytest.raises(StartFailure) as failure:
        resolve("pvc://models/none", "", {"POINTSMAN_MODEL_DIR": str(tmp_path / "none")})
    assert failure.value.reason is Reason.WEIGHTS_NOT_FOUND
    assert "isn't there" in failure.value.message
