"""What the chart renders: as reviewed, valid, restricted, and with no more rights than the table says."""

from __future__ import annotations

import dataclasses
from typing import Any

import helm_python
import kubernetes_validate
import pytest
import yaml

import pointsman
from pointsman.api.rbac import DISCOVERY, RBAC, Permission
from pointsman.app import settings
from tests.charts.rendering import CHART, DIGEST, GOLDEN, ROOT, VALUE_SETS, golden, manifests, render
from tests.pss import pod_specs, violations

KUBERNETES = "1.37"
FOREIGN = {"monitoring.coreos.com/v1"}
"""API versions that aren't Kubernetes' own, so no published schema is at hand."""

every_value_set = pytest.mark.parametrize("name", VALUE_SETS)


def of_kind(name: str, kind: str) -> list[dict[str, Any]]:
    """The objects of one kind that a value set renders."""
    return [manifest for manifest in manifests(name) if manifest["kind"] == kind]


def all_roles(name: str) -> list[dict[str, Any]]:
    """Everything that grants rights."""
    return of_kind(name, "ClusterRole") + of_kind(name, "Role")


def discovers(role: dict[str, Any]) -> bool:
    """Whether it is the role that capacity discovery alone brings."""
    return str(role["metadata"]["name"]).endswith("-discovery")


def rights(table: tuple[Permission, ...]) -> set[tuple[str, str, str]]:
    """(group, resource, verb) of a table."""
    return {(row.group, row.resource, verb) for row in table for verb in row.verbs}


def place(manifest: dict[str, Any], name: str) -> tuple[str | None, str]:
    """A name within the manifest's namespace; None is the whole cluster."""
    return manifest["metadata"].get("namespace"), name


def test_helm_finds_nothing_to_warn_of() -> None:
    report = helm_python.lint(CHART, strict=True, kube_version="v1.34.0")
    assert report["errors"] == []
    assert [message["error"] for message in report["messages"]] == ["icon is recommended"]


@every_value_set
def test_it_renders_what_was_reviewed(name: str) -> None:
    assert golden(name) == (GOLDEN / f"{name}.yaml").read_text(), (
        "if it's meant: python -m tests.charts.rendering"
    )


@every_value_set
def test_every_object_is_valid_to_the_letter(name: str) -> None:
    for manifest in manifests(name):
        if manifest["apiVersion"] not in FOREIGN:
            kubernetes_validate.validate(manifest, KUBERNETES, strict=True)


@every_value_set
def test_the_operators_pod_is_restricted(name: str) -> None:
    specs = [spec for manifest in manifests(name) for spec in pod_specs(manifest)]
    assert len(specs) == 1
    assert violations(specs[0]) == []
    (container,) = specs[0]["containers"]
    assert container["securityContext"]["readOnlyRootFilesystem"] is True
    assert specs[0]["securityContext"]["runAsUser"] == 2000


@every_value_set
def test_every_image_is_pinned(name: str) -> None:
    (deployment,) = of_kind(name, "Deployment")
    (container,) = deployment["spec"]["template"]["spec"]["containers"]
    values = {item["name"]: item.get("value", "") for item in container["env"]}
    images = [container["image"], values["POINTSMAN_ROUTER_IMAGE"], values["POINTSMAN_RESOLVE_IMAGE"]]
    images += yaml.safe_load(values["POINTSMAN_ENGINE_IMAGES"]).values()
    for image in images:
        assert ":" in image.rpartition("/")[2], f"{image} names neither tag nor digest"
        assert not image.endswith(":latest")


def environment(name: str) -> dict[str, str]:
    """The operator's environment; what the pod itself would tell is its namespace and its name."""
    (deployment,) = of_kind(name, "Deployment")
    (container,) = deployment["spec"]["template"]["spec"]["containers"]
    told = {"metadata.namespace": "pointsman-system", "metadata.name": "pointsman-0"}
    return {
        item["name"]: item["value"] if "value" in item else told[item["valueFrom"]["fieldRef"]["fieldPath"]]
        for item in container["env"]
    }


