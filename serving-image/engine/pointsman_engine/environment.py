"""The engine's environment and the defaults that depend on the machine: homes, threads, memory.

Pure but for reading the machine (control groups, CPU affinity, password file) in the functions named `read_`.
"""

from __future__ import annotations

import os
import pwd
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from pointsman_engine.arguments import Arguments

CGROUPS = Path("/sys/fs/cgroup")
GIB = 1024**3
_UNLIMITED = 1 << 60
_NOT_FOR_THE_ENGINE = ("HF_TOKEN", "HF_TOKEN_PATH", "HUGGING_FACE_HUB_TOKEN")


@dataclass(frozen=True, slots=True)
class Machine:
    """What this container may use."""

    cpus: int
    """CPUs to compute on: the container's limit, or where there is none half of what there is."""
    memory_bytes: int | None
    """The container's memory limit; None where there is none."""
    user_known: bool
    """Whether our user id stands in the password file."""


def read_machine(cgroups: Path = CGROUPS) -> Machine:
    """Looks at this container."""
    quota = _cpu_quota(cgroups)
    # Two logical CPUs mostly share a core, and without a limit there are neighbours too.
    visible = len(os.sched_getaffinity(0))
    memory = _number(cgroups / "memory.max") or _number(cgroups / "memory/memory.limit_in_bytes")
    try:
        known = bool(pwd.getpwuid(os.getuid()))
    except KeyError:
        known = False
    return Machine(
        cpus=max(1, min(visible, quota) if quota else visible // 2),
        memory_bytes=memory if memory and memory < _UNLIMITED else None,
        user_known=known,
    )


def read_oom_kills(cgroups: Path = CGROUPS) -> int:
    """How many processes of this container the kernel killed for memory so far."""
    for path in (cgroups / "memory.events", cgroups / "memory/memory.oom_control"):
        try:
            lines = path.read_text().splitlines()
        except OSError:
            continue
        return next((int(line.split()[1]) for line in lines if line.startswith("oom_kill ")), 0)
    return 0


def engine_environment(
    inherited: Mapping[str, str], arguments: Arguments, machine: Machine, image_device: str
) -> dict[str, str]:
    """The engine's environment: offline, without the hub's token, with a home and, on a CPU, with threads."""
    values = {name: value for name, value in inherited.items() if name not in _NOT_FOR_THE_ENGINE}
    defaults = {
        "HOME": "/tmp",
        "HF_HUB_OFFLINE": "1",
        "TRANSFORMERS_OFFLINE": "1",
        "VLLM_NO_USAGE_STATS": "1",
        "DO_NOT_TRACK": "1",
        "PYTHONUNBUFFERED": "1",
    }
    if not machine.user_known:
        # torch asks who we are; without an entry in the password file only these can tell.
        defaults |= {"USER": "vllm", "LOGNAME": "vllm"}
    if image_device == "cpu":
        # nobind: "auto" pins every engine of a node to the same cores. Passive: threads that wait by
        # spinning halve the throughput of a node that is shared.
        defaults |= {
            "OMP_NUM_THREADS": str(machine.cpus),
            "OMP_WAIT_POLICY": "PASSIVE",
            "VLLM_CPU_OMP_THREADS_BIND": "nobind",
        }
    values = defaults | values
    # Whole GiB only, stronger than the argument, and an empty value crashes the engine.
    if not values.get("VLLM_CPU_KVCACHE_SPACE") or arguments.value("kv-cache-memory-bytes") is not None:
        values.pop("VLLM_CPU_KVCACHE_SPACE", None)
    return values


def seed_cache(seed: Path, values: Mapping[str, str]) -> int:
    """Copies what the image knows already into the engine's cache; returns how many files were new.

    The cache lies on a volume of the pod, since the engine writes to it, and is empty at first. What can't be
    copied the engine finds out itself.
    """
    base = values.get("XDG_CACHE_HOME") or os.path.join(values.get("HOME", "/tmp"), ".cache")
    cache = Path(values.get("VLLM_CACHE_ROOT") or os.path.join(base, "vllm"))
    copied = 0
    for source in sorted(seed.rglob("*")):
        target = cache / source.relative_to(seed)
        try:
            if source.is_file() and not target.exists():
                target.parent.mkdir(parents=True, exist_ok=True)
                target.write_bytes(source.read_bytes())
                copied += 1
        except OSError:
            continue
    return copied


def cache_bytes(machine: Machine, weights_bytes: int) -> int:
    """A KV cache for a CPU engine that was told nothing: half of what weights and the runtime leave."""
    if machine.memory_bytes is None:
        return GIB
    left = machine.memory_bytes - weights_bytes - 2 * GIB
    return min(max(left // 2, GIB // 4), 4 * GIB)


def _cpu_quota(cgroups: Path) -> int:
    """CPUs that the quota allows, rounded up; 0 where there is no quota."""
    try:
        quota, period = (cgroups / "cpu.max").read_text().split()
    except (OSError, ValueError):
        quota = str(_number(cgroups / "cpu/cpu.cfs_quota_us") or "max")
        period = str(_number(cgroups / "cpu/cpu.cfs_period_us") or 100000)
    if quota == "max" or int(quota) <= 0:
        return 0
    return -(-int(quota) // int(period))


def _number(path: Path) -> int | None:
    try:
        return int(path.read_text())
    except (OSError, ValueError):
        return None
