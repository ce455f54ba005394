"""Settings: each missing and each wrong variable is named, several in one message, secrets never."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from archival_pipeline.errors import ConfigurationError
from archival_pipeline.settings import INVALID_DB_CONFIG, Settings, load_settings

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

SECRET = "c0rrect-horse"
REQUIRED = {
    "DB_HOST": "engine.example.net",
    "DB_USERNAME": "engine",
    "DB_PASSWORD": SECRET,
    "BPM_DB_NAME": "jbpm",
    "BPM_BACKUP_DB_HOST": "archive.example.net",
    "BPM_BACKUP_DB_USERNAME": "archive",
    "BPM_BACKUP_DB_PASSWORD": SECRET,
    "BPM_BACKUP_DB_NAME": "jbpm_backup",
}

WRONG = [
    ("DB_PORT", "five", "DB_PORT='five'"),
    ("DB_PORT", "0", "DB_PORT='0'"),
    ("DB_PORT", "65536", "less than or equal to 65535"),
    ("BPM_BACKUP_DB_PORT", "-1", "BPM_BACKUP_DB_PORT='-1'"),
    ("DB_SSL", "perhaps", "DB_SSL='perhaps'"),
    ("BPM_BACKUP_DB_SSL", "2", "BPM_BACKUP_DB_SSL='2'"),
    ("DB_CA_CERT_PATH", "/no/such/ca.pem", "DB_CA_CERT_PATH='/no/such/ca.pem': no readable file at /no/such/ca.pem"),
    ("BPM_BACKUP_DB_CA_CERT_PATH", "/", "BPM_BACKUP_DB_CA_CERT_PATH='/': no readable file at /"),
    ("BPM_DB_NAME", "n" * 64, "at most 63 characters"),
    ("BPM_DB_SCHEMA_NAME", "s" * 64, "at most 63 characters"),
    ("BPM_TIME_ZONE", "Mars/Olympus", "BPM_TIME_ZONE='Mars/Olympus': not a time zone of the IANA database"),
    ("BPM_TIME_ZONE", "../../etc/passwd", "not a time zone of the IANA database"),
    ("BPM_CLOB_MODE", "Text", "BPM_CLOB_MODE='Text'"),
    ("DAGSTER_PG_URL", f"postgresql://u:{SECRET}@h/d", "DAGSTER_PG_URL: must start with postgresql+psycopg2://"),
]

OPTIONAL = [
    *("DB_PORT", "BPM_DB_SCHEMA_NAME", "DB_SSL", "DB_CA_CERT_PATH", "DB_CA_CERT"),
    *("BPM_BACKUP_DB_PORT", "BPM_BACKUP_DB_SCHEMA_NAME", "BPM_BACKUP_DB_SSL"),
    *("BPM_BACKUP_DB_CA_CERT_PATH", "BPM_BACKUP_DB_CA_CERT"),
    *("BPM_TIME_ZONE", "BPM_CLOB_MODE", "DAGSTER_PG_URL"),
]


class Environment:
    """Loads settings from exactly the variables of a test."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self._monkeypatch = monkeypatch

    def load(self, variables: Mapping[str, str]) -> Settings:
        for name, value in variables.items():
            self._monkeypatch.setenv(name, value)
        return load_settings()

    def refuse(self, variables: Mapping[str, str]) -> ConfigurationError:
        with pytest.raises(ConfigurationError) as caught:
            self.load(variables)
        return caught.value


@pytest.fixture
def environment(clean_environment: pytest.MonkeyPatch) -> Environment:
    return Environment(clean_environment)


def test_required_variables_suffice(environment: Environment) -> None:
    settings = environment.load(REQUIRED)
    assert settings.primary.address == ("engine.example.net", 5432, "jbpm")
    assert settings.backup.address == ("archive.example.net", 5432, "jbpm_backup")
    assert (settings.primary.role_name, settings.backup.role_name) == ("primary", "backup")
    assert (settings.primary.schema_name, settings.primary.ssl) == ("public", False)
    assert (settings.engine.time_zone, settings.engine.clob_mode) == ("UTC", "auto")
    assert settings.dagster.pg_url is None


def test_every_variable_is_read(environment: Environment, tmp_path: Path) -> None:
    authority = tmp_path / "ca.pem"
    authority.touch()
    settings = environment.load(
        REQUIRED
        | {"DB_PORT": "6001", "BPM_DB_SCHEMA_NAME": "engine", "DB_SSL": "true", "DB_CA_CERT_PATH": str(authority)}
        | {"BPM_BACKUP_DB_PORT": "6002", "BPM_BACKUP_DB_SCHEMA_NAME": "archive", "BPM_BACKUP_DB_SSL": "1"}
        | {"BPM_BACKUP_DB_CA_CERT": "content", "BPM_TIME_ZONE": "Europe/Kyiv", "BPM_CLOB_MODE": "pointer"}
        | {"DAGSTER_PG_URL": "postgresql+psycopg2://u:p@h/d"}
    )
    assert (settings.primary.port, settings.primary.schema_name, settings.primary.ssl) == (6001, "engine", True)
    assert settings.primary.ca_cert_path == authority
    assert (settings.backup.port, settings.backup.schema_name, settings.backup.ssl) == (6002, "archive", True)
    assert settings.backup.ca_cert is not None
    assert settings.backup.ca_cert.get_secret_value() == "content"
    assert (settings.engine.time_zone, settings.engine.clob_mode) == ("Europe/Kyiv", "pointer")
    assert settings.dagster.pg_url is not None


