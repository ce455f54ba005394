"""The connection to a Camunda database: on when it is configured, every wrong variable named."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from archival_pipeline.errors import ConfigurationError
from archival_pipeline.settings_camunda import load_camunda

if TYPE_CHECKING:
    from pytest import MonkeyPatch  # noqa: PT013 - a name for annotations

SECRET = "hunter2-of-nobody"
REQUIRED = {
    "CAMUNDA_DB_HOST": "camunda.example.net",
    "CAMUNDA_DB_USERNAME": "cleaner",
    "CAMUNDA_DB_PASSWORD": SECRET,
    "CAMUNDA_DB_NAME": "process-engine",
}


def set_all(environment: MonkeyPatch, variables: dict[str, str]) -> None:
    for name, value in variables.items():
        environment.setenv(name, value)


def test_nothing_set_is_not_configured(clean_environment: MonkeyPatch) -> None:
    set_all(clean_environment, {"CAMUNDA_DB_HOST": "", "CAMUNDA_TIME_ZONE": "Europe/Kyiv"})
    assert load_camunda() is None


def test_all_variables(clean_environment: MonkeyPatch) -> None:
    more = {"CAMUNDA_DB_PORT": "5433", "CAMUNDA_DB_SSL": "true", "CAMUNDA_DB_SCHEMA_NAME": "engine"}
    more |= {"CAMUNDA_DB_TABLE_PREFIX": "CAM_", "CAMUNDA_TIME_ZONE": "Europe/Kyiv"}
    set_all(clean_environment, REQUIRED | more)
    found = load_camunda()
    assert found is not None
    assert found.address == ("camunda.example.net", 5433, "process-engine")
    assert (found.ssl, found.schema_name, found.time_zone) == (True, "engine", "Europe/Kyiv")
    assert found.table("ACT_HI_PROCINST") == "cam_act_hi_procinst"
    assert SECRET not in f"{found!r} {found} {found.model_dump_json()}"


def test_a_half_configured_connection_names_what_is_missing(clean_environment: MonkeyPatch) -> None:
    set_all(clean_environment, {"CAMUNDA_DB_PASSWORD": SECRET})
    with pytest.raises(ConfigurationError) as caught:
        load_camunda()
    assert all(f"{name} is missing" in caught.value.summary for name in REQUIRED if name != "CAMUNDA_DB_PASSWORD")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("CAMUNDA_DB_PORT", "0"),
        ("CAMUNDA_TIME_ZONE", "Kyiv"),
        ("CAMUNDA_DB_TABLE_PREFIX", "engine.cam_"),
        ("CAMUNDA_DB_TABLE_PREFIX", "cam'; drop"),
    ],
)
def test_wrong_values_are_named_and_secrets_are_not_shown(
    clean_environment: MonkeyPatch, name: str, value: str
) -> None:
    set_all(clean_environment, REQUIRED | {name: value})
    with pytest.raises(ConfigurationError, match=name) as caught:
        load_camunda()
    assert SECRET not in f"{caught.value!r} {caught.value}"
