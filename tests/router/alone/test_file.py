"""The file a router runs alone from: what it may say, and what it's told when it says something else."""

from pathlib import Path

import pytest
import yaml

from pointsman_router.config import ConfigError
from pointsman_router.feeds import standalone
from pointsman_router.feeds.standalone import Admin, Listen, LogLevel

WHOLE = """
name: edge
listen: {host: 0.0.0.0, port: 8000, reusePort: true}
admin: {host: 10.0.0.1, port: 9000}
drainSeconds: 60
acceptSeconds: 1.5
accessLog: false
logLevel: warning
services:
  - name: chat
    modelNames: [chat]
    engineModel: org/chat
    variants:
      - {name: stable, upstream: {addresses: ["10.1.0.1:8000"]}}
"""


def test_a_whole_file_is_read(file: Path) -> None:
    file.write_text(WHOLE)
    config = standalone.read(file)
    assert config.listen == Listen("0.0.0.0", 8000, True)
    assert config.admin == Admin("10.0.0.1", 9000)
    assert (config.drain_seconds, config.accept_seconds) == (60.0, 1.5)
    assert (config.access_log, config.log_level) == (False, LogLevel.WARNING)
    assert config.services[0].model_names == ("chat",)


def test_a_name_is_enough_and_the_admin_port_is_for_this_machine_alone(file: Path) -> None:
    file.write_text("name: edge")
    config = standalone.read(file)
    assert (config.listen, config.admin) == (Listen("", 8080), Admin("127.0.0.1", 8081))


def test_json_is_read_too(file: Path) -> None:
    file.write_text('{"name": "edge", "drainSeconds": 1}')
    assert standalone.read(file).drain_seconds == 1.0


WRONG = {
    "nothing": ("", "document: expected a mapping"),
    "a list": ("- name: x", "document: expected a mapping"),
    "no name": ("format: 1", "name: missing"),
    "an unknown field": (
        "name: x\nlisten: {prot: 1}",
        "listen.prot: unknown field; known are host, port, reuse",
    ),
    "an unknown field at the top": (
        "name: x\ndrain: 1",
        "drain: unknown field; known are acceptSeconds, access",
    ),
    "a field that stands twice": ("name: x\nname: y", "line 2, column 1: 'name' is there twice"),
    "a field that stands twice further down": (
        "name: x\nlimits:\n  maxBodyBytes: 1\n  maxBodyBytes: 2",
        "line 4, column 3: 'maxBodyBytes' is there twice",
    ),
    "a port out of bounds": (
        "name: x\nlisten: {port: 70000}",
        "listen.port: 70000 is out of bounds; .* 0 to 65535",
    ),
    "a port in quotes": ("name: x\nlisten: {port: '80'}", "listen.port: expected int, got str"),
    "a time out of bounds": ("name: x\ndrainSeconds: -1", "drainSeconds: -1.0 is out of bounds"),
    "a time that is none": ("name: x\ndrainSeconds: .nan", "drainSeconds: nan is out of bounds"),
    "a number beyond all": ("name: x\ndrainSeconds: " + "9" * 400, "drainSeconds: inf is out of bounds"),
    "a number that nobody reads": ("name: x\ndrainSeconds: " + "9" * 9000, "not YAML: .*digits"),
    "yes for a name": ("name: yes", "name: expected str, got bool"),
    "an unknown level": ("name: x\nlogLevel: loud", "logLevel: 'loud' is not known; known are debug, info"),
    "no YAML": ("name: [x", "line 2, column 1: did not find expected"),
    "a tab": ("name: x\n\tlisten: 1", "line 2, column 1: found a tab character"),
    "two documents": ("name: x\n---\nname: y", "line 2, column 1: but found another document"),
    "an object of Python's": (
        "name: !!python/object/apply:os.getcwd []",
        "could not determine a constructor",
    ),
    "no text": ("name: \x00", "not YAML: .*unacceptable character|control characters"),
    "another format": ("name: x\nformat: 9", "format: 9 is not known here; this router reads format 1"),
    "engines that only a cluster finds": (
        "name: x\nservices: [{name: a, modelNames: [a], engineModel: m, "
        "variants: [{name: v, upstream: {service: a}}]}]",
        "services.0..variants.0..upstream.service: only in a cluster; give addresses",
    ),
    "half a pair": ("name: x\ntls: {certFile: /nowhere/crt}", "tls: give certFile and keyFile, or neither"),
    "a key in the clear": (
        "name: x\nkeys: [{name: a, sha256: sk-a}]",
        "keys.0..sha256: must be 64 lower-case hex",
    ),
    "a service without a model": (
        "name: x\nservices: [{name: a, modelNames: [a]}]",
        "services.0..engineModel: missing",
    ),
}


ENGINES = {
    "10.1.0.1:8000": True,
    "[2001:db8::5]:8000": True,
    "engine-0.engines.team_a.svc:80": True,
    "10.1.0.1": False,
    "10.1.0.1:0": False,
    "10.1.0.1:65536": False,
    "2001:db8::5:8000": False,
    ":8000": False,
    "a..b:8000": False,
    "a b:8000": False,
    "a\r\nx:8000": False,
    "http://a:8000": False,
    "a/v1:8000": False,
    "x" * 64 + ":8000": False,
    "a:" + "9" * 5000: False,
}


@pytest.mark.parametrize(("address", "good"), ENGINES.items(), ids=[address[:40] for address in ENGINES])
def test_an_address_is_a_host_and_a_port(file: Path, address: str, good: bool) -> None:
    upstream = {"addresses": [address]}
    service = {
        "name": "a",
        "modelNames": ["a"],
        "engineModel": "m",
        "variants": [{"name": "v", "upstream": upstream}],
    }
    file.write_text(yaml.safe_dump({"name": "x", "services": [service]}))
    try:
        standalone.read(file)
        message = ""
    except ConfigError as refused:
        message = str(refused)
    expected = "" if good else "services[0].variants[0].upstream.addresses: "
    assert message.startswith(expected)
    assert bool(message) != good


@pytest.mark.parametrize(("text", "message"), WRONG.values(), ids=WRONG.keys())
def test_what_is_wrong_is_named(file: Path, text: str, message: str) -> None:
    file.write_text(text)
    with pytest.raises(ConfigError, match=message) as refused:
        standalone.read(file)
    assert "\n" not in str(refused.value)


def test_a_file_that_can_not_be_read_is_named(file: Path) -> None:
    with pytest.raises(ConfigError, match="yaml: No such file or directory"):
        standalone.read(file)
    with pytest.raises(ConfigError, match="Is a directory"):
        standalone.read(file.parent)


def test_anchors_and_merges_are_yaml_as_usual(file: Path) -> None:
    file.write_text(
        """
name: edge
services:
  - &first {name: a, modelNames: [a], engineModel: m, routing: {timeouts: {connectSeconds: 1}}}
  - {<<: *first, name: b, modelNames: [b]}
"""
    )
    first, second = standalone.read(file).services
    assert (second.name, second.routing) == ("b", first.routing)
