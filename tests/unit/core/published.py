"""Published models by their config.json and count of parameters: what the fit calculation is tried on."""

from __future__ import annotations

from typing import Final

from pointsman.core.fit import Model


def dense(parameters: int, **facts: int | bool) -> Model:
    """A model whose weights take two bytes each."""
    return Model(weights=2 * parameters, parameters=parameters, **facts)  # type: ignore[arg-type]


LLAMA_8B: Final = dense(
    8_030_261_248,
    layers=32,
    hidden=4096,
    intermediate=14_336,
    kv_heads=8,
    head_size=128,
    vocabulary=128_256,
    context=131_072,
)
LLAMA_70B: Final = dense(
    70_553_706_496,
    layers=80,
    hidden=8192,
    intermediate=28_672,
    kv_heads=8,
    head_size=128,
    vocabulary=128_256,
    context=131_072,
)
QWEN_7B: Final = dense(
    7_615_616_512,
    layers=28,
    hidden=3584,
    intermediate=18_944,
    kv_heads=4,
    head_size=128,
    vocabulary=152_064,
    context=32_768,
)
QWEN_14B: Final = dense(
    14_770_033_664,
    layers=48,
    hidden=5120,
    intermediate=13_824,
    kv_heads=8,
    head_size=128,
    vocabulary=152_064,
    context=131_072,
)
QWEN3_14B: Final = dense(
    14_768_307_200,
    layers=40,
    hidden=5120,
    intermediate=17_408,
    kv_heads=8,
    head_size=128,
    vocabulary=151_936,
    context=40_960,
)
QWEN3_30B_A3B: Final = dense(
    30_532_122_624,
    layers=48,
    hidden=2048,
    kv_heads=4,
    head_size=128,
    vocabulary=151_936,
    context=40_960,
    experts=128,
    expert_size=768,
    experts_per_token=8,
)
QWEN3_235B_FP8: Final = Model(
    weights=235_093_634_560 + 151_936 * 4096 * 2,
    parameters=235_093_634_560,
    layers=94,
    hidden=4096,
    kv_heads=4,
    head_size=128,
    vocabulary=151_936,
    context=40_960,
    experts=128,
    expert_size=1536,
    experts_per_token=8,
)
MIXTRAL: Final = dense(
    46_702_792_704,
    layers=32,
    hidden=4096,
    kv_heads=8,
    head_size=128,
    vocabulary=32_000,
    context=32_768,
    experts=8,
    expert_size=14_336,
    experts_per_token=2,
)
DEEPSEEK_V2_LITE: Final = dense(
    15_706_484_224,
    layers=27,
    hidden=2048,
    intermediate=10_944,
    vocabulary=102_400,
    context=163_840,
    latent=512,
    rope=64,
    experts=64,
    expert_size=1408,
    experts_per_token=6,
    dense_layers=1,
)
DEEPSEEK_V3: Final = Model(
    weights=671_026_419_200 + 129_280 * 7168 * 2,
    parameters=671_026_419_200,
    layers=61,
    hidden=7168,
    intermediate=18_432,
    vocabulary=129_280,
    context=163_840,
    latent=512,
    rope=64,
    experts=256,
    expert_size=2048,
    experts_per_token=8,
    dense_layers=3,
)
"""In its own 8 bits, embeddings in 16; without the layer that predicts several tokens, which isn't loaded."""
GEMMA_9B: Final = dense(
    9_241_705_984,
    layers=42,
    hidden=3584,
    intermediate=14_336,
    kv_heads=8,
    head_size=256,
    vocabulary=256_000,
    tied=True,
    context=8192,
    window=4096,
    window_layers=21,
)
GRANITE_8B: Final = dense(
    8_170_848_256,
    layers=40,
    hidden=4096,
    intermediate=12_800,
    kv_heads=8,
    head_size=128,
    vocabulary=49_155,
    tied=True,
    context=131_072,
)
CODE_LLAMA_7B: Final = dense(
    6_738_546_688,
    layers=32,
    hidden=4096,
    intermediate=11_008,
    kv_heads=32,
    head_size=128,
    vocabulary=32_016,
    context=16_384,
)
PHI_4: Final = dense(
    14_659_507_200,
    layers=40,
    hidden=5120,
    intermediate=17_920,
    kv_heads=10,
    head_size=128,
    vocabulary=100_352,
    context=16_384,
)
