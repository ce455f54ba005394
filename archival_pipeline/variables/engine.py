"""The engine's REST API: one request, one answer, no second try.

A change is never sent twice: where an answer got lost, the error says that the change may have happened. Credentials
go into headers and nowhere else. Not here: which requests a plan makes.
"""

from __future__ import annotations

import ssl
from typing import TYPE_CHECKING, Any, Self

import httpx

from archival_pipeline.errors import ConfigurationError, redact
from archival_pipeline.variables.failures import EngineError

if TYPE_CHECKING:
    from types import TracebackType

    from archival_pipeline.settings_variables import CamundaRestSettings

_LONGEST_MESSAGE = 500
# Status -> code, way out. Everything else is the engine's own refusal.
_REFUSALS = {
    401: ("ENGINE_UNAUTHORIZED", "Correct the CAMUNDA_REST_ credentials."),
    403: ("ENGINE_FORBIDDEN", "Grant this user the right in the engine, as docs/variables.md lists."),
    404: ("ENGINE_NOT_FOUND", "The instance or execution is not there any more: make a new plan."),
}


class Engine:
    """A session with the engine's REST API."""

    def __init__(self, settings: CamundaRestSettings) -> None:
        """Prepare the session; nothing is sent yet.

        Raises:
            ConfigurationError: the CA certificate cannot be used.
        """
        headers = {"Accept": "application/json"}
        if settings.token is not None:
            headers["Authorization"] = f"Bearer {settings.token.get_secret_value()}"
        auth = None
        if settings.username is not None and settings.password is not None:
            auth = httpx.BasicAuth(settings.username, settings.password.get_secret_value())
        self._client = httpx.Client(
            base_url=settings.url,
            headers=headers,
            auth=auth,
            verify=_trust(settings),
            timeout=settings.timeout_seconds,
            follow_redirects=False,
            trust_env=False,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._client.close()

    def get(self, path: str, **query: str) -> Any:
        """Read.

        Raises:
            EngineError: the engine refused or gave no answer.
        """
        return self._send("GET", path, params=query)[1]

    def send(self, method: str, path: str, body: Any) -> tuple[int, Any]:
        """Change something; returns status and answer.

        Raises:
            EngineError: the engine refused or gave no answer.
        """
        return self._send(method, path, json=body)

    def _send(self, method: str, path: str, **what: Any) -> tuple[int, Any]:
        doing = f"{method} {path}"
        try:
            answer = self._client.request(method, path, **what)
        except (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout) as error:
            raise EngineError(
                f"The engine cannot be reached for {doing}: {type(error).__name__}.",
                resolve="Check CAMUNDA_REST_URL, the certificate, and that the engine is up. Nothing was sent.",
                code="ENGINE_UNREACHABLE",
            ) from error
        except httpx.HTTPError as error:
            raise EngineError(
                f"The engine gave no answer to {doing}: {type(error).__name__}.",
                resolve="Look at the instance in the engine: the request may have been carried out.",
                code="ENGINE_NO_ANSWER",
                may_have_happened=method != "GET",
            ) from error
        if not answer.is_success:
            raise _refusal(doing, answer)
        return answer.status_code, _content(doing, answer)


def _trust(settings: CamundaRestSettings) -> ssl.SSLContext:
    try:
        context = ssl.create_default_context(cafile=settings.ca_cert_path)
    except (OSError, ssl.SSLError) as error:
        raise ConfigurationError(
            f"CAMUNDA_REST_CA_CERT_PATH={str(settings.ca_cert_path)!r} is not a PEM certificate.",
            resolve="Point it at a file with the CA certificate of the engine.",
        ) from error
    return context


def _content(doing: str, answer: httpx.Response) -> Any:
    if not answer.content:
        return None
    try:
        return answer.json()
    except ValueError as error:
        raise EngineError(
            f"The answer to {doing} is not JSON.",
            resolve="Check that CAMUNDA_REST_URL is the engine's REST API, such as https://engine/engine-rest.",
            code="ENGINE_NOT_UNDERSTOOD",
            status=answer.status_code,
            may_have_happened=not doing.startswith("GET"),
        ) from error


def _refusal(doing: str, answer: httpx.Response) -> EngineError:
    code, resolve = _REFUSALS.get(answer.status_code, ("ENGINE_REFUSED", "Mend what the engine says, then plan anew."))
    try:
        said = answer.json()
    except ValueError:
        said = None
    told = ""
    if isinstance(said, dict):
        told = redact(f"{said.get('type', '')}: {said.get('message', '')}")[:_LONGEST_MESSAGE]
    return EngineError(
        f"The engine answered {answer.status_code} to {doing}" + (f": {told}." if told else "."),
        resolve=resolve,
        code=code,
        status=answer.status_code,
        # A gateway speaks for an engine that may still be at work.
        may_have_happened=answer.status_code in {502, 504} and not doing.startswith("GET"),
    )
