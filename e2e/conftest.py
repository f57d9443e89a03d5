"""What scenarios share: one cluster and one installation for the run, and a namespace for each of them.

Where these can't be had the scenarios fail: skipping them would read as green. Those marked `extended` belong
to `make e2e-all` (`--all`); those marked `bare` kill what isn't ours on a cluster that somebody named.
"""

from __future__ import annotations

import os
import re
from collections.abc import Generator, Iterator

import pytest

from e2e import diagnosis
from e2e.changing import Changing
from e2e.cluster import Cluster, Kubectl, Wish
from e2e.namespace import LABEL, Namespace
from e2e.preparing import IMAGES, Stages, prepare
from e2e.release import Release

SCENARIO_TIMEOUT_S = 900
SCRIPTED = "scripted-engine"
"""What scenarios with many requests run instead of vLLM."""
OWN_NAMESPACE = pytest.StashKey[Namespace]()


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--all", action="store_true", help="run the extended scenarios too")
    parser.addoption("--context", default=os.environ.get("CONTEXT", ""), help="the cluster of this context")
    parser.addoption("--registry", default=os.environ.get("REGISTRY", ""), help="where its images are")


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "extended: beyond the fixed handful; runs with --all")
    config.addinivalue_line("markers", "bare: takes away what only a cluster of our own may lose")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leaves out what wasn't asked for and what somebody's own cluster mustn't lose; gives each its time."""
    out = [
        item
        for item in items
        if (item.get_closest_marker("extended") and not config.getoption("--all"))
        or (item.get_closest_marker("bare") and config.getoption("--context"))
    ]
    if out:
        config.hook.pytest_deselected(items=out)
        items[:] = [item for item in items if item not in out]
    for item in items:
        # The scenario's own time: what brings the cluster up takes what it takes, and says so.
        item.add_marker(pytest.mark.timeout(SCENARIO_TIMEOUT_S, func_only=True), append=False)


@pytest.fixture(scope="session")
def release(pytestconfig: pytest.Config) -> Release:
    """Pointsman on a cluster, ready."""
    wish = Wish(context=pytestconfig.getoption("--context"))
    stages = Stages()
    capture = pytestconfig.pluginmanager.getplugin("capturemanager")
    assert capture is not None
    with capture.global_and_fixture_disabled():  # it may take long: people see how far it is
        prepared = prepare(stages, wish, pytestconfig.getoption("--registry"), (*IMAGES, SCRIPTED))
        print(f"\n{stages.table()}\n")
    _clear(prepared.cluster.kubectl)
    return prepared


@pytest.fixture(scope="session")
def cluster(release: Release) -> Cluster:
    """The cluster that Pointsman runs on."""
    return release.cluster


@pytest.fixture
def namespace(release: Release, request: pytest.FixtureRequest) -> Iterator[Namespace]:
    """A namespace for one scenario; it goes with all that is in it, and nobody waits for that."""
    name = re.sub(r"[^a-z0-9]+", "-", request.node.name.removeprefix("test_").lower())[:40].strip("-")
    namespace = Namespace(release.cluster.kubectl, f"e2e-{name}-{os.urandom(2).hex()}")
    request.node.stash[OWN_NAMESPACE] = namespace
    namespace.create({LABEL: "scenario"})
    yield namespace
    # Services first, while nothing hinders them from leaving in their own order.
    release.cluster.kubectl.try_run(
        "delete", "llmservices", "--all", f"--namespace={namespace.name}", "--wait=false"
    )
    namespace.remove(wait=False)


@pytest.fixture
def changing(release: Release, namespace: Namespace) -> Changing:
    """A service of scripted engines in that namespace, which isn't declared yet."""
    return Changing(release, namespace)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Adds to a failed scenario what was going on in its namespace."""
    report = yield
    namespace = item.stash.get(OWN_NAMESPACE, None)
    if report.failed and call.when == "call" and namespace is not None:
        report.sections.append(("the cluster", diagnosis.report(namespace.kubectl, namespace.name)))
    return report


def _clear(kubectl: Kubectl) -> None:
    """Deletes what runs that were killed left behind."""
    kubectl.run("delete", "namespaces", f"--selector={LABEL}", "--wait=true", timeout_s=300.0)