@every_value_set
def test_the_operator_understands_its_environment(name: str) -> None:
    known = {settings.PREFIX + field.name.upper() for field in dataclasses.fields(settings.AppSettings)}
    assert environment(name).keys() <= known
    settings.read(environment(name))


def test_values_arrive_as_settings() -> None:
    read = settings.read(environment("air-gapped"))
    assert read.router_image == f"registry.example.com/ml/pointsman/router@{DIGEST}"
    assert read.resolve_image == f"registry.example.com/ml/pointsman/operator@{DIGEST}"
    assert read.engine_images == {
        "cpu": "registry.example.com/ml/pointsman/engine-cpu:{version}",
        "amd.com/gpu": "registry.example.com/ml/engine-rocm:{version}",
        "nvidia.com/gpu": "registry.example.com/ml/engine-cuda:v0.32.0",
    }
    assert (read.engine_version, read.startup_seconds, read.image_pull_policy) == ("0.32.0", 7200, "Always")
    assert read.image_pull_secrets == ("registry",)
    assert read.hf_endpoint == "https://hub.example.com"
    assert read.environment == {
        "HTTPS_PROXY": "http://proxy.example.com:3128",
        "NO_PROXY": ".example.com,10.0.0.0/8",
    }
    assert read.ca_config_map == "private-ca"
    assert (read.namespace, read.pod_name) == ("pointsman-system", "pointsman-0")
    assert settings.read(environment("two-namespaces")).watch_namespaces == ("team-a", "team-b")
    assert settings.read(environment("everything")).log_level == "debug"
    default = settings.read(environment("default"))
    assert default.watch_namespaces == ()
    assert not default.capacity_discovery
    assert settings.read(environment("everything")).capacity_discovery
    assert default.engine_version == pointsman.__version__


@every_value_set
def test_its_ports_are_where_the_chart_looks(name: str) -> None:
    port = settings.read(environment(name)).http_port
    (deployment,) = of_kind(name, "Deployment")
    (container,) = deployment["spec"]["template"]["spec"]["containers"]
    assert [(item["name"], item["containerPort"]) for item in container["ports"]] == [("http", port)]
    for probe in ("startupProbe", "livenessProbe", "readinessProbe"):
        assert container[probe]["httpGet"]["port"] == "http"


@every_value_set
def test_it_may_do_what_the_table_says_and_no_more(name: str) -> None:
    roles, wide = all_roles(name), bool(VALUE_SETS[name].get("capacityDiscovery"))
    assert len(roles) == max(1, len(VALUE_SETS[name].get("watchNamespaces", ()))) + wide
    assert [role["kind"] for role in roles if discovers(role)] == ["ClusterRole"] * wide
    for role in roles:
        granted = {
            (group, resource, verb)
            for rule in role["rules"]
            for group in rule["apiGroups"]
            for resource in rule["resources"]
            for verb in rule["verbs"]
        }
        assert granted == rights(DISCOVERY if discovers(role) else RBAC)


@every_value_set
def test_its_rights_hold_no_secrets_no_shells_and_no_wildcards(name: str) -> None:
    for role in all_roles(name):
        for rule in role["rules"]:
            assert not {"secrets", "pods/exec", "pods/log"} & set(rule["resources"])
            assert "nodes" not in rule["resources"] or (discovers(role) and rule["verbs"] == ["list"])
            assert not {"*", "escalate", "bind", "impersonate"} & {*rule["verbs"], *rule["resources"]}
            assert "*" not in rule["apiGroups"]


@every_value_set
def test_every_binding_ties_a_role_that_is_there_to_the_pods_account(name: str) -> None:
    (deployment,) = of_kind(name, "Deployment")
    (account,) = of_kind(name, "ServiceAccount")
    assert deployment["spec"]["template"]["spec"]["serviceAccountName"] == account["metadata"]["name"]
    roles = {place(role, role["metadata"]["name"]) for role in all_roles(name)}
    bound = set()
    for binding in of_kind(name, "ClusterRoleBinding") + of_kind(name, "RoleBinding"):
        bound.add(place(binding, binding["roleRef"]["name"]))
        assert binding["kind"] == binding["roleRef"]["kind"] + "Binding"
        (subject,) = binding["subjects"]
        assert subject == {
            "kind": "ServiceAccount",
            "name": account["metadata"]["name"],
            "namespace": "pointsman-system",
        }
    assert bound == roles


