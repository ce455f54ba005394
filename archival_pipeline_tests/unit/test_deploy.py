"""The files of ``deploy/`` fit the product: they parse, their commands exist, their numbers and names are ours."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import click
import pytest
import yaml
from dagster._config import process_config, resolve_to_config_type
from dagster_k8s import K8sRunLauncher
from dagster_k8s.models import k8s_model_from_dict, k8s_snake_case_dict
from kubernetes.client import V1Deployment, V1EnvVar, V1Job, V1Service, V1Volume, V1VolumeMount

from archival_pipeline.cli import cli
from archival_pipeline.local import dagster_home

ROOT = Path(__file__).resolve().parents[2]
DEPLOY = ROOT / "deploy"
DOCUMENTED = "".join(path.read_text(encoding="utf-8") for path in (ROOT / "docs").glob("*.md"))
UNITS = sorted((DEPLOY / "systemd").glob("*.service"))
PROGRAMS = {"archival-pipeline", "dagster", "dagster-webserver", "dagster-daemon"}
# Of the systems themselves, not of the product.
FOREIGN = {"DAGSTER_HOME", "PATH", "PYTHONUNBUFFERED", "PYTHONDONTWRITEBYTECODE"}


def read(name: str) -> Any:
    return yaml.safe_load((DEPLOY / name).read_text(encoding="utf-8"))


COMPOSE = read("compose/compose.yaml")
HELM = read("helm/values.yaml")
# What stands beside the chart.
MANIFESTS = [
    document
    for name in ("migrate-job", "rest", "history")
    for document in yaml.safe_load_all((DEPLOY / "helm" / f"{name}.yaml").read_text(encoding="utf-8"))
]
MODELS = {"Job": V1Job, "Deployment": V1Deployment, "Service": V1Service}
INSTANCE = yaml.safe_load((ROOT / "dagster.yaml").read_text(encoding="utf-8"))


def containers() -> list[tuple[str, dict[str, Any]]]:
    """The one container of each job and deployment that stands beside the chart."""
    working = [document for document in MANIFESTS if document["kind"] != "Service"]
    return [(found["metadata"]["name"], found["spec"]["template"]["spec"]["containers"][0]) for found in working]


def commands() -> dict[str, list[str]]:
    """Every command of image, compose file, Kubernetes job and units, without its path."""
    docker = (DEPLOY / "Dockerfile").read_text(encoding="utf-8")
    found = {
        f"Dockerfile {number}": json.loads(line) for number, line in enumerate(re.findall(r"CMD (\[.*\])", docker))
    }
    for name, service in COMPOSE["services"].items():
        if "command" in service:
            found[f"compose {name}"] = service["command"]
        found[f"compose health of {name}"] = service.get("healthcheck", {}).get("test", ["CMD"])[1:]
    for unit in UNITS:
        [line] = re.findall(r"^ExecStart=(.*)$", unit.read_text(encoding="utf-8"), re.MULTILINE)
        found[unit.stem] = line.split()
    found |= {f"Kubernetes {name}": container["args"] for name, container in containers()}
    return {name: [Path(command[0]).name, *command[1:]] for name, command in found.items() if command}


def flattened() -> list[tuple[str, list[str]]]:
    """The same with the commands that a shell gets, one by one."""
    pairs = []
    for name, command in commands().items():
        parts = [part.split() for part in command[2].split("&&")] if command[0] == "sh" else [command]
        pairs += [(name, part) for part in parts]
    return [(name, part) for name, part in pairs if part[0] in PROGRAMS]


@pytest.mark.parametrize("path", sorted(DEPLOY.rglob("*.yaml")), ids=lambda path: path.name)
def test_yaml_parses(path: Path) -> None:
    assert list(yaml.safe_load_all(path.read_text(encoding="utf-8")))


def test_every_service_has_a_command_that_exists() -> None:
    assert isinstance(cli, click.Group)
    for name, command in flattened():
        assert Path(dagster_home.program(command[0])).exists(), name
        if command[0] == "archival-pipeline":
            assert_is_a_command(command[1:], name)


def assert_is_a_command(words: list[str], name: str) -> None:
    """Go down the groups as the words do; what is left are options of the command."""
    group: click.Command = cli
    while isinstance(group, click.Group):
        assert words[0] in group.commands, name
        group, words = group.commands[words[0]], words[1:]
    assert set(words) <= {option for found in group.params for option in found.opts}, name


@pytest.mark.slow
@pytest.mark.parametrize(
    "program",
    sorted(
        {
            tuple(part[:3] if part[1] in {"api", "code-server", "instance"} else part[:2])
            for _, part in flattened()
            if part[0].startswith("dagster")
        }
    ),
    ids=" ".join,
)
def test_dagster_knows_the_command(program: tuple[str, ...]) -> None:
    words = [word for word in program[1:] if not word.startswith("-")]
    done = subprocess.run(
        [dagster_home.program(program[0]), *words, "--help"], check=False, capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0, done.stderr


def test_compose_file_is_whole() -> None:
    services = COMPOSE["services"]
    assert services.keys() >= {"storage", "backup", "migrate", "code-server", "webserver", "daemon", "api"}
    assert "--read-only" in services["webserver-read-only"]["command"]
    for name, service in services.items():
        assert set(service.get("depends_on", {})) <= services.keys(), name
        volumes = [volume.split(":")[0] for volume in service.get("volumes", ())]
        assert set(volumes) <= COMPOSE["volumes"].keys(), name
        assert service.get("healthcheck"), f"{name} has no health check"
        # Dagster has no login.
        assert all(port.startswith("127.0.0.1:") for port in service.get("ports", ())), name


def test_every_long_service_of_the_compose_file_is_on_kubernetes_and_on_a_plain_server_too() -> None:
    ours = {
        " ".join(service["command"][:3])
        for service in COMPOSE["services"].values()
        if "archival-pipeline" in service.get("command", ()) and service["restart"] != "no"
    }
    units = " ".join(unit.read_text(encoding="utf-8") for unit in UNITS)
    manifests = {" ".join(container["args"][:3]) for _, container in containers()}
    assert len(ours) == 4
    assert {command for command in ours if command not in units or command not in manifests} == set()


@pytest.mark.parametrize("manifest", MANIFESTS, ids=lambda found: f"{found['kind']} {found['metadata']['name']}")
def test_kubernetes_knows_every_field_of_the_manifest(manifest: dict[str, Any]) -> None:
    # Unknown keys raise.
    k8s_model_from_dict(MODELS[manifest["kind"]], k8s_snake_case_dict(MODELS[manifest["kind"]], manifest))


@pytest.mark.parametrize(("name", "container"), containers(), ids=lambda found: found if isinstance(found, str) else "")
def test_pods_beside_the_chart_run_without_rights_and_with_the_settings_of_the_rest(
    name: str, container: dict[str, Any]
) -> None:
    assert container["securityContext"] == {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}}, name
    deployment = HELM["dagster-user-deployments"]["deployments"][0]
    assert [source["configMapRef"] for source in container["envFrom"] if "configMapRef" in source] == deployment[
        "envConfigMaps"
    ]
    assert [source["secretRef"] for source in container["envFrom"] if "secretRef" in source] == deployment["envSecrets"]


def test_volumes_and_variables_of_the_code_location_are_those_of_kubernetes() -> None:
    [deployment] = HELM["dagster-user-deployments"]["deployments"]
    for part, model in (("volumes", V1Volume), ("volumeMounts", V1VolumeMount), ("env", V1EnvVar)):
        for found in deployment[part]:
            k8s_model_from_dict(model, k8s_snake_case_dict(model, found))
    mounted = {mount["mountPath"] for mount in deployment["volumeMounts"]}
    assert {entry["value"] for entry in deployment["env"] if entry["name"] == "BACKUP_SPOOL_PATH"} <= mounted


def test_time_to_stop_is_longer_than_dagster_waits_for_a_cancelled_run() -> None:
    wait = INSTANCE["run_monitoring"]["cancel_timeout_seconds"]
    assert int(COMPOSE["services"]["code-server"]["stop_grace_period"].removesuffix("s")) > wait
    launcher = HELM["runLauncher"]["config"]["k8sRunLauncher"]
    assert launcher["runK8sConfig"]["podSpecConfig"]["terminationGracePeriodSeconds"] > wait
    unit = (DEPLOY / "systemd" / "archival-code-server.service").read_text(encoding="utf-8")
    assert int(re.findall(r"TimeoutStopSec=(\d+)", unit)[0]) > wait


def snake(value: Any) -> Any:
    """The chart writes its values in camel case into Dagster's file, which has snake case."""
    if isinstance(value, dict):
        return {re.sub(r"(?<!^)(?=[A-Z])", "_", key).lower(): snake(part) for key, part in value.items()}
    return [snake(part) for part in value] if isinstance(value, list) else value


