"""Several router processes on one port: who starts them, passes signals on, and ends with them.

The kernel spreads connections over them (SO_REUSEPORT). None is started anew in silence: when one ends that
wasn't asked to, the others drain and the whole ends with a failure, for whoever looks after it to see.
"""

from __future__ import annotations

import logging
import os
import signal
import sys
from collections.abc import Callable
from typing import NoReturn

from pointsman_router.running.process import SIGNALS

_STOP = (signal.SIGTERM, signal.SIGINT)

logger = logging.getLogger("pointsman_router")


def run(count: int, work: Callable[[int, int], int]) -> int:
    """Runs `work(index, lifeline)` in as many processes, and gives the exit status of the whole.

    The lifeline is a descriptor that becomes readable when this process ends, however it does. Signals are
    blocked when this is called, and when `work` is: none may come before somebody can pass it on or heed it.
    """
    lifeline, own_end = os.pipe()
    children = {}
    for index in range(count):
        pid = os.fork()
        if not pid:
            os.close(own_end)
            _child(index, lifeline, work)
        children[pid] = index
    os.close(lifeline)
    parent = _Parent(children)
    for number in SIGNALS:
        signal.signal(number, parent.pass_on)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, SIGNALS)
    return parent.wait()


def _child(index: int, lifeline: int, work: Callable[[int, int], int]) -> NoReturn:
    status = 1
    try:
        # A terminal's Ctrl-C goes to the parent, which passes it on: not twice.
        os.setpgid(0, 0)
        status = work(index, lifeline)
    except Exception:
        logger.exception("process %d failed", index)
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)


class _Parent:
    """Waits for the processes it has started."""

    def __init__(self, children: dict[int, int]) -> None:
        self._children = children
        self._stopping = False

    def pass_on(self, number: int, _: object) -> None:
        """A signal came."""
        if number in _STOP:
            self._stopping = True
        self._tell(number)

    def wait(self) -> int:
        """Returns when all have ended."""
        status = 0
        while self._children:
            pid, ended = os.wait()
            index = self._children.pop(pid, None)
            if index is None:
                continue
            code = os.waitstatus_to_exitcode(ended)
            if code:
                status = 1
            if not self._stopping:
                status = 1
                self._stopping = True
                logger.error("process %d ended by itself with status %d; the others stop", index, code)
                self._tell(signal.SIGTERM)
        return status

    def _tell(self, number: int) -> None:
        for pid in self._children:
            try:
                os.kill(pid, number)
            except ProcessLookupError:
                pass  # it has just ended; `wait` will see
