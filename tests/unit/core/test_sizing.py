"""From config.json and declarations to what is calculated with: as makers of models name their facts."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pointsman.api.model_facts import ModelFacts
from pointsman.api.service import ServiceSpec
from pointsman.core.fit import GIB, Model, Placement, estimate
from pointsman.core.sizing import adapted, asks_source, model, placement, uncounted
from pointsman_engine.facts import CONFIG_KEYS, facts
from tests.unit.core import published

LLAMA = {
    "model_type": "llama",
    "hidden_size": 4096,
    "intermediate_size": 14_336,
    "max_position_embeddings": 131_072,
    "num_attention_heads": 32,
    "num_hidden_layers": 32,
    "num_key_value_heads": 8,
    "rope_scaling": {
        "factor": 8.0,
        "low_freq_factor": 1.0,
        "original_max_position_embeddings": 8192,
        "rope_type": "llama3",
    },
    "tie_word_embeddings": False,
    "torch_dtype": "bfloat16",
    "vocab_size": 128_256,
}
QWEN = {
    "model_type": "qwen2",
    "hidden_size": 3584,
    "intermediate_size": 18_944,
    "max_position_embeddings": 32_768,
    "max_window_layers": 28,
    "num_attention_heads": 28,
    "num_hidden_layers": 28,
    "num_key_value_heads": 4,
    "sliding_window": 131_072,
    "use_sliding_window": False,
    "vocab_size": 152_064,
}
MIXTRAL = {
    "model_type": "mixtral",
    "hidden_size": 4096,
    "intermediate_size": 14_336,
    "max_position_embeddings": 32_768,
    "num_attention_heads": 32,
    "num_experts_per_tok": 2,
    "num_hidden_layers": 32,
    "num_key_value_heads": 8,
    "num_local_experts": 8,
    "sliding_window": None,
    "vocab_size": 32_000,
}
DEEPSEEK = {
    "model_type": "deepseek_v3",
    "first_k_dense_replace": 3,
    "hidden_size": 7168,
    "intermediate_size": 18_432,
    "kv_lora_rank": 512,
    "max_position_embeddings": 163_840,
    "moe_intermediate_size": 2048,
    "n_routed_experts": 256,
    "n_shared_experts": 1,
    "num_attention_heads": 128,
    "num_experts_per_tok": 8,
    "num_hidden_layers": 61,
    "num_key_value_heads": 128,
    "num_nextn_predict_layers": 1,
    "q_lora_rank": 1536,
    "qk_nope_head_dim": 128,
    "qk_rope_head_dim": 64,
    "quantization_config": {"quant_method": "fp8", "weight_block_size": [128, 128]},
    "rope_scaling": {"factor": 40, "original_max_position_embeddings": 4096, "type": "yarn"},
    "v_head_dim": 128,
    "vocab_size": 129_280,
}
GEMMA = {
    "model_type": "gemma2",
    "head_dim": 256,
    "hidden_size": 3584,
    "intermediate_size": 14_336,
    "max_position_embeddings": 8192,
    "num_attention_heads": 16,
    "num_hidden_layers": 42,
    "num_key_value_heads": 8,
    "sliding_window": 4096,
    "tie_word_embeddings": True,
    "vocab_size": 256_000,
}

PUBLISHED: dict[str, tuple[dict[str, Any], dict[str, int], Model]] = {
    "Llama 3.1 8B": (LLAMA, {"BF16": 8_030_261_248}, published.LLAMA_8B),
    "Qwen2.5 7B, whose window is off": (QWEN, {"BF16": 7_615_616_512}, published.QWEN_7B),
    "Mixtral 8x7B": (MIXTRAL, {"BF16": 46_702_792_704}, published.MIXTRAL),
    "Gemma 2 9B, every second layer with a window": (GEMMA, {"BF16": 9_241_705_984}, published.GEMMA_9B),
}


def found(config: dict[str, Any], stored: dict[str, int]) -> dict[str, Any]:
    """What a resolve Job says."""
    return {"weights": stored, "config": facts(config)}


def spec(hardware: dict[str, Any] | None = None, **fields: Any) -> ServiceSpec:
    where = {"accelerator": {"resource": "nvidia.com/gpu", "count": 1}, "deviceMemory": "80Gi"}
    body = {"model": {"source": {"uri": "hf://a/b"}}, "hardware": where if hardware is None else hardware}
    return ServiceSpec.model_validate({**body, **fields})


@pytest.mark.parametrize(("config", "stored", "expected"), PUBLISHED.values(), ids=PUBLISHED)
def test_a_published_model(config: dict[str, Any], stored: dict[str, int], expected: Model) -> None:
    assert model(spec(), None, found(config, stored)) == expected


def test_deepseek_v3_without_the_layer_that_predicts_several_tokens() -> None:
    stored = {"F8_E4M3": 680_571_043_840, "BF16": 3_918_786_560, "F32": 41_555_600}
    read = model(spec(), None, found(DEEPSEEK, stored))
    expected = published.DEEPSEEK_V3
    assert replace(read, weights=0, parameters=0) == replace(expected, weights=0, parameters=0)
    assert read.parameters == pytest.approx(expected.parameters, rel=0.01)
    assert read.weights == pytest.approx(expected.weights, rel=0.01)


SHAPES: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "a head's size from the width": ({**QWEN, "num_attention_heads": 28}, {"head_size": 128}),
    "no grouping of heads": (
        {"num_hidden_layers": 2, "hidden_size": 256, "num_attention_heads": 4},
        {"kv_heads": 4, "head_size": 64},
    ),
    "kinds of layers": (
        {
            **LLAMA,
            "sliding_window": 512,
            "layer_types": ["sliding_attention"] * 20 + ["full_attention"] * 12,
        },
        {"window": 512, "window_layers": 20, "uncached_layers": 0},
    ),
    "linear attention keeps no cache": (
        {**LLAMA, "layer_types": ["linear_attention"] * 24 + ["full_attention"] * 8},
        {"uncached_layers": 24, "window_layers": 0},
    ),
    "the same by an interval": ({**LLAMA, "full_attention_interval": 4}, {"uncached_layers": 24}),
    "attention in chunks": (
        {
            **LLAMA,
            "attention_chunk_size": 8192,
            "layer_types": ["chunked_attention"] * 24 + ["full_attention"] * 8,
        },
        {"window": 8192, "window_layers": 24},
    ),
    "a window in every layer": (
        {**LLAMA, "sliding_window": 4096},
        {"window": 4096, "window_layers": 32},
    ),
    "five windows of six": (
        {**LLAMA, "num_hidden_layers": 48, "sliding_window": 1024, "sliding_window_pattern": 6},
        {"window_layers": 40},
    ),
    "layers that aren't alike": (
        {**LLAMA, "mamba_d_state": 16},
        {"layers": 0, "kv_heads": 0, "hidden": 4096},
    ),
    "a context stretched": (
        {**QWEN, "rope_scaling": {"type": "yarn", "factor": 4.0, "original_max_position_embeddings": 32_768}},
        {"context": 131_072},
    ),
    "a context stretched by another way": (
        {**QWEN, "rope_scaling": {"type": "linear", "factor": 2}},
        {"context": 65_536},
    ),
    "nonsense": ({"num_hidden_layers": -4, "hidden_size": "wide", "vocab_size": True}, {"layers": 0}),
}


@pytest.mark.parametrize(("config", "expected"), SHAPES.values(), ids=SHAPES)
def test_a_shape(config: dict[str, Any], expected: dict[str, Any]) -> None:
    read = model(spec(), None, found(config, {}))
    assert {name: getattr(read, name) for name in expected} == expected


WEIGHTS: dict[str, tuple[dict[str, Any], dict[str, Any], dict[str, Any], int]] = {
    "counted by format": ({"weights": {"BF16": 100, "F32": 10}}, {}, {}, 220),
    "in 32 bits where the engine is told so": ({"weights": {"BF16": 100}}, {}, {"dtype": "float32"}, 400),
    "by their files where nobody counted": ({"weightBytes": 300}, {}, {}, 300),
    "as declared": ({"weights": {"BF16": 100}}, {"parameters": 50}, {}, 100),
    "as declared, in 8 bits": ({}, {"parameters": 50, "dtype": "float8"}, {}, 50),
    "as declared, in 4 bits": ({}, {"parameters": 50, "dtype": "int4"}, {}, 25),
    "brought to 8 bits while they're loaded": (
        {"weights": {"BF16": 100}},
        {},
        {"quantization": "fp8"},
        100,
    ),
    "brought to the fewest bits by a method of tomorrow": (
        {"weights": {"BF16": 100}},
        {},
        {"quantization": "next"},
        50,
    ),
    "as stored where they are quantised already": (
        {"weights": {"I32": 100}, "config": {"quantization": "awq"}},
        {},
        {"quantization": "awq"},
        400,
    ),
    "a document of nonsense": ({"weights": {"BF16": "many"}, "weightBytes": -1, "config": 4}, {}, {}, 0),
}


@pytest.mark.parametrize(("document", "declared", "engine", "expected"), WEIGHTS.values(), ids=WEIGHTS)
def test_what_weights_take(
    document: dict[str, Any], declared: dict[str, Any], engine: dict[str, Any], expected: int
) -> None:
    given = ModelFacts.model_validate(declared) if declared else None
    assert model(spec(engine=engine), given, document).weights == expected


def test_embeddings_stay_wide_when_weights_are_quantised() -> None:
    declared = ModelFacts.model_validate(
        {"parameters": 1000, "dtype": "int4", "vocabularySize": 10, "hiddenSize": 10}
    )
    assert model(spec(), declared, {}).weights == 2 * 10 * 10 * 2 + 800 // 2


DECLARED: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "heads": ({"attentionHeads": 32, "hiddenSize": 4096}, {"kv_heads": 32, "head_size": 128}),
    "heads that share": ({"attentionHeads": 32, "kvHeads": 4}, {"kv_heads": 4}),
    "a latent cache": (
        {"kvLoraRank": 512, "ropeHeadSize": 64, "kvHeads": 8},
        {"latent": 512, "rope": 64, "kv_heads": 0, "head_size": 0},
    ),
    "a window everywhere": ({"layers": 8, "slidingWindow": 512}, {"window": 512, "window_layers": 8}),
    "a window somewhere": (
        {"layers": 8, "slidingWindow": 512, "slidingLayers": 4},
        {"window": 512, "window_layers": 4},
    ),
    "experts": (
        {"experts": 8, "expertSize": 1024},
        {"experts": 8, "expert_size": 1024, "experts_per_token": 1},
    ),
}


@pytest.mark.parametrize(("declared", "expected"), DECLARED.values(), ids=DECLARED)
def test_declared_facts(declared: dict[str, Any], expected: dict[str, Any]) -> None:
    read = model(spec(), ModelFacts.model_validate(declared), {})
    assert {name: getattr(read, name) for name in expected} == expected


GPU = {"resource": "nvidia.com/gpu", "count": 8}
PLACES: dict[str, tuple[ServiceSpec, dict[str, Any]]] = {
    "every accelerator for tensor parallel": (
        spec({"accelerator": GPU, "deviceMemory": "80Gi"}),
        {"tensor": 8, "pipeline": 1, "data": 1, "device": 80 * GIB, "percent": 92},
    ),
    "as it's declared": (
        spec(
            {"accelerator": GPU, "deviceMemory": "80Gi"},
            parallelism={"tensor": 2, "pipeline": 2, "data": 2, "expert": True},
        ),
        {"tensor": 2, "pipeline": 2, "data": 2, "whole_experts": True},
    ),
    "the engine's settings": (
        spec(engine={"maxModelLen": 4096, "gpuMemoryUtilization": 50, "dtype": "float"}),
        {"context": 4096, "percent": 50, "value_bytes": 4},
    ),
    "the engine's arguments": (
        spec(
            engine={
                "args": {
                    "max-num-seqs": "16",
                    "max-num-batched-tokens": "2048",
                    "block-size": "32",
                    "enforce-eager": "true",
                    "async-scheduling": "false",
                    "cpu-offload-gb": "4",
                }
            }
        ),
        {"sequences": 16, "batch": 2048, "block": 32, "eager": True, "steps": 1, "offloaded": 4 * GIB},
    ),
    "arguments that only the engine understands": (
        spec(engine={"args": {"max-num-seqs": "many", "max-num-batched-tokens": "2k"}}),
        {"sequences": 0, "batch": 0},
    ),
    "a cache in 8 bits": (
        spec(engine={"args": {"kv-cache-dtype": "fp8"}}),
        {"cache_bits": Fraction(8), "cache_scales": 0},
    ),
    "a cache in 8 bits with scales": (
        spec(engine={"args": {"kv-cache-dtype": "int8_per_token_head"}}),
        {"cache_bits": Fraction(8), "cache_scales": 4},
    ),
    "a cache in a format of tomorrow": (
        spec(engine={"args": {"kv-cache-dtype": "turboquant_3bit_nc"}}),
        {"cache_bits": Fraction(3)},
    ),
}


@pytest.mark.parametrize(("declared", "expected"), PLACES.values(), ids=PLACES)
def test_a_placement(declared: ServiceSpec, expected: dict[str, Any]) -> None:
    made = placement(declared)
    assert made is not None
    assert {name: getattr(made, name) for name in expected} == expected


@pytest.mark.parametrize(
    "hardware",
    [{}, {"accelerator": GPU}],
    ids=["no accelerator", "an accelerator of unknown memory"],
)
def test_nothing_is_calculated_without_an_accelerators_memory(hardware: dict[str, Any]) -> None:
    assert placement(spec(hardware)) is None


CACHES: dict[str, tuple[dict[str, str], dict[str, Any], dict[str, Any], int]] = {
    "the engine's format": ({}, {}, {}, 16),
    "the engine's format, 32 bits": ({"dtype": "float32"}, {}, {}, 32),
    "as the model was quantised": ({}, {"kv_cache_bits": 8}, {}, 8),
    "as declared": ({}, {"kv_cache_bits": 8}, {"kv-cache-dtype": "bfloat16"}, 16),
}


@pytest.mark.parametrize(("engine", "config", "args", "bits"), CACHES.values(), ids=CACHES)
def test_bits_of_a_cached_value(
    engine: dict[str, Any], config: dict[str, Any], args: dict[str, str], bits: int
) -> None:
    declared = spec(engine={**engine, "args": args})
    made = placement(declared)
    assert isinstance(made, Placement)
    assert adapted(made, declared, {"config": config}).cache_bits == bits


def test_an_argument_that_is_not_counted_is_named() -> None:
    assert uncounted(spec(engine={"args": {"hf-overrides": "{}"}})) == "hf-overrides"
    assert uncounted(spec()) == ""


def test_a_volume_is_read_for_a_calculation_alone() -> None:
    assert asks_source(spec(), None)
    assert not asks_source(spec(), ModelFacts())
    assert not asks_source(spec({"accelerator": GPU}), None)


VALUES = st.one_of(
    st.integers(-5, 10**18),
    st.floats(),
    st.booleans(),
    st.none(),
    st.text(max_size=5),
    st.lists(st.sampled_from(["full_attention", "sliding_attention", "linear_attention", 7]), max_size=9),
    st.dictionaries(
        st.sampled_from(["factor", "type", "full_attention", "mamba"]), st.integers(), max_size=3
    ),
)
KEYS = st.sampled_from(
    [*CONFIG_KEYS, "rope_scaling", "rope_factor", "layer_types", "unlike", "kv_cache_bits", "quantization"]
)


@given(
    st.dictionaries(KEYS, VALUES, max_size=20),
    st.dictionaries(st.sampled_from(["BF16", "I32", "F4", "X"]), VALUES, max_size=3),
    st.dictionaries(
        st.sampled_from(["max-num-seqs", "max-num-batched-tokens", "block-size", "cpu-offload-gb"]),
        st.one_of(st.integers(0, 10**30).map(str), st.text(max_size=5)),
    ),
)
def test_whatever_a_pod_said_is_calculated_with(
    config: dict[str, Any], stored: dict[str, Any], args: dict[str, str]
) -> None:
    declared = spec(engine={"args": args})
    document = {"config": config, "weights": stored, "weightBytes": 10**9}
    made = placement(declared)
    assert made is not None
    result = estimate(model(declared, None, document), adapted(made, declared, document))
    assert result.cache >= 0
    assert result.needed / GIB >= 0
    facts(config)
