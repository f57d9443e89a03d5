"""What was found of a candidate in a step: looks at what routers counted, and what follows from them.

A look is due every `intervalSeconds` from when every router had acknowledged the step. What a look keeps for
the next one stands in status (`memory`), so a look is a function of the World like everything else, and an
operator that starts anew goes on where the last one was. `counts` adds routers up, `gates` puts the spec's
questions, `record` is what status holds, and `looking` says what it comes to.
"""

from __future__ import annotations

from pointsman.core.analysis.looking import Found, document, kept, look, next_look
from pointsman.core.analysis.record import Record

__all__ = ["Found", "Record", "document", "kept", "look", "next_look"]
