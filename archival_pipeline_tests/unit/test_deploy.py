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

from archival_pipeline.cli import cli
from archival_pipeline.local import dagster_home

ROOT = Path(__file__).resolve().parents[2]
DEPLOY = ROOT / "deploy"
DOCUMENTED = (ROOT / "docs" / "configuration.md").read_text(encoding="utf-8")
UNITS = sorted((DEPLOY / "systemd").glob("*.service"))
PROGRAMS = {"archival-pipeline", "dagster", "dagster-webserver", "dagster-daemon"}
# Of the systems themselves, not of the product.
FOREIGN = {"DAGSTER_HOME", "PATH", "PYTHONUNBUFFERED", "PYTHONDONTWRITEBYTECODE"}


def read(name: str) -> Any:
    return yaml.safe_load((DEPLOY / name).read_text(encoding="utf-8"))


COMPOSE = read("compose/compose.yaml")
HELM = read("helm/values.yaml")
INSTANCE = yaml.safe_load((ROOT / "dagster.yaml").read_text(encoding="utf-8"))


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
    found["migrate job"] = read("helm/migrate-job.yaml")["spec"]["template"]["spec"]["containers"][0]["args"]
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
            assert command[1] in set(cli.commands), name


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
    found = set(re.findall(r"^([A-Z][A-Z_]*)=", example, re.MULTILINE)) | set(re.findall(r"\$\{([A-Z_]+)", compose))
    for service in COMPOSE["services"].values():
        found |= service.get("environment", {}).keys()
    for deployment in HELM["dagster-user-deployments"]["deployments"]:
        found |= {entry["name"] for entry in deployment["env"]}
    return found | set(re.findall(r"\b([A-Z_]+)=", (DEPLOY / "Dockerfile").read_text(encoding="utf-8"))) - {
        "PYTHON_VERSION",
        "PIP_DISABLE_PIP_VERSION_CHECK",
        "PIP_NO_CACHE_DIR",
    }


def test_every_variable_is_documented() -> None:
    assert {name for name in variables() - FOREIGN if f"`{name}`" not in DOCUMENTED} == set()


def test_example_of_the_environment_holds_no_secret() -> None:
    example = (DEPLOY / "compose" / "archival.env.example").read_text(encoding="utf-8")
    assert re.findall(r"^\w*(?:PASSWORD|SECRET|TOKEN|URL)\w*=(.+)$", example, re.MULTILINE) == []


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
