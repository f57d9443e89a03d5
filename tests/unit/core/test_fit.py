"""The fit calculation against what is published: bytes of a token's cache, and what vLLM was seen to need.

The measured rows are public: the planner accuracy report of llm-d-planner (its pull request 205: vLLM 0.19 on
H100s of 79.19 GiB at 95 %, context 8,192), and vLLM's issues 13061 and 21348.
"""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from typing import Any

import pytest

from pointsman.core.fit import (
    GIB,
    Model,
    Placement,
    default_load,
    estimate,
    held_bytes,
    quantised_bytes,
    token_bytes,
)
from tests.unit.core import published

H100 = Placement(int(79.19 * GIB), percent=95, context=8192)

TOKENS: dict[str, tuple[Model, dict[str, Any], int]] = {
    "Llama 3.1 8B": (published.LLAMA_8B, {}, 131_072),
    "Llama 3.1 70B": (published.LLAMA_70B, {}, 327_680),
    "Llama 3.1 70B on eight devices, a head each": (published.LLAMA_70B, {"tensor": 8}, 40_960),
    "Llama 3.1 70B on sixteen, heads held twice": (published.LLAMA_70B, {"tensor": 16}, 40_960),
    "Qwen2.5 7B": (published.QWEN_7B, {}, 57_344),
    "Qwen2.5 7B, its cache in 8 bits": (published.QWEN_7B, {"cache_bits": Fraction(8)}, 28_672),
    "Qwen2.5 7B, in 8 bits with a scale of each head": (
        published.QWEN_7B,
        {"cache_bits": Fraction(8), "cache_scales": 4},
        29_568,
    ),
    "Qwen3 235B A22B on four devices": (published.QWEN3_235B_FP8, {"tensor": 4}, 48_128),
    "Mixtral 8x7B": (published.MIXTRAL, {}, 131_072),
    "Mixtral 8x7B on two devices": (published.MIXTRAL, {"tensor": 2}, 65_536),
    "DeepSeek V3": (published.DEEPSEEK_V3, {}, 70_272),
    "DeepSeek V3 on eight devices, the latent on each": (published.DEEPSEEK_V3, {"tensor": 8}, 70_272),
    "Gemma 2 9B, layers without a window": (published.GEMMA_9B, {}, 172_032),
}


@pytest.mark.parametrize(("model", "how", "expected"), TOKENS.values(), ids=TOKENS)
def test_the_cache_of_a_token(model: Model, how: dict[str, Any], expected: int) -> None:
    assert token_bytes(model, replace(H100, **how)) == expected


SEEN: dict[str, tuple[Model, float, int]] = {
    "Llama 3.1 8B": (published.LLAMA_8B, 58.11, 476_016),
    "Qwen2.5 7B": (published.QWEN_7B, 58.53, 1_096_000),
}


@pytest.mark.parametrize(("model", "gib", "tokens"), SEEN.values(), ids=SEEN)
def test_vllm_counts_a_tokens_cache_alike(model: Model, gib: float, tokens: int) -> None:
    assert gib * GIB / token_bytes(model, H100) == pytest.approx(tokens, rel=2e-4)


MEASURED: dict[str, tuple[Model, dict[str, Any], float | None, float]] = {
    "Llama 3.1 8B": (published.LLAMA_8B, {}, 14.99, 1.89),
    "Llama 3.1 8B on two devices": (published.LLAMA_8B, {"tensor": 2}, 7.51, 1.89),
    "Llama 3.1 8B on four devices": (published.LLAMA_8B, {"tensor": 4}, 3.77, 1.89),
    "Llama 3.1 8B in two stages": (published.LLAMA_8B, {"pipeline": 2}, 7.51, 1.89),
    "Llama 3.1 8B in four stages": (published.LLAMA_8B, {"pipeline": 4}, 4.26, 1.89),
    "Llama 3.1 8B in 32 bits": (
        replace(published.LLAMA_8B, weights=4 * published.LLAMA_8B.parameters),
        {},
        29.98,
        1.89,
    ),
    "Llama 3.1 8B, quantised while loading": (
        replace(published.LLAMA_8B, weights=quantised_bytes(published.LLAMA_8B, 8)),
        {},
        8.49,
        1.89,
    ),
    "Qwen2.5 7B": (published.QWEN_7B, {}, 14.25, 2.21),
    "Qwen2.5 7B on four devices": (published.QWEN_7B, {"tensor": 4}, 3.55, 2.21),
    "Qwen3 14B": (published.QWEN3_14B, {}, 27.52, 2.23),
    "Phi 4": (published.PHI_4, {}, None, 1.52),
    "Code Llama 7B": (published.CODE_LLAMA_7B, {}, None, 0.77),
    "Granite 3.1 8B": (published.GRANITE_8B, {}, None, 0.85),
    "Gemma 2 9B": (published.GEMMA_9B, {}, None, 3.65),
    "Qwen3 30B A3B": (published.QWEN3_30B_A3B, {}, None, 2.68),
    "DeepSeek V2 Lite": (published.DEEPSEEK_V2_LITE, {}, None, 1.93),
    "Mixtral 8x7B on two devices": (published.MIXTRAL, {"tensor": 2}, None, 1.21),
}


@pytest.mark.parametrize(("model", "how", "weights", "activations"), MEASURED.values(), ids=MEASURED)
def test_what_vllm_was_seen_to_need(
    model: Model, how: dict[str, Any], weights: float | None, activations: float
) -> None:
    found = estimate(model, replace(H100, **how))
    if weights is not None:
        assert found.weights / GIB == pytest.approx(weights, rel=0.01)
    assert found.activations / GIB == pytest.approx(activations, rel=0.16)
    assert found.activations / GIB - activations < 0.2