def test_instance_of_the_chart_is_that_of_dagster_yaml() -> None:
    daemon = HELM["dagsterDaemon"]
    assert snake(daemon["runMonitoring"]) == INSTANCE["run_monitoring"]
    queue = snake(daemon["runCoordinator"]["config"]["queuedRunCoordinator"])
    assert queue == INSTANCE["concurrency"]["runs"]
    assert daemon["runRetries"] == INSTANCE["run_retries"]
    assert snake(HELM["pythonLogs"]) == INSTANCE["python_logs"]
    assert HELM["telemetry"] == INSTANCE["telemetry"]
    retention = snake(HELM["retention"])
    assert retention.pop("enabled") is True
    assert {part: days["purge_after_days"] for part, days in retention.items()} == {
        part: days["purge_after_days"] for part, days in INSTANCE["retention"].items()
    }


def test_storage_of_the_chart_has_a_secret_and_the_right_driver() -> None:
    assert HELM["generatePostgresqlPasswordSecret"] is False
    assert HELM["postgresql"]["postgresqlScheme"] == "postgresql+psycopg2"
    assert "postgresqlPassword" not in HELM["postgresql"]
    assert HELM["dagsterWebserver"]["enableReadOnly"] is True


def test_run_launcher_takes_the_configuration() -> None:
    raw = HELM["runLauncher"]["config"]["k8sRunLauncher"]["runK8sConfig"]
    given = {
        "service_account_name": "dagster",
        "instance_config_map": "dagster-instance",
        "dagster_home": "/opt/dagster/dagster_home",
        "fail_pod_on_run_failure": True,
        "run_k8s_config": snake({key: raw[key] for key in raw if key != "podTemplateSpecMetadata"})
        | {"pod_template_spec_metadata": raw["podTemplateSpecMetadata"]},
    }
    schema = K8sRunLauncher.config_type()  # type: ignore[no-untyped-call]
    result = process_config(resolve_to_config_type(schema), given)
    assert result.success, result.errors


