"""Does a model fit its accelerators? Arithmetic over published facts, and nothing else.

What is counted is what vLLM counts when it starts (names below are of its source, 0.32): it may take a share
of each device (`request_memory` in v1/worker/utils.py: total memory x --gpu-memory-utilization), takes from
it what a trial run needed beside the cache (`determine_available_memory` in v1/worker/gpu_worker.py), and
refuses to start unless the rest holds the cache of ONE sequence of the longest context
(`_check_enough_kv_cache_memory` in v1/core/kv_cache_utils.py). docs/fit.md has the sources and how far off
the figures are. Where something was measured over a range, the lower end stands here: what might start is not
refused, and an engine that doesn't says so itself.

Bytes throughout, of one device unless something else is said. Knows no Kubernetes object.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property, lru_cache
from typing import Final

GIB: Final = 1024**3
LONGEST: Final = 16_777_216
"""Longest context that may be asked for, in tokens."""

BLOCK: Final = 16
"""Tokens whose cache is kept together where nothing is declared (`DEFAULT_BLOCK_SIZE` in config/cache.py)."""

SAMPLER_BYTES: Final = 14
"""Per sequence and token of the vocabulary, in the trial run's sampling: logits in 16 bits, in 32, their
probabilities and what top-p sorts. Measured: 13.9 to 15.4."""

STEPS_IN_FLIGHT: Final = 2
"""Batches whose blocks a sliding window hasn't given back yet (`max_concurrent_batches` in config/vllm.py):
one, and one more that is scheduled while it's computed. A pipeline has more, which aren't counted."""

_OWN: Final = GIB * 13 // 100
"""What libraries take beside PyTorch. Measured: 0.13 to 0.27 GiB."""
_COMMUNICATION: Final = GIB * 42 // 100
"""What sharing layers among devices adds. Measured: 0.42 to 1.9 GiB."""
_GRAPHS: Final = GIB * 3 // 10
"""CUDA graphs, unless --enforce-eager. Measured: 0.09 to 1.9 GiB."""


@dataclass(frozen=True, slots=True)
class Model:
    """What a model is. Zero: not known, or there is none."""

    weights: int = 0
    """Bytes of all weights as they're held on devices, over all devices that share one copy."""
    parameters: int = 0
    layers: int = 0
    hidden: int = 0
    intermediate: int = 0
    """Inner width of a dense MLP."""
    kv_heads: int = 0
    head_size: int = 0
    vocabulary: int = 0
    tied: bool = False
    """Whether input and output share one table of embeddings."""
    context: int = 0
    """Longest context the model allows, in tokens."""
    window: int = 0
    """Tokens that a layer with a sliding window looks back."""
    window_layers: int = 0
    uncached_layers: int = 0
    """Layers that keep a state of one size instead of a cache, such as linear attention's."""
    experts: int = 0
    expert_size: int = 0
    experts_per_token: int = 0
    dense_layers: int = 0
    """Layers without experts, of a model that has some."""
    latent: int = 0
    """Multi-head latent attention: size of the compressed key and value."""
    rope: int = 0
    """Multi-head latent attention: size of the key's part that isn't compressed."""

    @property
    def cached(self) -> bool:
        """Whether enough is known for the size of its cache."""
        return bool(self.layers and (self.latent or (self.kv_heads and self.head_size)))


@dataclass(frozen=True, slots=True)
class Placement:
    """What a model is to run on, and how."""

    device: int
    """Memory of one device."""
    percent: int = 92
    """How much of it the engine may use (`gpu_memory_utilization` in config/cache.py)."""
    tensor: int = 1
    pipeline: int = 1
    data: int = 1
    whole_experts: bool = False
    """Whether devices get whole experts (expert parallel) instead of a slice of each."""
    context: int = 0
    """Longest context asked for; 0: what the model allows."""
    sequences: int = 0
    """Sequences computed at once; 0: the engine's default for such a device."""
    batch: int = 0
    """Tokens computed at once; 0: likewise."""
    cache_bits: Fraction = Fraction(16)
    """Bits of one cached value."""
    cache_scales: int = 0
    """Bytes beside the values of one head's key (and likewise value) of a token."""
    value_bytes: int = 2
    """Bytes of one value while it's computed with."""
    steps: int = STEPS_IN_FLIGHT
    """Batches under way at once."""
    block: int = BLOCK
    """Tokens whose cache is kept together."""
    eager: bool = False
    """Whether no CUDA graphs are made."""
    offloaded: int = 0
    """Weights of each device that are kept in the host's memory."""