def test_room_for_the_cache_as_vllm_found_it() -> None:
    """58.11 GiB in vLLM 0.19, which didn't count CUDA graphs yet (0.91 GiB in that run)."""
    found = estimate(published.LLAMA_8B, replace(H100, eager=True))
    room = (found.budget - found.weights - found.activations - found.overhead) / GIB
    assert room == pytest.approx(58.11, rel=0.005)


def test_a_context_that_vllm_refused_on_two_devices_of_24_gib() -> None:
    """Issue 13061: 131,072 tokens refused, 81,536 held (with another limit of activations than today's)."""
    found = estimate(published.QWEN_14B, Placement(int(23.55 * GIB), percent=98, tensor=2))
    assert not found.fits
    assert found.largest == pytest.approx(81_536, rel=0.1)


def test_qwen3_235b_on_four_h100s_holds_what_vllm_said() -> None:
    """Issue 21348: 178,880 tokens at 90 %; the estimate may promise more, and not by much of a device."""
    found = estimate(published.QWEN3_235B_FP8, replace(H100, percent=90, tensor=4, context=40_960))
    seen = 178_880 // 40_960
    assert found.fits
    assert seen <= found.at_once <= seen + 3


FITS: dict[str, tuple[Model, dict[str, Any], bool]] = {
    "Llama 3.1 8B with its whole context on 80 GiB": (published.LLAMA_8B, {"context": 131_072}, True),
    "Llama 3.1 70B on one": (published.LLAMA_70B, {}, False),
    "Llama 3.1 70B on two, a short context": (published.LLAMA_70B, {"tensor": 2, "context": 4096}, True),
    "Llama 3.1 70B on two, the whole context": (
        published.LLAMA_70B,
        {"tensor": 2, "context": 131_072},
        False,
    ),
    "Llama 3.1 70B on four, the whole context": (
        published.LLAMA_70B,
        {"tensor": 4, "context": 131_072},
        True,
    ),
    "Mixtral on one": (published.MIXTRAL, {}, False),
    "Mixtral on two": (published.MIXTRAL, {"tensor": 2}, True),
    "DeepSeek V3 on eight of 80 GiB": (published.DEEPSEEK_V3, {"tensor": 8}, False),
    "DeepSeek V3 on eight of 141 GiB": (
        published.DEEPSEEK_V3,
        {"tensor": 8, "device": 141 * GIB, "context": 163_840},
        True,
    ),
    "DeepSeek V3 on sixteen, experts spread and attention copied": (
        published.DEEPSEEK_V3,
        {"tensor": 2, "data": 8, "whole_experts": True},
        True,
    ),
}


@pytest.mark.parametrize(("model", "how", "fits"), FITS.values(), ids=FITS)
def test_what_fits(model: Model, how: dict[str, Any], fits: bool) -> None:
    assert estimate(model, replace(H100, **how)).fits is fits


def test_a_second_copy_takes_as_much_again_but_shares_the_experts() -> None:
    dense, mixed = published.LLAMA_8B, published.MIXTRAL
    assert estimate(dense, replace(H100, data=2)).weights == estimate(dense, H100).weights
    assert estimate(mixed, replace(H100, data=2)).weights < estimate(mixed, H100).weights * 0.55


def test_a_window_bounds_the_cache() -> None:
    windowed = replace(published.LLAMA_8B, window=4096, window_layers=32)
    short, long = (estimate(windowed, replace(H100, context=n)).cache for n in (40_000, 131_072))
    assert short == long


def test_a_block_is_kept_back_for_layers_of_the_rarer_kind() -> None:
    assert estimate(published.GEMMA_9B, H100).reserve == 21 * 16 * 2 * 8 * 256 * 2
    assert estimate(published.LLAMA_8B, H100).reserve == 32 * 16 * 2 * 8 * 128 * 2


def test_offloaded_weights_are_not_the_devices() -> None:
    kept = estimate(published.LLAMA_8B, replace(H100, offloaded=10 * GIB))
    assert kept.weights == estimate(published.LLAMA_8B, H100).weights - 10 * GIB


def test_what_is_not_known_counts_nothing() -> None:
    found = estimate(Model(), H100)
    assert (found.weights, found.cache, found.largest, found.at_once) == (0, 0, 0, 0)
    assert found.fits


HELD: dict[str, tuple[dict[str, int], int, int]] = {
    "bfloat16": ({"BF16": 100}, 2, 200),
    "float32, computed in 16 bits": ({"F32": 100}, 2, 200),
    "bfloat16, computed in 32 bits": ({"BF16": 100}, 4, 400),
    "8 bits and scales": ({"F8_E4M3": 100, "BF16": 10}, 2, 120),
    "4 bits packed in integers": ({"I32": 100, "F16": 10}, 2, 420),
    "4 bits": ({"F4": 100}, 2, 50),
    "a format of tomorrow": ({"F7": 100}, 2, 200),
}


@pytest.mark.parametrize(("stored", "value_bytes", "expected"), HELD.values(), ids=HELD)
def test_what_stored_weights_take(stored: dict[str, int], value_bytes: int, expected: int) -> None:
    assert held_bytes(stored, value_bytes) == expected


def test_the_engines_own_defaults() -> None:
    assert [default_load(n * GIB) for n in (24, 80, 180)] == [(256, 2048), (1024, 8192), (1024, 16_384)]
