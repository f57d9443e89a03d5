"""A control plane for tests, and what a test run that was killed leaves to the next one."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from e2e.cluster import loopback, process
from e2e.cluster.instance import ClusterError, Instance


def program(folder: Path, name: str) -> None:
    (folder / name).write_text("#!/bin/sh\n")


def test_kubebuilder_assets_are_used_as_they_are(tmp_path: Path) -> None:
    for name in ("etcd", "kube-apiserver", "kubectl"):
        program(tmp_path, name)
    found = loopback.commands(Instance(tmp_path, tmp_path), {"KUBEBUILDER_ASSETS": str(tmp_path)})
    assert set(found) == {"etcd", "kube-apiserver", "kubectl"}
    program(tmp_path, "kube-controller-manager")
    found = loopback.commands(Instance(tmp_path, tmp_path), {"KUBEBUILDER_ASSETS": str(tmp_path)})
    assert found["kube-controller-manager"] == tmp_path / "kube-controller-manager"


def test_incomplete_assets_are_named(tmp_path: Path) -> None:
    program(tmp_path, "etcd")
    with pytest.raises(ClusterError, match="has no kube-apiserver, kubectl"):
        loopback.commands(Instance(tmp_path, tmp_path), {"KUBEBUILDER_ASSETS": str(tmp_path)})


def test_a_killed_runs_folder_and_processes_go_a_living_ones_stay(tmp_path: Path) -> None:
    with subprocess.Popen(["true"]) as ended:
        pass
    killed, living = tmp_path / f"{ended.pid}-1", tmp_path / f"{os.getpid()}-1"
    killed.mkdir()
    living.mkdir()
    left = process.start("left", ["sleep", "60"], mark=f"pm-sweep/{killed.name}", log=tmp_path / "log")
    try:
        loopback.sweep(tmp_path, "pm-sweep")
        assert left.popen.wait(timeout=10) == -9
    finally:
        left.stop()
    assert not killed.exists()
    assert living.is_dir()