def variables() -> set[str]:
    """Every variable that image, compose file, example, values and units name."""
    example = (DEPLOY / "compose" / "archival.env.example").read_text(encoding="utf-8")
    compose = (DEPLOY / "compose" / "compose.yaml").read_text(encoding="utf-8")
    found = set(re.findall(r"^(?:# )?([A-Z][A-Z_0-9]*)=", example, re.MULTILINE)) | set(
        re.findall(r"\$\{([A-Z_]+)", compose)
    )
    for service in COMPOSE["services"].values():
        found |= service.get("environment", {}).keys()
    for deployment in HELM["dagster-user-deployments"]["deployments"]:
        found |= {entry["name"] for entry in deployment["env"]}
    for _, container in containers():
        found |= {entry["name"] for entry in container.get("env", ())}
    return found | set(re.findall(r"\b([A-Z_]+)=", (DEPLOY / "Dockerfile").read_text(encoding="utf-8"))) - {
        "PYTHON_VERSION",
        "PIP_DISABLE_PIP_VERSION_CHECK",
        "PIP_NO_CACHE_DIR",
    }


def test_every_variable_is_documented() -> None:
    assert {name for name in variables() - FOREIGN if f"`{name}`" not in DOCUMENTED} == set()


def test_example_of_the_environment_holds_no_secret() -> None:
    example = (DEPLOY / "compose" / "archival.env.example").read_text(encoding="utf-8")
    assert re.findall(r"^(?:# )?\w*(?:PASSWORD|SECRET|TOKEN|URL|KEY)\w*=(.+)$", example, re.MULTILINE) == []


@pytest.mark.parametrize("unit", UNITS, ids=lambda unit: unit.stem)
def test_systemd_accepts_the_unit(unit: Path, tmp_path: Path) -> None:
    verify = shutil.which("systemd-analyze")
    if verify is None:
        pytest.skip("there is no systemd-analyze here")
    for other in UNITS:
        text = other.read_text(encoding="utf-8")
        # The program is not installed there: another one that exists stands for it.
        text = re.sub(r"^ExecStart=\S+", "ExecStart=/bin/true", text, flags=re.MULTILINE)
        (tmp_path / other.name).write_text(text, encoding="utf-8")
    done = subprocess.run(
        [verify, "verify", "--man=no", str(tmp_path / unit.name)],
        check=False,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert (done.returncode, done.stderr) == (0, "")


def test_docker_takes_what_the_image_copies() -> None:
    allowed = re.findall(r"^!(\S+)$", (ROOT / ".dockerignore").read_text(encoding="utf-8"), re.MULTILINE)
    copied = re.findall(r"^COPY (?!--from)(?:--\S+ )?(.+) \S+$", (DEPLOY / "Dockerfile").read_text(), re.MULTILINE)
    sources = {source for line in copied for source in line.split()}
    assert sources == set(allowed)
    assert all((ROOT / source).exists() for source in sources)