@dataclass(frozen=True, slots=True)
class Estimate:
    """What is needed of the device that needs most, and what that means."""

    budget: int
    """What the engine may use."""
    weights: int
    activations: int
    """Beside weights and cache, at the most, while computing."""
    overhead: int
    """Libraries, communication and CUDA graphs."""
    reserve: int
    """The one block of the cache that's never used."""
    context: int
    """Longest context asked for, in tokens; 0: not known."""
    cache: int
    """Of one sequence of that length."""
    largest: int
    """Longest context whose one sequence would fit, in tokens, at most what the model allows; 0: none."""
    at_once: int
    """How many sequences of the asked length the cache would hold."""

    @property
    def needed(self) -> int:
        """To start."""
        return self.weights + self.activations + self.overhead + self.reserve + self.cache

    @property
    def fits(self) -> bool:
        """Whether the engine would start."""
        return self.needed <= self.budget


@lru_cache(maxsize=4096)
def estimate(model: Model, placement: Placement) -> Estimate:
    """The calculation. Total: what isn't known counts nothing. Kept, since every pass asks several times."""
    stages = list(_stages(model, placement))
    context = placement.context or model.context
    budget = placement.device * placement.percent // 100
    fullest = max(stages, key=lambda stage: stage.needed(context))
    return Estimate(
        budget=budget,
        weights=fullest.weights,
        activations=fullest.activations,
        overhead=fullest.overhead,
        reserve=fullest.reserve,
        context=context,
        cache=fullest.cache(context),
        largest=_largest(stages, budget, model.context or LONGEST) if model.cached else 0,
        at_once=min(stage.at_once(context, budget) for stage in stages) if model.cached and context else 0,
    )


def token_bytes(model: Model, placement: Placement) -> int:
    """Cache of one token in every layer without a sliding window, over one device's share of the heads.

    vLLM: `page_size_bytes` in v1/kv_cache_interface.py; heads by `get_num_kv_heads` in config/model.py, which
    never gives a device less than one; a latent cache isn't shared out at all.
    """
    return (model.layers - model.window_layers - model.uncached_layers) * _layer_token(model, placement)


def held_bytes(stored: dict[str, int], value_bytes: int) -> int:
    """Bytes on a device of weights that are stored as so many of each format (safetensors' names).

    Floating point is computed with, and so held, in the engine's format, except what is quantised: 8 bits and
    fewer, and integers, which pack several values.
    """
    wide = {"F64": value_bytes, "F32": value_bytes, "F16": value_bytes, "BF16": value_bytes}
    return sum(int(count * Fraction(wide.get(name, STORED.get(name, 2)))) for name, count in stored.items())


STORED: Final[dict[str, Fraction]] = {
    **dict.fromkeys(("F64", "I64", "U64"), Fraction(8)),
    **dict.fromkeys(("F32", "I32", "U32"), Fraction(4)),
    **dict.fromkeys(("F16", "BF16", "I16", "U16"), Fraction(2)),
    **dict.fromkeys(("F8_E4M3", "F8_E5M2", "F8_E8M0", "I8", "U8", "BOOL"), Fraction(1)),
    **dict.fromkeys(("F6_E2M3", "F6_E3M2"), Fraction(3, 4)),
    "F4": Fraction(1, 2),
}
"""Bytes of one stored value by safetensors' name of its format."""


def quantised_bytes(model: Model, bits: int) -> int:
    """Bytes of 16-bit weights that are quantised while they're loaded: all but the embeddings."""
    kept = min(_embeddings(model, 2) * (1 if model.tied else 2), model.weights)
    return kept + (model.weights - kept) * bits // 16


def default_load(device: int) -> tuple[int, int]:
    """Sequences and tokens that the engine computes at once where nothing is declared.

    vLLM: `get_batch_defaults` in engine/arg_utils.py (which knows an A100 by its name, and gives it less).
    """
    if device >= 160 * GIB:
        return 1024, 16_384
    return (1024, 8192) if device >= 70 * GIB else (256, 2048)


