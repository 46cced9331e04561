"""The image, the compositions, the unit and the manifests: that they fit each other, the settings, and what is safe."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml
from django.conf import settings

from config import env
from tests.server import ROOT

DEPLOY = ROOT / "deploy"
KUBERNETES = DEPLOY / "kubernetes"
SETTLE = 10  # seconds in which the books are closed after the last answer (config.management.commands.serve)
PINNED = re.compile(r"[a-z0-9./-]+:\d+\.\d+(\.\d+)?(-[a-z0-9.-]+)?")  # a version, not a name that moves


def composed(name: str) -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load((DEPLOY / name).read_text())
    return found


def manifests() -> dict[str, dict[str, Any]]:
    """By kind, those that kustomization.yaml lists and the examples."""
    listed = yaml.safe_load((KUBERNETES / "kustomization.yaml").read_text())["resources"]
    texts = [(KUBERNETES / name).read_text() for name in (*listed, "secret.example.yaml", "ingress.example.yaml")]
    found = [one for text in texts for one in yaml.safe_load_all(text)]
    return {one["kind"]: one for one in found}


def unit() -> dict[str, list[str]]:
    lines = (DEPLOY / "one-api.service").read_text().splitlines()
    found: dict[str, list[str]] = {}
    for name, value in (line.split("=", 1) for line in lines if "=" in line and not line.startswith("#")):
        found.setdefault(name, []).append(value)
    return found


def nginx(directive: str, within: str = "") -> str:
    text = (DEPLOY / "nginx.conf").read_text().partition(within)[2] if within else (DEPLOY / "nginx.conf").read_text()
    found = re.search(rf"^\s*{directive} (.+?);", text, re.MULTILINE)
    assert found, directive
    return found[1]


# The image


def instructions() -> list[tuple[str, str]]:
    text = re.sub(r"\\\n\s*", " ", (ROOT / "Dockerfile").read_text())
    lines = [line.split(None, 1) for line in text.splitlines() if line.strip() and not line.startswith("#")]
    return [(name, rest) for name, rest in lines]


def test_the_image_is_built_in_stages_from_bases_with_a_version() -> None:
    bases = [rest.split()[0] for name, rest in instructions() if name == "FROM"]
    assert len(bases) == 2
    assert all(PINNED.fullmatch(base) for base in bases), bases


def test_the_image_runs_as_nobody_in_particular_and_says_how_it_is() -> None:
    found = dict(instructions())  # the last of each
    assert found["USER"] == "10001"
    assert "/healthz" in found["HEALTHCHECK"]
    assert found["STOPSIGNAL"] == "SIGTERM"
    assert (found["ENTRYPOINT"], found["CMD"]) == ('["python", "/app/manage.py"]', '["serve"]')


def test_the_image_holds_no_secret_and_fetches_nothing_unchecked() -> None:
    for name, rest in instructions():
        assert name != "ADD"
        assert not re.search(r"curl|wget|apt-get|sudo", rest), rest
        if name in ("ENV", "ARG"):
            assert not re.search(r"SECRET|PASSWORD|TOKEN|DSN|CONN_STRING", rest), rest
        if "pip install" in rest:
            assert "--require-hashes" in rest
            assert "--no-cache-dir" in rest


def test_what_is_not_for_the_image_stays_out_of_its_build() -> None:
    left_out = set((ROOT / ".dockerignore").read_text().split())
    assert left_out >= {".git", ".venv", ".env", "*.db*", "*.secret", "logs", "tests", "docs", "deploy"}


# Compositions


@pytest.mark.parametrize("name", ["docker-compose.yml", "docker-compose.mysql.yml"])
def test_services_are_pinned_and_their_variables_known(name: str) -> None:
    for service in composed(name)["services"].values():
        assert "image" not in service or PINNED.fullmatch(service["image"]), service["image"]
        if service.get("image", "").startswith("one-api") or "SQL_DSN" in service.get("environment", {}):
            assert set(service["environment"]) <= set(env.NAMES)


def test_services_wait_for_what_they_need() -> None:
    services = composed("docker-compose.yml")["services"]
    for node in ("node1", "node2"):
        waits = {name: how["condition"] for name, how in services[node]["depends_on"].items()}
        assert waits == {
            "database": "service_healthy",
            "redis": "service_started",
            "prepare": "service_completed_successfully",
        }
    assert services["prepare"]["command"] == ["prepare"]
    assert {name for name, one in services.items() if "healthcheck" in one} == {"database", "redis", "prepare", "nginx"}
    assert [one["environment"]["NODE_TYPE"] for one in (services["node1"], services["node2"])] == ["master", "slave"]


def test_a_composition_asks_for_its_secrets_and_opens_one_door() -> None:
    services = composed("docker-compose.yml")["services"]
    assert "${SESSION_SECRET:?" in services["node1"]["environment"]["SESSION_SECRET"]
    assert "${DATABASE_PASSWORD:?" in services["node1"]["environment"]["SQL_DSN"]
    assert {name for name, one in services.items() if "ports" in one} == {"nginx"}
    subnet = composed("docker-compose.yml")["networks"]["inside"]["ipam"]["config"][0]["subnet"]
    assert services["node1"]["environment"]["TRUSTED_PROXIES"] == subnet


def test_the_override_changes_services_that_are_there() -> None:
    assert set(composed("docker-compose.mysql.yml")["services"]) <= set(composed("docker-compose.yml")["services"])


# Times and sizes that belong together


def seconds(text: str) -> int:
    return int(text.removesuffix("s"))


def test_nginx_gives_idle_connections_up_before_a_node_closes_them() -> None:
    idle = seconds(nginx("keepalive_timeout", "upstream one_api"))
    node = composed("docker-compose.yml")["services"]["node1"]["environment"]
    told = dict(part.split("=") for part in unit()["Environment"][0].split())
    drains = [node["DRAIN_TIMEOUT"], told["DRAIN_TIMEOUT"], manifests()["ConfigMap"]["data"]["DRAIN_TIMEOUT"]]
    assert all(int(drain) > idle for drain in drains)


def test_nobody_is_killed_before_the_books_are_closed() -> None:
    node = composed("docker-compose.yml")["services"]["node1"]
    times = node["environment"]
    assert seconds(node["stop_grace_period"]) > int(times["DRAIN_TIMEOUT"]) + int(times["GRACEFUL_TIMEOUT"]) + SETTLE
    told = dict(part.split("=") for part in unit()["Environment"][0].split())
    assert int(unit()["TimeoutStopSec"][0]) > int(told["DRAIN_TIMEOUT"]) + int(told["GRACEFUL_TIMEOUT"]) + SETTLE
    data, pod = manifests()["ConfigMap"]["data"], manifests()["Deployment"]["spec"]["template"]["spec"]
    before = int(pod["containers"][0]["lifecycle"]["preStop"]["exec"]["command"][1])
    needed = before + int(data["DRAIN_TIMEOUT"]) + int(data["GRACEFUL_TIMEOUT"]) + SETTLE
    assert pod["terminationGracePeriodSeconds"] > needed


def test_the_largest_body_is_the_same_everywhere() -> None:
    largest = settings.RELAY_MAX_BODY // 1024**2
    assert nginx("client_max_body_size") == f"{largest}m"
    annotations = manifests()["Ingress"]["metadata"]["annotations"]
    assert annotations["nginx.ingress.kubernetes.io/proxy-body-size"] == f"{largest}m"


# The unit


def test_the_unit_stops_the_supervisor_alone_and_has_no_rights() -> None:
    found = {name: values[-1] for name, values in unit().items()}
    assert (found["KillSignal"], found["KillMode"]) == ("SIGTERM", "mixed")
    assert found["User"] == "one-api"
    assert found["CapabilityBoundingSet"] == ""
    assert {found[name] for name in ("NoNewPrivileges", "ProtectHome", "PrivateTmp", "PrivateDevices")} == {"yes"}
    assert found["ProtectSystem"] == "strict"


def test_systemd_finds_nothing_wrong_with_the_unit(tmp_path: Path) -> None:
    if not shutil.which("systemd-analyze"):
        pytest.skip("systemd-analyze is not installed")
    text = (DEPLOY / "one-api.service").read_text()
    (tmp_path / "one-api.service").write_text(re.sub(r"ExecStart=\S+", "ExecStart=/usr/bin/env", text))
    done = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", tmp_path / "one-api.service"],
        capture_output=True,
        text=True,
        check=False,
    )
    told = [line for line in done.stderr.splitlines() if "one-api.service" in line]
    assert (done.returncode, told) == (0, [])


# Kubernetes


def test_all_manifests_are_there_and_name_each_other() -> None:
    found = manifests()
    assert set(found) == {
        *("Namespace", "ConfigMap", "Secret", "Job", "Deployment", "Service", "PodDisruptionBudget"),
        *("HorizontalPodAutoscaler", "Ingress"),
    }
    labels = found["Deployment"]["spec"]["template"]["metadata"]["labels"]
    for selector in (
        found["Deployment"]["spec"]["selector"]["matchLabels"],
        found["Service"]["spec"]["selector"],
        found["PodDisruptionBudget"]["spec"]["selector"]["matchLabels"],
    ):
        assert selector.items() <= labels.items()
        assert selector
    target = found["HorizontalPodAutoscaler"]["spec"]["scaleTargetRef"]
    assert (target["kind"], target["name"]) == ("Deployment", found["Deployment"]["metadata"]["name"])
    backend = found["Ingress"]["spec"]["rules"][0]["http"]["paths"][0]["backend"]["service"]
    assert backend["name"] == found["Service"]["metadata"]["name"]
    assert backend["port"]["name"] == found["Service"]["spec"]["ports"][0]["name"]


def test_settings_of_the_manifests_are_settings_and_secrets_are_empty() -> None:
    found = manifests()
    given = {**found["ConfigMap"]["data"], **found["Secret"]["stringData"]}
    assert set(given) <= set(env.NAMES)
    assert not set(found["ConfigMap"]["data"]) & env.SECRETS
    assert set(found["Secret"]["stringData"].values()) == {""}
    assert "secret.example.yaml" not in (KUBERNETES / "kustomization.yaml").read_text().partition("resources:")[2]


def test_pods_are_probed_leave_slowly_and_have_no_rights() -> None:
    found = manifests()
    (gateway,) = found["Deployment"]["spec"]["template"]["spec"]["containers"]
    probes = {kind: gateway[f"{kind}Probe"]["httpGet"]["path"] for kind in ("startup", "readiness", "liveness")}
    assert probes == {"startup": "/healthz", "readiness": "/readyz", "liveness": "/healthz"}
    assert found["Deployment"]["spec"]["strategy"]["rollingUpdate"]["maxUnavailable"] == 0
    for kind in ("Deployment", "Job"):
        pod = found[kind]["spec"]["template"]["spec"]
        assert pod["securityContext"]["runAsNonRoot"] is True
        assert pod["automountServiceAccountToken"] is False
        for container in pod["containers"]:
            assert container["securityContext"] == {
                "allowPrivilegeEscalation": False,
                "readOnlyRootFilesystem": True,
                "capabilities": {"drop": ["ALL"]},
            }
            assert {"requests", "limits"} <= set(container["resources"])
            assert container["image"] == "one-api"
    assert "non_idempotent" not in str(found["Ingress"])


def test_kustomize_builds_them() -> None:
    if not shutil.which("kubectl"):
        pytest.skip("kubectl is not installed")
    done = subprocess.run(["kubectl", "kustomize", KUBERNETES], capture_output=True, text=True, check=True)
    built = list(yaml.safe_load_all(done.stdout))
    images = re.findall(r"image: (\S+)", done.stdout)
    assert len(built) == 7
    assert set(images) == {"registry.example/one-api:0.1.0"}
    assert {one["metadata"].get("namespace", "one-api") for one in built} == {"one-api"}
