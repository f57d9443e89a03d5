"""Specs generated from the CRDs: the server's rules and their twins agree on them too."""

from __future__ import annotations

import pytest
from hypothesis import given

from pointsman.api.kinds import KINDS, KindRow
from tests.contract.manifests import manifest
from tests.contract.server import Server
from tests.simulation import specs
from tests.simulation.examples import some


@pytest.mark.apiserver
@pytest.mark.timeout(300)
@pytest.mark.parametrize("row", KINDS, ids=lambda row: row.resource.kind)
def test_the_server_stores_what_is_generated_as_acceptable(server: Server, row: KindRow) -> None:
    @some(60)
    @given(spec=specs.accepted(row.resource.kind))
    def stored(spec: specs.Json) -> None:
        answer = server.create(row.resource, manifest(row.resource, spec), dry=True)
        assert answer.accepted, answer.message

    stored()


@pytest.mark.apiserver
@pytest.mark.timeout(300)
@pytest.mark.parametrize("row", KINDS, ids=lambda row: row.resource.kind)
def test_the_server_refuses_what_a_twin_refuses(server: Server, row: KindRow) -> None:
    @some(30)
    @given(spec=specs.refused(row.resource.kind))
    def refused(spec: specs.Json) -> None:
        answer = server.create(row.resource, manifest(row.resource, spec), dry=True)
        assert not answer.accepted, specs.refusal(row.resource.kind, spec)

    refused()
