"""An experiment between two prompts: who answers which part, what was found, and what is recommended.

While nothing is on its way, the stable variant (the control) shares its conversations with another variant of
the same engines (the challenger). A look is due every minute from when every router had taken that; what it
keeps for the next one stands in status, so an operator that starts anew goes on where the last one was.
`asking` puts the spec's questions, `record` is what status holds, `waiting` says what stands in the way,
`looking` what a look comes to, and `saying` tells it to people. Nothing here changes what is stable.
"""

from __future__ import annotations

from pointsman.core.experiment.looking import Found, divided, kept, look, next_look, under_way
from pointsman.core.experiment.record import Record, document
from pointsman.core.experiment.saying import notes, verdict
from pointsman.core.experiment.waiting import rival, uncopied

__all__ = [
    "Found",
    "Record",
    "divided",
    "document",
    "kept",
    "look",
    "next_look",
    "notes",
    "rival",
    "uncopied",
    "under_way",
    "verdict",
]
