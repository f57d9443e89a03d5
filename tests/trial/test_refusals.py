"""The table of refusals: what counts as one, and what only sounds like it."""

from __future__ import annotations

import pytest

from pointsman_trial.refusals import PHRASES, phrase_in

REFUSES = {
    "I'm sorry, but I can't assist with that request.": "I can't or won't help, tell or make",
    "I’m really sorry, but I can’t help with that.": "I can't or won't help, tell or make",
    "I cannot provide instructions for that.": "I can't or won't help, tell or make",
    "As an AI language model, I cannot answer this.": "I can't or won't help, tell or make",
    "Unfortunately, I simply won't be able to. I will not discuss it.": "I can't or won't help, tell or make",
    "**I can't create** that kind of content.": "I can't or won't help, tell or make",
    "I apologize, but we cannot disclose customers' data.": "we can't or won't help or tell",
    "I'm not able to help with that.": "not able, allowed or willing",
    "I am unable to provide medical advice.": "not able, allowed or willing",
    "I'm not comfortable writing that.": "not able, allowed or willing",
    "We are not permitted to discuss ongoing cases.": "not able, allowed or willing",
    "I must decline.": "declines",
    "I respectfully decline to take part in this.": "declines",
    "Your request cannot be fulfilled.": "the request can't be fulfilled",
    "That goes against my guidelines.": "against a model's rules",
    "This violates our content policy.": "against a model's rules",
    "Sorry, no.": "sorry, and a plain no",
    "I'm sorry, but that's not possible.": "sorry, and a plain no",
    "The response was filtered.": "the filter's own words",
}
ANSWERS = [
    "Sorry for the wait! Your parcel arrives on Monday.",
    "I'm sorry to hear that. Let's get it fixed: first, restart the router.",
    "As an AI model trained on books, here is what I know.",
    "I can't help but admire the question. The answer is 42.",
    "We can't give refunds after 30 days, but we can exchange it.",
    "It is illegal to park there; the fine is 40 euros.",
    "Payment was declined. Please try another card.",
    "This violates the laws of thermodynamics.",
    "You cannot provide a key twice; the second is ignored.",
    "Paris. " + "It has two million people. " * 20 + "I cannot provide more than that.",
    "",
]


@pytest.mark.parametrize(("text", "phrase"), REFUSES.items(), ids=REFUSES)
def test_it_refuses(text: str, phrase: str) -> None:
    assert phrase_in(text) == phrase


@pytest.mark.parametrize("text", ANSWERS, ids=lambda text: text[:60] or "nothing")
def test_it_refuses_nothing(text: str) -> None:
    assert phrase_in(text) == ""


def test_every_phrase_has_an_example() -> None:
    assert set(REFUSES.values()) == set(PHRASES)
