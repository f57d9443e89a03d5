"""A model's published facts, as far as its memory depends on them: what `model.facts` may say.

For sources that can't be asked (a directory inside the engine's image), or to correct what was found. Nothing
here calculates; `core.fit` does.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, ClassVar

from pydantic import Field

from pointsman.api.common import Base, Bool, Int
from pointsman.api.schema import Rule

Size = Annotated[Int, Field(ge=1, le=16_777_216)]
"""A number out of a model's config.json."""


class WeightsDtype(StrEnum):
    """Number formats that weights are stored in."""

    FLOAT32 = "float32"
    BFLOAT16 = "bfloat16"
    FLOAT16 = "float16"
    FLOAT8 = "float8"
    INT8 = "int8"
    FLOAT4 = "float4"
    INT4 = "int4"


class ModelFacts(Base):
    """A model's published facts. What is left out is taken from its source, where that can be asked."""

    rules: ClassVar[tuple[Rule, ...]] = (
        Rule(
            cel="has(self.kvLoraRank) == has(self.ropeHeadSize)",
            holds=lambda facts: (facts.kv_lora_rank is None) == (facts.rope_head_size is None),
            message="kvLoraRank and ropeHeadSize together are one layer's cache: give both or neither",
            field="kv_lora_rank",
        ),
        Rule(
            cel="!has(self.slidingLayers) || has(self.slidingWindow)",
            holds=lambda facts: facts.sliding_layers is None or facts.sliding_window is not None,
            message="slidingLayers are layers with a slidingWindow: give that too",
            field="sliding_layers",
        ),
        Rule(
            cel="!has(self.expertsPerToken) || has(self.experts)",
            holds=lambda facts: facts.experts_per_token is None or facts.experts is not None,
            message="expertsPerToken counts some of a layer's experts: give experts too",
            field="experts_per_token",
        ),
        Rule(
            cel="has(self.experts) == has(self.expertSize)",
            holds=lambda facts: (facts.experts is None) == (facts.expert_size is None),
            message="experts and expertSize together are a layer's experts: give both or neither",
            field="experts",
        ),
    )

    parameters: Annotated[Int, Field(ge=1, le=10**15, json_schema_extra={"format": "int64"})] | None = None
    """How many parameters the model has, all experts included."""
    dtype: WeightsDtype | None = None
    """Number format of the stored weights; of a quantised model, the quantised one. Unset: bfloat16."""
    layers: Size | None = None
    """Layers (config.json: num_hidden_layers)."""
    hidden_size: Size | None = None
    """Width of a layer (hidden_size)."""
    intermediate_size: Size | None = None
    """Inner width of a dense layer's MLP (intermediate_size)."""
    attention_heads: Size | None = None
    """Attention heads (num_attention_heads)."""
    kv_heads: Size | None = None
    """Heads whose keys and values are cached (num_key_value_heads). Unset: attentionHeads."""
    head_size: Size | None = None
    """Size of a head (head_dim). Unset: hiddenSize / attentionHeads."""
    vocabulary_size: Size | None = None
    """Tokens of the vocabulary (vocab_size)."""
    tied_embeddings: Bool | None = None
    """Whether input and output share one table of embeddings (tie_word_embeddings). Unset: no."""
    context_length: Size | None = None
    """Longest context the model allows, in tokens (max_position_embeddings); engine.maxModelLen is
    what counts where it is given."""
    sliding_window: Size | None = None
    """Tokens that a layer with a sliding window looks back (sliding_window)."""
    sliding_layers: Size | None = None
    """How many layers have that window. Unset: all."""
    experts: Size | None = None
    """Experts of a mixture-of-experts layer (num_experts, num_local_experts, n_routed_experts)."""
    expert_size: Size | None = None
    """Inner width of one expert (moe_intermediate_size)."""
    experts_per_token: Size | None = None
    """Experts that each token is given to (num_experts_per_tok). Unset: 1."""
    kv_lora_rank: Size | None = None
    """Size of the compressed key and value of multi-head latent attention (kv_lora_rank)."""
    rope_head_size: Size | None = None
    """Size of the part of a key that multi-head latent attention keeps beside it (qk_rope_head_dim)."""
