"""The models that the fit bench asks vLLM about: real ones that can be had without a hub, and made-up shapes.

Of a shape there is a config.json and nothing else: vLLM makes its weights up, and their size is what counts.
"""

from __future__ import annotations

import json
import shutil
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from bench.placement.environment import Environment
from bench.processes import carry_out
from e2e.cluster.instance import PROJECT_ROOT, locked
from e2e.cluster.progress import step

_MAKER: Final = PROJECT_ROOT / "e2e" / "models" / "make_models.py"
_CONVERTER: Final = PROJECT_ROOT / "e2e" / "models" / "locks" / "convert.lock"
_COMPLETE: Final = ".complete"


@dataclass(frozen=True, slots=True)
class Subject:
    """One model, and how it's to be run."""

    name: str
    path: Path
    made_up: bool = False
    options: dict[str, Any] = field(default_factory=dict)
    """Further arguments of vLLM."""


def _shape(**facts: Any) -> dict[str, Any]:
    return {
        "vocab_size": 32_000,
        "hidden_size": 512,
        "num_hidden_layers": 8,
        "num_attention_heads": 8,
        "num_key_value_heads": 2,
        "max_position_embeddings": 8192,
        "torch_dtype": "float16",
        "tie_word_embeddings": False,
        "rms_norm_eps": 1e-5,
        "hidden_act": "silu",
        **facts,
    }


SHAPES: Final[dict[str, dict[str, Any]]] = {
    "shape: grouped heads (Qwen3)": _shape(
        architectures=["Qwen3ForCausalLM"], model_type="qwen3", intermediate_size=1536, head_dim=128
    ),
    "shape: every head cached (Llama)": _shape(
        architectures=["LlamaForCausalLM"],
        model_type="llama",
        intermediate_size=1536,
        num_key_value_heads=8,
        tie_word_embeddings=True,
    ),
    "shape: experts (Mixtral)": _shape(
        architectures=["MixtralForCausalLM"],
        model_type="mixtral",
        intermediate_size=1024,
        num_local_experts=8,
        num_experts_per_tok=2,
        sliding_window=None,
    ),
    "shape: a window in every layer (Mistral)": _shape(
        architectures=["MistralForCausalLM"],
        model_type="mistral",
        intermediate_size=1536,
        head_dim=64,
        sliding_window=256,
    ),
    "shape: windows in turns (Gemma 2)": _shape(
        architectures=["Gemma2ForCausalLM"],
        model_type="gemma2",
        intermediate_size=1536,
        head_dim=64,
        sliding_window=256,
        tie_word_embeddings=True,
        hidden_activation="gelu_pytorch_tanh",
        query_pre_attn_scalar=64,
        final_logit_softcapping=None,
        attn_logit_softcapping=None,
    ),
    "shape: latent attention (DeepSeek V2)": _shape(
        architectures=["DeepseekV2ForCausalLM"],
        model_type="deepseek_v2",
        intermediate_size=1536,
        num_key_value_heads=8,
        kv_lora_rank=512,
        q_lora_rank=None,
        qk_nope_head_dim=128,
        qk_rope_head_dim=64,
        v_head_dim=128,
        n_routed_experts=8,
        n_shared_experts=1,
        num_experts_per_tok=2,
        moe_intermediate_size=256,
        first_k_dense_replace=1,
        moe_layer_freq=1,
        n_group=1,
        topk_group=1,
        topk_method="greedy",
        norm_topk_prob=False,
        routed_scaling_factor=1.0,
        scoring_func="softmax",
        rope_theta=10000.0,
    ),
}


def subjects(made: Environment, scratch: Path) -> list[Subject]:
    """All of them, the real ones made first where they have to be. Raises ClusterError."""
    folder = made.model.parent / f"fit-{made.venv.name}"
    with locked(folder.parent / "fit.lock", "Another process is making models; waiting."):
        for name in ("tiny", "smollm2-135m-instruct"):
            if not (folder / name / _COMPLETE).is_file():
                _make(made, folder, name)
    real = [
        Subject("tiny", folder / "tiny"),
        Subject("SmolLM2 135M", folder / "smollm2-135m-instruct"),
        Subject("SmolLM2 135M in 32 bits", folder / "smollm2-135m-instruct", options={"dtype": "float32"}),
        Subject("random Llama 57M", made.model),
    ]
    return [*real, *(_made_up(name, config, scratch) for name, config in SHAPES.items())]


def _made_up(name: str, config: dict[str, Any], scratch: Path) -> Subject:
    path = scratch / str(config["model_type"])
    path /= str(config["num_key_value_heads"])
    path.mkdir(parents=True)
    (path / "config.json").write_text(json.dumps(config))
    # vLLM refuses float16 for this one.
    options = {"dtype": "bfloat16"} if config["model_type"] == "gemma2" else {}
    return Subject(name, path, made_up=True, options=options)


def _make(made: Environment, folder: Path, name: str) -> None:
    shutil.rmtree(folder / name, ignore_errors=True)
    folder.mkdir(parents=True, exist_ok=True)
    tools = folder / "convert"
    with step(f"made {name}"):
        if not tools.is_dir():
            pip = ("-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-deps")
            hashed = ("--only-binary=:all:", "--require-hashes", "--requirement", str(_CONVERTER))
            carry_out("install the converter", sys.executable, *pip, *hashed, "--target", str(tools))
        python = str(made.venv / "bin" / "python")
        carry_out(f"make {name}", python, str(_MAKER), str(folder), name, path=str(tools))
    (folder / name / _COMPLETE).touch()
