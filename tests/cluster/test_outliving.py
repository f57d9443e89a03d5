"""Components that go on when the program that started them ends."""

from __future__ import annotations

import gc
import os
import signal
import warnings
from pathlib import Path

from e2e.cluster import process


def test_a_component_that_outlives_its_starter_is_dropped_without_a_warning(tmp_path: Path) -> None:
    component = process.start("sleep", ["sleep", "60"], mark="test-outliving", log=tmp_path / "log")
    pid = component.popen.pid
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        del component
        gc.collect()
    os.kill(pid, signal.SIGKILL)
    assert [str(w.message) for w in caught] == []
