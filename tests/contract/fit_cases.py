"""Refusals of what the fit calculation is told."""

from __future__ import annotations

from tests.contract.cases import Case

GPU = {"resource": "nvidia.com/gpu", "count": 1}

FIT: dict[str, Case] = {
    "an accelerator's memory without an accelerator": Case(
        "hardware",
        {"deviceMemory": "80Gi"},
        "spec.hardware.deviceMemory: Invalid value: deviceMemory is the memory of an accelerator: give "
        "hardware.accelerator, or remove it",
    ),
    "a fit of nothing known": Case(
        "hardware",
        {"accelerator": GPU, "fit": "Advisory"},
        "spec.hardware.fit: Invalid value: fit says what follows from a calculation with "
        "hardware.deviceMemory",
    ),
    "a fit of another kind": Case(
        "hardware",
        {"accelerator": GPU, "deviceMemory": "80Gi", "fit": "Ignored"},
        'spec.hardware.fit: Unsupported value: "Ignored": supported values: "Required", "Advisory"',
    ),
    "half of a latent cache": Case(
        "model/facts",
        {"kvLoraRank": 512},
        "spec.model.facts.kvLoraRank: Invalid value: kvLoraRank and ropeHeadSize together are one layer's "
        "cache: give both or neither",
    ),
    "layers with a window of no size": Case(
        "model/facts",
        {"slidingLayers": 4},
        "spec.model.facts.slidingLayers: Invalid value: slidingLayers are layers with a slidingWindow",
    ),
    "experts of no size": Case(
        "model/facts",
        {"experts": 8},
        "spec.model.facts.experts: Invalid value: experts and expertSize together are a layer's experts",
    ),
    "experts for a token of a model without": Case(
        "model/facts",
        {"expertsPerToken": 2},
        "spec.model.facts.expertsPerToken: Invalid value: expertsPerToken counts some of a layer's experts",
    ),
    "weights in a format nobody has": Case(
        "model/facts", {"dtype": "int3"}, 'spec.model.facts.dtype: Unsupported value: "int3"'
    ),
}
