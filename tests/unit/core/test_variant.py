"""A variant's name tells its engines, and gives the variant back."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pointsman.core.variant import Variant, revisions


@pytest.mark.parametrize(
    ("variant", "name"),
    [
        (Variant("chat-1a2b3c4d"), "chat-1a2b3c4d"),
        (Variant("chat-1a2b3c4d", "support-v7", "0badcafe"), "chat-1a2b3c4d.support-v7.0badcafe"),
        (Variant("chat-1a2b3c4d", "support.v7", "0badcafe"), "chat-1a2b3c4d.support.v7.0badcafe"),
    ],
    ids=["engines alone", "with a prompt", "a prompt whose name has a dot"],
)
def test_a_name_gives_its_variant_back(variant: Variant, name: str) -> None:
    assert variant.name == name
    assert Variant.parse(name) == variant


@given(st.text())
def test_whatever_a_name_is_the_engines_are_what_stands_before_the_first_dot(name: str) -> None:
    assert Variant.parse(name).revision == name.partition(".")[0]


def test_engines_of_several_variants_are_named_once() -> None:
    assert revisions((Variant("a"), None, Variant("a", "p", "1"), Variant("b"))) == ("a", "b")
