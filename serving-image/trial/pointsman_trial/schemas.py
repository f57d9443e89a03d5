"""JSON schemas (draft 2020-12) of answers: the only module that knows the library.

References lead into the schema itself and nowhere else: a test that fetches from the network is no test.
"""

from __future__ import annotations

import json
from typing import Any

from jsonschema import Draft202012Validator
from jsonschema.exceptions import SchemaError, best_match
from referencing import Registry
from referencing.exceptions import Unresolvable

from pointsman_trial.bounded import shorten

_NOTHING_ELSE: Registry[Any] = Registry()


def fault(schema: str) -> str:
    """What is wrong with a schema itself; empty when nothing is."""
    try:
        Draft202012Validator.check_schema(json.loads(schema))
    except SchemaError as error:
        return shorten(f"no JSON schema: {error.json_path}: {error.message}", 300)
    except (ValueError, RecursionError) as error:
        return f"no JSON: {error}"
    return ""


def mismatch(schema: str, text: str) -> str:
    """Why `text` isn't JSON by the schema; empty when it is. A fence of Markdown is looked through."""
    try:
        value = json.loads(unfenced(text))
    except (ValueError, RecursionError) as error:
        return f"no JSON: {error}"
    try:
        validator = Draft202012Validator(json.loads(schema), registry=_NOTHING_ELSE)
        found = best_match(validator.iter_errors(value))
    except Unresolvable as error:
        return f"a schema whose reference leads nowhere: {error}"
    except RecursionError:
        return "a schema that never ends"
    return f"{found.json_path}: {found.message}" if found else ""


def unfenced(text: str) -> str:
    """`text` without the ``` lines that models like to put around JSON."""
    lines = text.strip().splitlines()
    if len(lines) >= 2 and lines[0].startswith("```") and lines[-1].strip() == "```":
        return "\n".join(lines[1:-1])
    return text
