"""Whether the devices that the engine computes on are in the container."""

from __future__ import annotations

import re
from pathlib import Path

from pointsman_engine.log import say
from pointsman_engine.outcome import Reason, StartFailure


def check_devices(
    given: str,
    image_device: str,
    wanted: int,
    dev: Path = Path("/dev"),
    cpuinfo: Path = Path("/proc/cpuinfo"),
) -> None:
    """`given`: what the pod was given; `image_device`: what the engine is built for; `wanted`: how many.

    Raises StartFailure. An engine for CPUs in a pod with an accelerator works, and wastes the accelerator.
    """
    if image_device == "cpu":
        if given and given != "cpu":
            say(f"this engine computes on the CPU and leaves the pod's device ({given}) alone")
        _check_cpu(cpuinfo)
        return
    if given != "cuda":
        return
    found = nvidia_devices(dev)
    if not found:
        raise StartFailure(
            Reason.DEVICE_UNAVAILABLE,
            f"no NVIDIA device is in the container (no {dev}/nvidia0): the node's device plugin or container "
            "runtime didn't hand one in; check hardware.runtimeClassName and the node's driver",
        )
    if found < wanted:
        raise StartFailure(
            Reason.DEVICE_UNAVAILABLE,
            f"the engine is to compute on {wanted} devices (tensor × pipeline × data parallelism), but only "
            f"{found} are in the container: ask for {wanted} in hardware.accelerator.count",
        )


def nvidia_devices(dev: Path) -> int:
    """How many NVIDIA devices are visible; under WSL, which shows one of another name, at least one."""
    numbered = sum(1 for p in dev.glob("nvidia*") if re.fullmatch(r"nvidia\d+", p.name))
    return numbered or (1 if (dev / "dxg").exists() else 0)


def _check_cpu(cpuinfo: Path) -> None:
    try:
        text = cpuinfo.read_text()
    except OSError:
        return
    flags = re.search(r"^flags\s*:(.*)$", text, re.MULTILINE)
    if flags and "avx2" not in flags.group(1).split():
        raise StartFailure(
            Reason.DEVICE_UNAVAILABLE,
            "this CPU has no AVX2, which vLLM's CPU build needs: choose nodes by hardware.nodeSelector",
        )
