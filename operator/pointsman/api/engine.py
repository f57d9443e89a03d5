"""The engine of a service: which one, and how it is told to run.

What it may not be told stands in `reserved`. Nothing here knows how arguments are rendered.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, ClassVar

from pydantic import Field

from pointsman.api.common import Base, ImageName, Int
from pointsman.api.reserved import ARGS_RULES, ENV_PATTERN
from pointsman.api.schema import API_DEFAULT, Matches, Rule, keys_avoid, keys_match


class EngineType(StrEnum):
    """Engines there are adapters for."""

    VLLM = "vLLM"


class Dtype(StrEnum):
    """Number formats of weights and activations."""

    AUTO = "auto"
    HALF = "half"
    FLOAT16 = "float16"
    BFLOAT16 = "bfloat16"
    FLOAT = "float"
    FLOAT32 = "float32"


class Engine(Base):
    """The program that runs the model, and how it is told to."""

    rules: ClassVar[tuple[Rule, ...]] = (
        Rule(
            cel="!has(self.version) || !has(self.image)",
            holds=lambda engine: engine.version is None or engine.image is None,
            message="give engine.version or engine.image, not both: an image already is of one version",
            field="version",
        ),
        keys_match(
            "args",
            r"[a-z][a-z0-9]*(-[a-z0-9]+)*",
            "each name in engine.args must be an engine argument's long name in lower case, with single "
            "dashes and none in front, such as max-num-seqs",
        ),
        keys_avoid(
            "args",
            r"no-.*",
            'engine.args takes a switch by its plain name: write name: "false" instead of no-name',
        ),
        *ARGS_RULES,
        keys_match(
            "env",
            r"[A-Za-z_][A-Za-z0-9_]*",
            "each name in engine.env must be letters, digits and '_', not beginning with a digit",
        ),
        keys_avoid(
            "env",
            ENV_PATTERN,
            "engine.env must not set what Pointsman sets itself, tokens, or what loads code or files; "
            "docs/reference/api.md lists the reserved names",
        ),
    )

    type: EngineType = Field(default=EngineType.VLLM, json_schema_extra={API_DEFAULT: True})
    """Which engine runs the model."""
    version: (
        Annotated[
            str,
            Field(min_length=1, max_length=32),
            Matches(
                r"[0-9]+[.][0-9]+([.][0-9]+)?([-+.a-z0-9]*[a-z0-9])?", "must be a version such as 0.32.0"
            ),
        ]
        | None
    ) = None
    """Version of the engine, among those the operator has images for. Unset: its newest when a revision is
    born."""
    image: ImageName | None = None
    """Image to run instead of the operator's own for this engine and accelerator. Its entrypoint must be
    Pointsman's."""
    max_model_len: Annotated[Int, Field(ge=1, le=16_777_216)] | None = None
    """Longest context in tokens, prompt and answer together. Unset: what the model allows."""
    dtype: Dtype | None = None
    """Number format of weights and activations. Unset: what the operator resolves for the accelerator; on a
    CPU float16."""
    quantization: (
        Annotated[
            str,
            Field(min_length=1, max_length=32),
            Matches(
                r"[a-z0-9]([-a-z0-9_]*[a-z0-9])?", "must be one of the engine's methods, such as fp8 or awq"
            ),
        ]
        | None
    ) = None
    """Quantisation method, such as fp8 or awq. Unset: what the model's own configuration says."""
    gpu_memory_utilization: Annotated[Int, Field(ge=1, le=100)] | None = None
    """Percent of each accelerator's memory that the engine may use, weights and cache together."""
    args: Annotated[dict[str, Annotated[str, Field(max_length=4096)]], Field(max_length=64)] | None = None
    """Further arguments, by long name without the leading dashes: {max-num-seqs: "64"}. A switch takes
    "true" or "false". Changing one makes a new revision."""
    env: Annotated[dict[str, Annotated[str, Field(max_length=4096)]], Field(max_length=64)] | None = None
    """Further environment variables. Never put secrets here: everyone who may read the object reads them."""
