"""What a prompt may say, where the table of refusals would be too coarse: braces, and bounds of values."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from pointsman.api.prompt import PromptSpec


def spec(content: str, *variables: dict[str, Any]) -> PromptSpec:
    given = {"variables": list(variables)} if variables else {}
    return PromptSpec.model_validate({"messages": [{"role": "user", "content": content}], **given})


def declared(*names: str) -> list[dict[str, Any]]:
    return [{"name": name, "type": "string"} for name in names]


@pytest.mark.parametrize(
    "content",
    ["{", "}", "{}", '{"a": {"b": 1}}', "a { b } c", "}}", "{ {", "ends with {", "over\nlines {x}\n"],
)
def test_single_braces_are_text(content: str) -> None:
    assert spec(content).messages[0].content == content


@pytest.mark.parametrize(
    "content", ["{{a}}", "x{{a}}y", "{{a}}{{a}}", '{"q": "{{a}}"}', "{ {{a}} }", "{{a}}}"]
)
def test_a_declared_variable_may_stand_anywhere(content: str) -> None:
    assert spec(content, *declared("a")).messages[0].content == content


@pytest.mark.parametrize(
    "content", ["{{", "{{}}", "{{a }}", "{{{a}}}", "{{a}", "{{a}}{{", "{{#a}}", "{{a.b}}"]
)
def test_double_braces_are_nothing_else(content: str) -> None:
    with pytest.raises(ValidationError, match="wherever two braces open"):
        spec(f"{{{{a}}}} {content}", *declared("a"))


def test_a_default_at_its_bounds_is_within() -> None:
    for default in ("0", "10"):
        number = {"name": "a", "type": "number", "default": default, "minimum": 0, "maximum": 10}
        assert spec("{{a}}", number).variables is not None
