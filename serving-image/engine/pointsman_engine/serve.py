"""`pointsman-engine serve`: from the first second to the exit status.

Order: status port, engine process (which imports vLLM and checks its arguments meanwhile), device, weights
(fetched where the source is remote), tokenizer, go, loading, one first token, the proof, Ready; then
watching, draining and ending. Everything runs on one event loop; what may block runs in threads.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import time
import traceback
from collections.abc import Sequence
from dataclasses import replace

from pointsman_engine import arguments, causes, devices, download, environment, weights
from pointsman_engine.arguments import Arguments
from pointsman_engine.child import Child, reap_orphans
from pointsman_engine.drain import Drained, drain, serve_control
from pointsman_engine.health import Engine
from pointsman_engine.log import say
from pointsman_engine.outcome import Reason, StartFailure, write_termination
from pointsman_engine.progress import CompileTime, LoadProgress
from pointsman_engine.proof import prove
from pointsman_engine.settings import Settings
from pointsman_engine.state import Phase, State
from pointsman_engine.status import serve_status

POLL_LOADING_S = 0.25
FIRST_TOKEN_TRIES = 3


class Serving:
    """One run of the entrypoint."""

    def __init__(self, settings: Settings, given: Sequence[str]) -> None:
        self.settings = settings
        self.state = State(since=time.time(), begun=time.monotonic())
        self.machine = environment.read_machine()
        self.arguments = self._complete(given)
        self.engine = Engine.of(self.arguments)
        self.stop = asyncio.Event()
        self.progress = LoadProgress(())
        self.compiling = CompileTime()
        self.child: Child | None = None
        self._drain: asyncio.Task[Drained] | None = None
        self._drained_in: Phase | None = None
        self._own: set[int] = set()
        self._oom_kills = environment.read_oom_kills()

    def _complete(self, given: Sequence[str]) -> Arguments:
        """The given arguments, then the image's, then those that depend on this machine."""
        s = self.settings
        done = arguments.complete(given, str(s.model_dir), (*s.default_args, arguments.QUIET_PATHS))
        told = {"kv-cache-memory-bytes", "gpu-memory-utilization", "num-gpu-blocks-override"}
        sized = told & {arguments.subject(option) for option in done.options}
        if s.image_device != "cpu" or sized or os.environ.get("VLLM_CPU_KVCACHE_SPACE"):
            return done
        known = sum(p.stat().st_size for p in s.model_dir.glob("*.safetensors")) if not s.remote else 0
        size = environment.cache_bytes(self.machine, known)
        return replace(done, options=(*done.options, f"--kv-cache-memory-bytes={size}"))

    async def run(self) -> int:
        """The exit status: 0 after an orderly end, 1 after a failed start or a lost engine."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self.stop.set)
        loop.add_signal_handler(signal.SIGCHLD, self._reap)
        servers: list[asyncio.Server] = []
        try:
            servers.append(await serve_status(self.state, self.settings.status_port))
            servers.append(await serve_control(self.settings.control_socket, self.drained))
            return await self._run()
        except StartFailure as failure:
            return await self._failed(failure)
        except Exception as error:
            # Whatever it is, the container must end with a message that says so.
            traceback.print_exc()
            message = f"the entrypoint itself failed: {type(error).__name__}: {error}"
            return await self._failed(StartFailure(Reason.ENGINE_FAILED, message))
        finally:
            if self.child:
                await self.child.end(0)
            for server in servers:
                server.close()
            for number in (signal.SIGTERM, signal.SIGINT, signal.SIGCHLD):
                loop.remove_signal_handler(number)  # a late signal finds no closed loop
            self.settings.control_socket.unlink(missing_ok=True)

    async def _run(self) -> int:
        self.child = self._start()
        self._own.add(self.child.pid)
        flow = asyncio.create_task(self._start_and_watch(self.child))
        stopped = asyncio.create_task(self.stop.wait())
        ended = asyncio.create_task(self.child.wait())
        await asyncio.wait({flow, stopped, ended}, return_when=asyncio.FIRST_COMPLETED)
        try:
            if flow.done():
                flow.result()
            if not stopped.done():
                raise await self._lost(flow, self.child)
            return await self._end(self.child)
        finally:
            for task in (flow, stopped, ended):
                task.cancel()

    def _start(self) -> Child:
        values = environment.engine_environment(
            os.environ, self.arguments, self.machine, self.settings.image_device
        )
        if self.settings.cache_seed:
            environment.seed_cache(self.settings.cache_seed, values)
        launcher = self.settings.launcher or (sys.executable, "-m", "pointsman_engine.launch")
        return Child.start(launcher, self.arguments.command_line, values, self._on_line)

    async def _start_and_watch(self, child: Child) -> None:
        """Through all phases up to Ready, and then on for ever."""
        await self._preflight(child)
        begun = self._enter(Phase.LOADING)
        child.go()
        await self.engine.until_healthy(POLL_LOADING_S)
        self._note_load(time.monotonic() - begun)
        await self._first_token()
        self.state.bytes_loaded = self.state.bytes_total
        await self._prove()
        self.state.timings["total"] = time.monotonic() - self.state.begun
        self.state.answered = self._enter(Phase.READY)
        while True:
            await self._watch_once()
            await asyncio.sleep(self.settings.watch_s)

    def _note_load(self, seconds: float) -> None:
        """Compiling is a part of loading that has a figure of its own, where the engine tells it."""
        compiled = min(self.compiling.seconds, seconds)
        self.state.timings["load"] = seconds - compiled
        if compiled:
            self.state.timings["compile"] = compiled

    async def _preflight(self, child: Child) -> None:
        """Checks arguments and weights side by side: what is wrong with either ends the start at once."""
        begun = time.monotonic()
        device, image_device = self.settings.device, self.settings.image_device
        devices.check_devices(device, image_device, 1)
        reporting = asyncio.create_task(child.report())
        checking = asyncio.create_task(self._provide())
        try:
            done, _ = await asyncio.wait({reporting, checking}, return_when=asyncio.FIRST_EXCEPTION)
            for task in done:
                task.result()
        finally:
            reporting.cancel()
            checking.cancel()
        devices.check_devices(device, image_device, reporting.result().devices)
        fetched = self.state.timings.get("download", 0.0)
        self.state.timings["preflight"] = time.monotonic() - begun - fetched

    async def _provide(self) -> None:
        """Weights and tokenizer, fetched where they have to be, and looked at."""
        if self.settings.remote:
            await self._fetch()
        directory, given = self.settings.model_dir, self.arguments
        dummy = given.value("load-format") == "dummy"
        files = await asyncio.to_thread(weights.check_weights, directory, dummy=dummy)
        if given.value("tokenizer") is None and given.value("skip-tokenizer-init") is None:
            await asyncio.to_thread(weights.check_tokenizer, directory)
        self.progress = LoadProgress([size for _, size in files])
        self.state.bytes_loaded, self.state.bytes_total = 0, self.progress.total

    async def _fetch(self) -> None:
        """Brings remote weights into the weights volume."""
        begun = self._enter(Phase.DOWNLOADING)

        def progress(done: int, total: int) -> None:
            self.state.bytes_loaded, self.state.bytes_total = done, total

        await download.fetch(self.settings, progress, self._own.add)
        self.state.timings["download"] = time.monotonic() - begun
        self._enter(Phase.PREFLIGHT)

    async def _first_token(self) -> None:
        """An engine that says it's healthy has yet to make a token."""
        for _ in range(FIRST_TOKEN_TRIES):
            code, seconds = await self.engine.first_token()
            if code == 200:
                self.state.timings["firstToken"] = seconds
                return
            if 400 <= code < 500:
                return  # it completes no text: an embedding model, a reranker, a transcriber
            await asyncio.sleep(1)
        raise StartFailure(
            Reason.ENGINE_FAILED, f"the engine says it's healthy, but answers its first request by {code}"
        )

    async def _prove(self) -> None:
        """What the model must know, asked before anybody else may ask."""
        if not self.settings.questions:
            return
        begun = self._enter(Phase.PROVING)
        await prove(self.engine, self.settings.questions)
        self.state.timings["proof"] = time.monotonic() - begun

    async def _watch_once(self) -> None:
        if await self.engine.healthy():
            self.state.answered = time.monotonic()
        count = await self.engine.in_flight()
        if count is not None:
            self.state.in_flight = count

    async def drained(self) -> Drained | None:
        """Drains once, however often it's asked for; None where the engine never served."""
        if not self.state.started or self.child is None:
            return None
        if self._drain is None:
            self._drained_in = self.state.phase
            self._enter(Phase.DRAINING)
            self._drain = asyncio.create_task(
                drain(self._count, lambda: bool(self.child and self.child.running), *self._patience())
            )
        return await asyncio.shield(self._drain)

    def _patience(self) -> tuple[float, float]:
        return self.settings.settle_s, self.settings.drain_s

    async def _count(self) -> int | None:
        count = await self.engine.in_flight()
        if count is not None:
            self.state.in_flight = count
        return count

    async def _end(self, child: Child) -> int:
        """An orderly end: drain, then let the engine go. What is still in flight it ends as aborted.

        The kubelet ends containers so whose probes fail. Which phase it was then is left for the operator.
        """
        during = self._drained_in or self.state.phase
        left = {"stopped": str(during), "started": self.state.started}
        write_termination(self.settings.termination_log, left)
        result = await self.drained()
        if result is not None:
            cut = "an unknown number" if result.cut is None else str(result.cut)
            say(f"drained for {result.seconds:.1f} s; requests cut: {cut}")
        begun = time.monotonic()
        await child.end(self.settings.end_patience_s)
        say(f"the engine ended after {time.monotonic() - begun:.1f} s")
        return 0

    async def _lost(self, flow: asyncio.Task[None], child: Child) -> StartFailure:
        """What to say of an engine that ended by itself."""
        code = await child.wait()
        # The flow may know better: a report that says what is wrong comes right before the end. Once the
        # engine itself has begun, its own last words do.
        begun = self.state.phase in (Phase.LOADING, Phase.PROVING)
        if not flow.done() and not begun and not self.state.started:
            await asyncio.wait({flow}, timeout=2)
        if flow.done() and flow.exception() is not None:
            failure = flow.exception()
            if isinstance(failure, StartFailure) and failure.message:
                return failure
        oom = environment.read_oom_kills() > self._oom_kills
        return causes.explain(await asyncio.to_thread(child.lines), code, out_of_memory=oom)

    async def _failed(self, failure: StartFailure) -> int:
        child = self.child
        if child and not failure.message:
            failure = causes.explain(child.lines(), await child.wait(), out_of_memory=False)
        self._enter(Phase.FAILED)
        self.state.reason, self.state.message = str(failure.reason), failure.message
        say(f"{failure.reason}: {failure.message}")
        write_termination(
            self.settings.termination_log, {"reason": str(failure.reason), "message": failure.message}
        )
        return 1

    def _enter(self, phase: Phase) -> float:
        """Enters a phase and says so; returns the monotonic time."""
        self.state.enter(phase, time.time())
        figures = ", ".join(f"{name} {seconds:.1f} s" for name, seconds in self.state.timings.items())
        say(f"phase {phase}" + (f" ({figures})" if phase is Phase.READY else ""))
        return time.monotonic()

    def _on_line(self, line: str) -> None:
        if self.state.phase is Phase.LOADING:
            self.state.bytes_loaded = self.progress.read(line)
            self.compiling.read(line)

    def _reap(self) -> None:
        if os.getpid() == 1:
            reap_orphans(self._own)


def run(settings: Settings, given: Sequence[str]) -> int:
    """Runs the entrypoint to its end; returns the exit status."""

    async def main() -> int:
        return await Serving(settings, given).run()

    return asyncio.run(main())
