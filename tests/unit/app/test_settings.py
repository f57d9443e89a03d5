"""Settings from the environment: defaults, what's refused, and that each is explained."""

from __future__ import annotations

import dataclasses

import pytest

from pointsman.app import settings

REQUIRED = {"POINTSMAN_ROUTER_IMAGE": "router:1", "POINTSMAN_RESOLVE_IMAGE": "operator:1"}


def test_two_images_are_enough() -> None:
    read = settings.read(REQUIRED)
    assert (read.concurrency, read.resync_seconds, read.watch_namespaces) == (16, 600, ())
    assert read.for_decisions().router_image == "router:1"


def test_everything_that_is_wrong_is_told_at_once() -> None:
    with pytest.raises(settings.SettingsError) as caught:
        settings.read({"POINTSMAN_CONCURRENCY": "many", "POINTSMAN_ROUTER_IMAGE": "router:1"})
    assert str(caught.value).splitlines() == [
        "POINTSMAN_RESOLVE_IMAGE is required",
        "POINTSMAN_CONCURRENCY: 'many' is not a whole number from 1 to 256",
    ]


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("ENGINE_IMAGES", "{", "not JSON"),
        ("ENGINE_IMAGES", '["a"]', "not a JSON map of texts"),
        ("ENGINE_IMAGES", '{"cpu": 1}', "not a JSON map of texts"),
        ("LOG_LEVEL", "loud", "is not one of debug, info, warning, error"),
        ("IMAGE_PULL_POLICY", "Sometimes", "is not one of Always, IfNotPresent, Never"),
        ("STARTUP_SECONDS", "5", "from 60 to 86400"),
        ("RESYNC_SECONDS", "-1", "from 10 to 86400"),
        ("CAPACITY_DISCOVERY", "yes", "'yes' is neither true nor false"),
        ("HTTP_PORT", "70000", "from 1 to 65535"),
    ],
)
def test_a_wrong_value_is_refused(name: str, text: str, message: str) -> None:
    with pytest.raises(settings.SettingsError, match=message):
        settings.read({**REQUIRED, f"POINTSMAN_{name}": text})


def test_an_empty_variable_is_not_set() -> None:
    read = settings.read({**REQUIRED, "POINTSMAN_ENGINE_VERSION": "", "POINTSMAN_WATCH_NAMESPACES": ""})
    assert read == settings.read(REQUIRED)


def test_namespaces_are_a_list_with_commas() -> None:
    read = settings.read({**REQUIRED, "POINTSMAN_WATCH_NAMESPACES": " b, a,,b"})
    assert read.watch_namespaces == ("a", "b")


def test_every_setting_is_explained_and_reaches_something() -> None:
    text = settings.described()
    for spec in dataclasses.fields(settings.AppSettings):
        assert f"POINTSMAN_{spec.name.upper()}" in text
    lines = text.splitlines()
    assert len(lines) == 2 * len(dataclasses.fields(settings.AppSettings))
    assert all(line.startswith("    ") and len(line) > 20 for line in lines[1::2])


def test_whatever_decisions_need_comes_from_a_setting() -> None:
    environ = {
        **REQUIRED,
        "POINTSMAN_ENGINE_IMAGES": '{"cpu": "x:{version}"}',
        "POINTSMAN_ENGINE_VERSION": "9",
        "POINTSMAN_IMAGE_PULL_POLICY": "Never",
        "POINTSMAN_IMAGE_PULL_SECRETS": "ours",
        "POINTSMAN_HF_ENDPOINT": "http://hub",
        "POINTSMAN_ENVIRONMENT": '{"HTTPS_PROXY": "http://proxy"}',
        "POINTSMAN_CA_CONFIG_MAP": "ca",
        "POINTSMAN_STARTUP_SECONDS": "60",
        "POINTSMAN_CAPACITY_DISCOVERY": "true",
        "POINTSMAN_NAMESPACE": "here",
    }
    mine, default = settings.read(environ).for_decisions(), settings.read(REQUIRED).for_decisions()
    same = {
        spec.name
        for spec in dataclasses.fields(mine)
        if getattr(mine, spec.name) == getattr(default, spec.name)
    }
    assert same == {"router_image", "resolve_image", "operator_version"}