@every_value_set
def test_selectors_hold_only_labels_that_never_change(name: str) -> None:
    expected = {
        "app.kubernetes.io/name": "pointsman",
        "app.kubernetes.io/instance": "pointsman",
        "app.kubernetes.io/component": "operator",
    }
    (deployment,) = of_kind(name, "Deployment")
    assert deployment["spec"]["selector"] == {"matchLabels": expected}
    labels = deployment["spec"]["template"]["metadata"]["labels"]
    assert labels.items() >= expected.items()
    assert labels.keys() - VALUE_SETS[name].get("podLabels", {}).keys() == expected.keys()
    selectors = [policy["spec"]["podSelector"]["matchLabels"] for policy in of_kind(name, "NetworkPolicy")]
    selectors += [
        budget["spec"]["selector"]["matchLabels"] for budget in of_kind(name, "PodDisruptionBudget")
    ]
    selectors += [service["spec"]["selector"] for service in of_kind(name, "Service")]
    assert selectors == [expected] * len(selectors)


def test_one_release_may_not_replace_the_pods_own_labels() -> None:
    text = render({"podLabels": {"app.kubernetes.io/name": "other"}})["deployment.yaml"]
    labels = yaml.safe_load(text)["spec"]["template"]["metadata"]["labels"]
    assert labels["app.kubernetes.io/name"] == "pointsman"


@pytest.mark.parametrize(
    ("values", "kept"),
    [({}, True), ({"crds": {"keep": False}}, False)],
    ids=["kept at uninstall unless told otherwise", "deleted at uninstall when told so"],
)
def test_crds_are_the_generated_ones_and(values: dict[str, Any], kept: bool) -> None:
    rendered = {
        crd["metadata"]["name"]: crd for crd in yaml.safe_load_all(render(values)["crds.yaml"]) if crd
    }
    generated = [yaml.safe_load(path.read_text()) for path in (ROOT / "crds").glob("*.yaml")]
    assert rendered.keys() == {crd["metadata"]["name"] for crd in generated}
    for crd in generated:
        copy = rendered[crd["metadata"]["name"]]
        assert copy["spec"] == crd["spec"]
        annotations = copy["metadata"].get("annotations", {})
        assert (annotations.get("helm.sh/resource-policy") == "keep") is kept
        assert copy["metadata"]["labels"]["app.kubernetes.io/name"] == "pointsman"


def test_crds_stay_away_when_disabled() -> None:
    assert of_kind("everything", "CustomResourceDefinition") == []


def test_the_chart_has_the_projects_version() -> None:
    metadata = yaml.safe_load((CHART / "Chart.yaml").read_text())
    assert metadata["version"] == metadata["appVersion"] == pointsman.__version__


@pytest.mark.parametrize(
    "function", ["lookup", "rand", "uuidv4", "genCA", "now", ".Capabilities", "htpasswd"]
)
def test_templates_ask_neither_cluster_nor_chance(function: str) -> None:
    for template in sorted((CHART / "templates").iterdir()):
        assert function not in template.read_text(), f"{template.name} uses {function}"


def test_rendering_twice_gives_the_same() -> None:
    assert render({}) == render({})


@pytest.mark.parametrize(
    ("release", "name"),
    [
        ("pointsman", "pointsman"),
        ("my-pointsman", "my-pointsman"),
        ("prod", "prod-pointsman"),
        ("a" * 53, "a" * 30 + "-pointsman"),
    ],
)
def test_objects_are_named_after_the_release(release: str, name: str) -> None:
    assert yaml.safe_load(render({}, release=release)["deployment.yaml"])["metadata"]["name"] == name


def test_the_notes_show_a_first_service_where_it_is_watched() -> None:
    assert "metadata: {name: chat, namespace: team-a}" in render(VALUE_SETS["two-namespaces"])["NOTES.txt"]
    assert "metadata: {name: chat, namespace: default}" in render({})["NOTES.txt"]