@pytest.mark.parametrize("name", REQUIRED)
@pytest.mark.parametrize("blank", [False, True], ids=["unset", "blank"])
def test_each_missing_variable_is_named(
    environment: Environment,
    name: str,
    blank: bool,  # noqa: FBT001 - a parameter of the table above
) -> None:
    variables = {key: value for key, value in REQUIRED.items() if key != name}
    error = environment.refuse(variables | ({name: ""} if blank else {}))
    assert error.code == "INVALID_CONFIG"
    assert error.summary == f"1 setting(s) cannot be used: {name} is missing."
    assert "docs/configuration.md" in error.resolve


@pytest.mark.parametrize("name", OPTIONAL)
def test_blank_optional_variable_is_an_unset_one(environment: Environment, name: str) -> None:
    settings = environment.load(REQUIRED | {name: ""})
    assert (settings.primary.port, settings.backup.port) == (5432, 5432)
    assert (settings.primary.ca_cert, settings.primary.ca_cert_path) == (None, None)


@pytest.mark.parametrize(("name", "value", "said"), WRONG, ids=[f"{name}={value[:20]}" for name, value, _ in WRONG])
def test_each_wrong_variable_is_named(environment: Environment, name: str, value: str, said: str) -> None:
    error = environment.refuse(REQUIRED | {name: value})
    assert error.code == "INVALID_CONFIG"
    assert error.summary.startswith("1 setting(s) cannot be used: ")
    assert name in error.summary
    assert said in error.summary


def test_several_faults_come_in_one_message(environment: Environment) -> None:
    variables = {name: value for name, value in REQUIRED.items() if name != "DB_PASSWORD"}
    wrong = {"DB_PORT": "five", "BPM_TIME_ZONE": "Mars", "BPM_BACKUP_DB_SSL": "perhaps"}
    summary = environment.refuse(variables | wrong).summary
    assert summary.startswith("4 setting(s)")
    assert all(name in summary for name in ("DB_PASSWORD is missing", *wrong))


@pytest.mark.parametrize(
    "variables",
    [
        {"DB_PORT": "five"},
        {"DAGSTER_PG_URL": f"mysql://u:{SECRET}@h/d"},
        {"DB_CA_CERT": SECRET, "DB_SSL": "perhaps"},
        {"BPM_BACKUP_DB_HOST": "engine.example.net", "BPM_BACKUP_DB_NAME": "jbpm"},
    ],
    ids=",".join,
)
def test_secrets_are_in_no_message(environment: Environment, variables: dict[str, str]) -> None:
    error = environment.refuse(REQUIRED | variables)
    assert SECRET not in f"{error} {error!r} {error.args} {error.__cause__!r}"


def test_secrets_are_in_no_repr(environment: Environment) -> None:
    settings = environment.load(
        REQUIRED | {"DB_CA_CERT": SECRET, "DAGSTER_PG_URL": f"postgresql+psycopg2://u:{SECRET}@h/d"}
    )
    shown = [f"{part!r} {part}" for part in (settings, settings.primary, settings.backup, settings.dagster)]
    shown.append(settings.primary.model_dump_json())
    assert SECRET not in " ".join(shown)


@pytest.mark.parametrize(
    "backup_host",
    ["engine.example.net", "ENGINE.example.NET", " engine.example.net "],
    ids=["same", "other case", "spaces"],
)
def test_one_physical_database_for_both_sides_is_refused(environment: Environment, backup_host: str) -> None:
    error = environment.refuse(REQUIRED | {"BPM_BACKUP_DB_HOST": backup_host, "BPM_BACKUP_DB_NAME": "jbpm"})
    assert error.code == INVALID_DB_CONFIG
    assert "engine.example.net:5432/jbpm" in error.summary


@pytest.mark.parametrize(
    "difference",
    [{"BPM_BACKUP_DB_PORT": "5433"}, {"BPM_BACKUP_DB_NAME": "other"}, {"BPM_BACKUP_DB_HOST": "other"}],
    ids=",".join,
)
def test_one_difference_in_the_address_is_enough(environment: Environment, difference: dict[str, str]) -> None:
    same = {"BPM_BACKUP_DB_HOST": REQUIRED["DB_HOST"], "BPM_BACKUP_DB_NAME": REQUIRED["BPM_DB_NAME"]}
    settings = environment.load(REQUIRED | same | difference)
    assert settings.primary.address != settings.backup.address


def test_two_schemas_of_one_database_are_still_one_database(environment: Environment) -> None:
    same = {"BPM_BACKUP_DB_HOST": REQUIRED["DB_HOST"], "BPM_BACKUP_DB_NAME": REQUIRED["BPM_DB_NAME"]}
    assert environment.refuse(REQUIRED | same | {"BPM_BACKUP_DB_SCHEMA_NAME": "archive"}).code == INVALID_DB_CONFIG


def test_names_are_case_sensitive(environment: Environment) -> None:
    error = environment.refuse({name.lower(): value for name, value in REQUIRED.items()})
    assert all(f"{name} is missing" in error.summary for name in REQUIRED)
