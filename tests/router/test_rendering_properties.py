"""Whatever bodies and values there are: what an engine reads is the prompt, and everything else unchanged."""

import json
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from pointsman_router.answering import modelname
from pointsman_router.errors import RefusedError
from pointsman_router.prompts import Fixed, Prompt, PromptMessage, PromptVariable, segments
from pointsman_router.rendering.renderer import VARIABLES, Renderer
from pointsman_router.settings import Limits

TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
NAMES = st.sampled_from(["messages", VARIABLES, "model", "temperature", "stop", "a", '"', "messages\\", "é"])
VALUES: st.SearchStrategy[Any] = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(-(2**53), 2**53), TEXTS, NAMES),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3), st.dictionaries(st.one_of(TEXTS, NAMES), inner, max_size=3)
    ),
    max_leaves=8,
)
PROMPT = Prompt(
    "p",
    (PromptMessage("system", 'A "{{x}}"\n{{y}}'), PromptMessage("user", "{{x}}{{x}}")),
    (PromptVariable("x"), PromptVariable("y", required=False, default='{{x}} "\\')),
    (Fixed("temperature", "0.5"), Fixed("stop", '["a"]')),
)


@st.composite
def bodies(draw: st.DrawFn) -> tuple[dict[str, Any], bytes]:
    """A request as a client may write it: members in any order, with blanks and escapes where they may be."""
    document = draw(st.dictionaries(st.one_of(TEXTS, NAMES), VALUES, max_size=5))
    document["messages"] = draw(st.lists(VALUES, max_size=3))
    document[VARIABLES] = {"x": draw(TEXTS)} | draw(st.fixed_dictionaries({}, optional={"y": TEXTS}))
    document["model"] = "chat"
    order = draw(st.permutations(list(document)))
    separators = draw(st.sampled_from([(",", ":"), (", ", ": "), (" ,\n\t", " :\r\n ")]))
    text = json.dumps(
        {name: document[name] for name in order}, ensure_ascii=draw(st.booleans()), separators=separators
    )
    blank = draw(st.sampled_from(["", " ", "\n"]))
    return document, f"{blank}{{{blank}{text[1:-1]}{blank}}}{blank}".encode()


@settings(max_examples=400)
@given(made=bodies())
def test_an_engine_reads_the_prompt_and_all_else_as_it_was(made: tuple[dict[str, Any], bytes]) -> None:
    document, body = made
    values = document[VARIABLES]
    x, y = values["x"], values.get("y", '{{x}} "\\')
    rendered = Renderer(PROMPT).render(modelname.read_json(body, Limits()))
    expected = {
        name: value for name, value in document.items() if name not in (VARIABLES, "temperature", "stop")
    }
    messages = [
        {"role": "system", "content": f'A "{x}"\n{y}'},
        {"role": "user", "content": x + x},
        *document["messages"],
    ]
    assert json.loads(rendered) == expected | {"messages": messages, "temperature": 0.5, "stop": ["a"]}
    assert len(json.loads(rendered, object_pairs_hook=list)) == len(expected) + 2, "nothing is there twice"


@settings(max_examples=200)
@given(made=bodies(), name=st.sampled_from(["messages", VARIABLES, "temperature"]), value=VALUES)
def test_of_two_members_of_one_name_that_one_counts_which_was_judged(
    made: tuple[dict[str, Any], bytes], name: str, value: Any
) -> None:
    _, body = made
    twice = body.rstrip().removesuffix(b"}") + f",{json.dumps(name)}:{json.dumps(value)}}}".encode()
    try:
        rendered = Renderer(PROMPT).render(modelname.read_json(twice, Limits()))
    except RefusedError:
        return
    pairs = json.loads(rendered, object_pairs_hook=list)
    assert len({name for name, _ in pairs}) == len(pairs)
    assert json.loads(rendered)["messages"][0]["content"].startswith('A "')


@given(content=st.text(st.sampled_from("{}ab_ 1"), max_size=20))
def test_segments_put_together_are_the_content(content: str) -> None:
    try:
        parts = list(segments(content))
    except ValueError:
        assert "{{" in content
        return
    texts, names = parts[::2], parts[1::2]
    assert len(texts) == len(names) + 1
    whole = "".join(
        text + name for text, name in zip(texts, [*("{{" + n + "}}" for n in names), ""], strict=True)
    )
    assert whole == content
    assert not any("{{" in text for text in texts)
