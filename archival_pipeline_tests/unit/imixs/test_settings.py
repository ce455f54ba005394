"""Settings of the Imixs backup: off when nothing is set, every wrong variable named, no secret shown."""

from __future__ import annotations

import pytest

from archival_pipeline.errors import ConfigurationError
from archival_pipeline.settings_imixs import NOT_CONFIGURED, load_imixs, missing_for_imixs

DATABASE = {
    "BPM_BACKUP_DB_HOST": "127.0.0.1",
    "BPM_BACKUP_DB_USERNAME": "archive",
    "BPM_BACKUP_DB_PASSWORD": "hunter2",
    "BPM_BACKUP_DB_NAME": "backup",
}
GOOD = DATABASE | {
    "WORKFLOW_SERVICE_ENDPOINT": "http://127.0.0.1:8080/api",
    "WORKFLOW_SERVICE_USER": "backup",
    "WORKFLOW_SERVICE_PASSWORD": "hunter3",
    "BACKUP_FTP_HOST": "127.0.0.1",
    "BACKUP_FTP_PATH": "/imixs/",
    "BACKUP_FTP_PASSWORD": "hunter4",
}


def set_all(environment: pytest.MonkeyPatch, values: dict[str, str]) -> None:
    for name, value in values.items():
        environment.setenv(name, value)


def test_nothing_set_is_off_and_says_so(clean_environment: pytest.MonkeyPatch) -> None:
    assert missing_for_imixs() == "WORKFLOW_SERVICE_ENDPOINT is not set"
    with pytest.raises(ConfigurationError) as refused:
        load_imixs()
    assert refused.value.code == NOT_CONFIGURED
    clean_environment.setenv("WORKFLOW_SERVICE_ENDPOINT", "http://127.0.0.1/api")
    assert "BACKUP_FTP_HOST" in (missing_for_imixs() or "")


def test_names_of_the_original_are_enough(clean_environment: pytest.MonkeyPatch) -> None:
    set_all(clean_environment, GOOD)
    found = load_imixs()
    assert found.workflow.endpoint == "http://127.0.0.1:8080/api/"
    assert (found.workflow.method, found.space.ftp_port, found.keeping.topic) == ("BASIC", 21, "snapshot.backup")
    assert "hunter" not in repr([found.workflow, found.space, found.database])


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"WORKFLOW_SERVICE_ENDPOINT": "ftp://a"}, "WORKFLOW_SERVICE_ENDPOINT"),
        ({"WORKFLOW_SERVICE_ENDPOINT": "http://u:p@a/"}, "WORKFLOW_SERVICE_ENDPOINT"),
        ({"WORKFLOW_SERVICE_AUTHMETHOD": "DIGEST"}, "WORKFLOW_SERVICE_AUTHMETHOD"),
        ({"WORKFLOW_SERVICE_AUTHMETHOD": "OIDC"}, "OIDC_AUTH_ENDPOINT"),
        ({"BACKUP_STORAGE_URL": "file:///tmp"}, "either BACKUP_FTP_HOST or BACKUP_STORAGE_URL"),
        ({"BACKUP_FTP_HOST": "", "BACKUP_STORAGE_URL": "ftp://a"}, "BACKUP_STORAGE_URL"),
        ({"BACKUP_FTP_HOST": "", "BACKUP_STORAGE_URL": "sftp://u:hunter5@a/b"}, "BACKUP_STORAGE_USER"),
        ({"BACKUP_FTP_HOST": "", "BACKUP_STORAGE_URL": "file:///"}, "absolute path"),
        ({"BACKUP_FTP_PATH": "/"}, "BACKUP_FTP_PATH"),
        ({"BACKUP_TIME_ZONE": "Mars"}, "BACKUP_TIME_ZONE"),
        ({"BACKUP_HISTORY": "0"}, "BACKUP_HISTORY"),
        ({"BACKUP_REMOVE_SNAPSHOTS": "true"}, "BACKUP_FROM_ARCHIVE"),
        ({"BPM_BACKUP_DB_HOST": ""}, "BPM_BACKUP_DB_HOST"),
    ],
)
def test_wrong_settings_are_named_and_secrets_are_not(
    clean_environment: pytest.MonkeyPatch, changes: dict[str, str], named: str
) -> None:
    set_all(clean_environment, GOOD | changes)
    with pytest.raises(ConfigurationError) as refused:
        load_imixs()
    assert named in str(refused.value)
    assert "hunter" not in str(refused.value)


def test_every_wrong_variable_is_in_one_message(clean_environment: pytest.MonkeyPatch) -> None:
    set_all(
        clean_environment, GOOD | {"BACKUP_LANES": "0", "BACKUP_FTP_PORT": "x", "WORKFLOW_SERVICE_READ_SECONDS": "-1"}
    )
    with pytest.raises(ConfigurationError) as refused:
        load_imixs()
    for name in ("BACKUP_LANES", "BACKUP_FTP_PORT", "WORKFLOW_SERVICE_READ_SECONDS"):
        assert name in str(refused.value)
