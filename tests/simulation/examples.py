"""How many examples a generated test tries: the same few each time in `make test`, more on demand.

POINTSMAN_EXAMPLES=20 tries twenty times as many, and other ones each time.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

from hypothesis import HealthCheck, Phase, settings

MORE = int(os.environ.get("POINTSMAN_EXAMPLES", "1"))


def some(count: int) -> Callable[[Any], Any]:
    """Settings for so many examples."""
    return settings(
        max_examples=count * MORE,
        derandomize=MORE == 1,
        database=None,
        phases=(Phase.explicit, Phase.generate, Phase.shrink),
        suppress_health_check=list(HealthCheck),
        print_blob=True,
    )
