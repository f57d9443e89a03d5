"""A model's proof: what it must know before its answers reach anybody.

Prompts with known answers, asked inside each engine pod before it is ready. Nothing here knows who asks, or
what an engine's answer looks like.
"""

from __future__ import annotations

import re
from typing import Annotated, Any, ClassVar

from pydantic import Field

from pointsman.api.common import Base, Int
from pointsman.api.schema import Matches, Rule

_PUNCTUATION = r"[ !-/:-@\[-`{-~]"
_CLASS = rf"\[\^?\]?([^\\\[\]]|\\[dDwWsSntr]|\\{_PUNCTUATION})*\]"
_ATOM = rf"([^\\()\[\]{{}}*+?|^$]|\\[dDwWsSntr]|\\{_PUNCTUATION}|{_CLASS}|\))"
_TIMES = r"([*+?]|\{[0-9]{1,3}(,[0-9]{0,3})?\})\??"
EXPRESSION = rf"(\(\?i\))?({_ATOM}({_TIMES})?|\((\?:)?|[|^$]|\\[bB])*"
"""What RE2, which checks it, and Python's `re`, which runs it, both know and mean alike."""


EXPRESSION_MESSAGE = (
    "must be a regular expression of literals, classes, groups, alternatives and single "
    "quantifiers; escapes are those of punctuation and of d, D, w, W, s, S, b, B, n, t, r"
)


def _compiles(holder: Any) -> bool:
    try:
        re.compile(holder.regex or "")
    except re.error:
        return False
    return True


COMPILES = Rule(
    # An expression that can't be read is an error of the rule itself, and so refused.
    cel="!has(self.regex) || ''.matches(self.regex) in [true, false]",
    holds=_compiles,
    message="regex must be a regular expression",
    field="regex",
)
"""For whatever holds a field `regex`."""


class Answer(Base):
    """What a right answer is."""

    rules: ClassVar[tuple[Rule, ...]] = (
        Rule(
            cel="(has(self.exact) ? 1 : 0) + (has(self.contains) ? 1 : 0) + (has(self.regex) ? 1 : 0) == 1",
            holds=lambda answer: (
                sum(it is not None for it in (answer.exact, answer.contains, answer.regex)) == 1
            ),
            message="give exactly one of exact, contains and regex",
        ),
        COMPILES,
    )

    exact: Annotated[str, Field(min_length=1, max_length=1024)] | None = None
    """The whole answer; white space around it doesn't count."""
    contains: Annotated[str, Field(min_length=1, max_length=1024)] | None = None
    """A piece of the answer, upper and lower case told apart."""
    regex: (
        Annotated[
            str,
            Field(min_length=1, max_length=256),
            Matches(EXPRESSION, EXPRESSION_MESSAGE),
        ]
        | None
    ) = None
    """Regular expression that a piece of the answer matches; classes are ASCII's. Begin with (?i) to take
    upper and lower case alike."""


class Proof(Base):
    """One question with a known answer."""

    rules: ClassVar[tuple[Rule, ...]] = (
        Rule(
            cel="has(self.message) != has(self.prompt)",
            holds=lambda proof: (proof.message is None) != (proof.prompt is None),
            message="give exactly one of message (a chat) and prompt (a completion)",
        ),
    )

    name: Annotated[
        str,
        Field(min_length=1, max_length=63),
        Matches(
            r"[a-z0-9]([-a-z0-9]*[a-z0-9])?",
            "must be lower-case letters, digits and '-', alphanumeric at both ends",
        ),
    ]
    """Name that conditions call it by."""
    message: Annotated[str, Field(min_length=1, max_length=2048)] | None = None
    """What a user says in a chat, to be answered by the assistant. For models with a chat template."""
    prompt: Annotated[str, Field(min_length=1, max_length=2048)] | None = None
    """A text to be completed as it stands, without a chat template."""
    answer: Answer
    """What a right answer is."""
    max_tokens: Annotated[Int, Field(ge=1, le=1024)] | None = None
    """How long the answer may get, in tokens; a model that reasons before it answers needs room for both.
    Unset: 64."""
