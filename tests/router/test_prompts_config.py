"""Prompts in the configuration's contract: what is refused, and what is compared."""

from typing import Any

import pytest

from pointsman_router.config import ConfigError, config_hash, parse, service_hash
from tests.router.test_prompts import PLAIN, by, prompted


def test_a_prompts_digest_stands_for_what_it_says() -> None:
    """So that who reads configurations without the texts compares them all the same."""

    def hashes(**change: Any) -> tuple[str, str]:
        document = prompted(by("v1", "10.0.0.1:80", prompt=PLAIN["name"]), prompts=[{**PLAIN, **change}])
        config = parse(document)
        return service_hash(config.services[0]), config_hash(config)

    other = {"messages": [{"role": "system", "content": "Be long."}]}
    assert hashes() != hashes(**other), "without a digest the text itself counts"
    assert hashes(digest="a") == hashes(digest="a", **other)
    assert hashes(digest="a")[0] != hashes(digest="b")[0]


WRONG: dict[str, tuple[dict[str, Any], str]] = {
    "no message": ({"messages": []}, "prompts[0].messages: a prompt has at least one"),
    "an unknown role": (
        {"messages": [{"role": "tool", "content": "x"}]},
        "prompts[0].messages[0].role: 'tool' is not known",
    ),
    "an undeclared variable": (
        {"messages": [{"role": "user", "content": "{{x}}"}]},
        "prompts[0].messages[0].content: 'x' is no variable of the prompt",
    ),
    "stray braces": (
        {"messages": [{"role": "user", "content": "{{ x }}"}]},
        "prompts[0].messages[0].content: two opening braces that",
    ),
    "half a character": (
        {"messages": [{"role": "user", "content": "\ud800"}]},
        "prompts[0]: a text isn't Unicode",
    ),
    "a variable twice": ({"variables": [{"name": "a"}, {"name": "a"}]}, "prompts[0].variables[1].name: 'a'"),
    "a length out of bounds": (
        {"variables": [{"name": "a", "maxLength": 0}]},
        "variables[0].maxLength: 0 is",
    ),
    "a parameter nobody knows": (
        {"parameters": [{"name": "tools", "value": "[]"}]},
        "prompts[0].parameters[0].name: 'tools' is not known",
    ),
    "a parameter that isn't JSON": (
        {"parameters": [{"name": "seed", "value": "one"}]},
        "prompts[0].parameters[0].value: not JSON",
    ),
}


@pytest.mark.parametrize(("change", "says"), WRONG.values(), ids=WRONG)
def test_a_configuration_with_a_broken_prompt_is_refused(change: dict[str, Any], says: str) -> None:
    document = prompted(by("v1", "10.0.0.1:80", prompt=PLAIN["name"]), prompts=[{**PLAIN, **change}])
    with pytest.raises(ConfigError) as refused:
        parse(document)
    assert f"services[0].{says}" in str(refused.value) or says in str(refused.value)


def test_a_variant_names_a_prompt_there_is() -> None:
    with pytest.raises(ConfigError, match=r"services\[0\].variants\[0\].prompt: there is no prompt 'lost'"):
        parse(prompted(by("v1", "10.0.0.1:80", prompt="lost"), prompts=[PLAIN]))
    with pytest.raises(
        ConfigError, match=r"services\[0\].prompts\[1\].name: 'plain.22222222' is there twice"
    ):
        parse(prompted(by("v1", "10.0.0.1:80", prompt="plain.22222222"), prompts=[PLAIN, PLAIN]))
