"""Which engine arguments, variables and pod metadata are refused, held against vLLM's own arguments."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from pointsman.api.reserved import (
    ENV_PATTERN,
    FORBIDDEN_ARGS,
    HARMLESS_ARGS,
    METADATA_PATTERN,
    OWN_FIELDS,
    RESERVED_ARGS,
    is_reserved_arg,
)

VLLM = (Path(__file__).parent / "vllm-0.32.0-arguments.txt").read_text().split()
"""Every long argument of `vllm serve` 0.32.0, from its parser's source."""

FAMILIES = {
    "data-parallel", "dp-supervisor", "grpc", "model", "quantization", "reasoning-parser", "ssl", "worker",
}  # fmt: skip
"""Reserved names that more than one argument of vLLM begins with."""


@pytest.mark.parametrize("name", RESERVED_ARGS)
def test_a_reserved_name_is_one_of_vllm_or_begins_some(name: str) -> None:
    assert [argument for argument in VLLM if argument.startswith(name)]


def test_no_name_is_both_ours_and_forbidden() -> None:
    assert not OWN_FIELDS.keys() & FORBIDDEN_ARGS.keys()


@pytest.mark.parametrize("name", HARMLESS_ARGS)
def test_an_exception_is_needed_and_exact(name: str) -> None:
    assert name in VLLM
    assert name.startswith(RESERVED_ARGS)
    assert not is_reserved_arg(name)
    assert is_reserved_arg(name + "s")


def test_only_known_families_take_others_along() -> None:
    along = {
        argument: next(name for name in RESERVED_ARGS if argument.startswith(name))
        for argument in VLLM
        if is_reserved_arg(argument) and argument not in RESERVED_ARGS and argument.startswith(RESERVED_ARGS)
    }
    assert set(along.values()) == FAMILIES


def test_only_these_are_refused_for_being_an_abbreviation() -> None:
    """`--tokenizer` names another repository, so that is welcome."""
    abbreviations = {
        argument for argument in VLLM if is_reserved_arg(argument) and not argument.startswith(RESERVED_ARGS)
    }
    assert abbreviations == {"tokenizer"}


ALLOWED = [
    "block-size",
    "enable-lora",
    "enable-prefix-caching",
    "enforce-eager",
    "hf-overrides",
    "kv-cache-dtype",
    "kv-cache-memory-bytes",
    "limit-mm-per-prompt",
    "load-format",
    "max-num-batched-tokens",
    "max-num-seqs",
    "runner",
    "seed",
    "speculative-config",
    "structured-outputs-config",
    "tokenizer-mode",
]


@pytest.mark.parametrize("name", ALLOWED)
def test_what_tuning_needs_is_allowed(name: str) -> None:
    assert name in VLLM
    assert not is_reserved_arg(name)


@pytest.mark.parametrize(
    ("name", "refused"),
    {
        "LD_PRELOAD": True,
        "PYTHONPATH": True,
        "HF_TOKEN": True,
        "POINTSMAN_SOURCE": True,
        "VLLM_PLUGINS": True,
        "VLLM_DP_RANK": True,
        "NVIDIA_VISIBLE_DEVICES": True,
        "https_proxy": True,
        "HOME": True,
        "HOMER": False,
        "OMP_NUM_THREADS": False,
        "VLLM_CPU_OMP_THREADS_BIND": False,
        "VLLM_LOGGING_LEVEL": False,
        "NCCL_DEBUG": False,
        "MY_LD_PRELOAD": False,
    }.items(),
)
def test_environment_variables(name: str, refused: bool) -> None:
    assert bool(re.fullmatch(ENV_PATTERN, name)) is refused


@pytest.mark.parametrize(
    ("key", "refused"),
    {
        "pointsman.dev/service": True,
        "serving.pointsman.dev/x": True,
        "app.kubernetes.io/name": True,
        "kubernetes.io/os": True,
        "node.k8s.io/x": True,
        "argocd.argoproj.io/instance": True,
        "kustomize.toolkit.fluxcd.io/name": True,
        "helm.sh/chart": True,
        "pod-template-hash": True,
        "team": False,
        "example.com/pointsman.dev": False,
        "notpointsman.dev/x": False,
        "prometheus.io/scrape": False,
        "sidecar.istio.io/inject": False,
    }.items(),
)
def test_labels_and_annotations_of_pods(key: str, refused: bool) -> None:
    assert bool(re.fullmatch(METADATA_PATTERN, key)) is refused