@dataclass(frozen=True)
class _Stage:
    """One device of a pipeline's stage: all of them hold the same."""

    model: Model
    placement: Placement
    layers: int
    weights: int
    last: bool

    @cached_property
    def activations(self) -> int:
        return _forward(self.model, self.placement, self.last)

    @cached_property
    def overhead(self) -> int:
        shared = self.placement.tensor > 1
        return _OWN + (_COMMUNICATION if shared else 0) + (0 if self.placement.eager else _GRAPHS)

    @cached_property
    def reserve(self) -> int:
        # vLLM's pool keeps one block back for good (`BlockPool.null_block`). Layers of two kinds take turns
        # in it, in groups as large as the smaller kind (`_get_kv_cache_groups_uniform_page_size`).
        windowed = self._part(self.model.window_layers)
        kinds = (windowed, self.layers - windowed - self._part(self.model.uncached_layers))
        return min((kind for kind in kinds if kind), default=0) * self._page

    @property
    def _page(self) -> int:
        return self.placement.block * _layer_token(self.model, self.placement)

    def cache(self, context: int) -> int:
        """Of one sequence: whole blocks; of a window, what it covers and what is under way."""
        if not self.model.cached or not context:
            return 0
        windowed, uncached = self._part(self.model.window_layers), self._part(self.model.uncached_layers)
        seen = min(self.model.window - 1 + self.placement.steps * _load(self.placement)[1], context)
        short = windowed * (self._blocks(seen) + 1)
        return ((self.layers - windowed - uncached) * self._blocks(context) + short) * self._page

    def _blocks(self, tokens: int) -> int:
        return -(-tokens // self.placement.block)

    def _part(self, layers: int) -> int:
        """How many of some of the model's layers are in this stage."""
        return layers * self.layers // self.model.layers if self.model.layers else 0

    def needed(self, context: int) -> int:
        return self.weights + self.activations + self.overhead + self.reserve + self.cache(context)

    def at_once(self, context: int, budget: int) -> int:
        free = budget - self.needed(0)
        return max(free // max(self.cache(context), 1), 0)


def _stages(model: Model, placement: Placement) -> Iterator[_Stage]:
    """Each stage of the pipeline: its layers, the embeddings at the ends, and what of them one device holds.

    Layers as `get_pp_indices` in distributed/utils.py divides them; experts over tensor x data parallel
    (`FusedMoEParallelConfig.make` in model_executor/layers/fused_moe/config.py), all else over tensor.
    """
    table = _embeddings(model, placement.value_bytes)
    ends = table if model.tied else 2 * table
    body = max(model.weights - ends, 0)
    experts = min(_expert_share(model) * model.weights, Fraction(body))
    count = placement.pipeline
    for number, layers in enumerate(_divided(model.layers, count)):
        share = Fraction(layers, model.layers) if model.layers else Fraction(1, count)
        first, last = number == 0, number == count - 1
        outer = min(table * (first + (last and (count > 1 or not model.tied))), model.weights)
        split = Fraction(1, placement.tensor)
        held = (outer + (body - experts) * share) * split + experts * share * _experts_held(model, placement)
        weights = max(int(held) - placement.offloaded, 0)
        yield _Stage(model, placement, layers, weights, last)


def _divided(layers: int, stages: int) -> list[int]:
    """Layers of each stage; what is left over goes to those before the last."""
    each, over = divmod(layers, stages)
    return [each + (1 if 0 < stages - 1 - number <= over else 0) for number in range(stages)]


def _experts_held(model: Model, placement: Placement) -> Fraction:
    """Which part of a layer's experts one device holds."""
    devices = placement.tensor * placement.data
    if placement.whole_experts and model.experts:
        return Fraction(-(-model.experts // devices), model.experts)
    return Fraction(1, devices)


def _expert_share(model: Model) -> Fraction:
    """Which part of the parameters is in experts: gate, up and down of each."""
    if not model.parameters:
        return Fraction(0)
    layers = max(model.layers - model.dense_layers, 0)
    inside = layers * model.experts * 3 * model.hidden * model.expert_size
    return min(Fraction(inside, model.parameters), Fraction(1))


def _embeddings(model: Model, value_bytes: int) -> int:
    """Bytes of one table of embeddings, which quantisation leaves alone."""
    return model.vocabulary * model.hidden * value_bytes


def _forward(model: Model, placement: Placement, last: bool) -> int:
    """What the trial run (`profile_run` in v1/worker/gpu_model_runner.py) needs at its highest.

    Either the widest layer over a whole batch (the residual, attention's input and output, and an MLP's gate,
    up and product), or sampling for as many sequences as there may be beside the last layer's output. The
    buffers of a mixture of experts stay.
    """
    sequences, batch = _load(placement)
    value, split = placement.value_bytes, placement.tensor
    mixture = (
        batch * model.experts_per_token * (3 * model.expert_size // split + model.hidden) * value
        if model.experts
        else 0
    )
    layer = batch * (4 * model.hidden + 3 * (model.intermediate // split)) * value
    sampling = min(sequences, batch) * model.vocabulary * SAMPLER_BYTES + batch * 3 * model.hidden * value
    return mixture + max(layer, sampling if last else 0)


def _load(placement: Placement) -> tuple[int, int]:
    sequences, batch = default_load(placement.device)
    return placement.sequences or sequences, placement.batch or batch


def _layer_token(model: Model, placement: Placement) -> int:
    """Cache of one token in one layer."""
    if model.latent:
        return int((model.latent + model.rope) * placement.cache_bits / 8)
    heads = max(model.kv_heads // placement.tensor, 1)
    return 2 * heads * int(model.head_size * placement.cache_bits / 8 + placement.cache_scales)


def _largest(stages: list[_Stage], budget: int, longest: int) -> int:
    """The longest context of which every stage holds one sequence: a cache grows with its context."""
    low, high = 0, longest
    while low < high:
        middle = (low + high + 1) // 2
        if all(stage.needed(middle) <= budget for stage in stages):
            low = middle
        else:
            high = middle - 1
    return low
