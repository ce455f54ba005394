"""Logs in to the workflow instance: BASIC, FORM, COOKIE, JWT, OIDC.

A login page that comes back with status 200 instead of an answer means that the session is over: one new login and one
more try follow. One object serves all lanes; a lock lets one of them log in while the others wait. Not here: the calls
(``client.py``).
"""

from __future__ import annotations

import threading
from html.parser import HTMLParser
from typing import TYPE_CHECKING
from urllib.parse import urlencode

import httpx

from archival_pipeline.imixs.failures import LoginError

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

    from archival_pipeline.settings_imixs import WorkflowSettings

    Flow = Generator[httpx.Request, httpx.Response, None]

_UNAUTHORIZED = 401
_MOVED = frozenset({301, 302, 303, 307})
_CHECK = "j_security_check"
_EARLY_SECONDS = 30.0


def is_login_page(response: httpx.Response) -> bool:
    """Whether an answer is a page for people: no call of ours is ever answered by one."""
    return str(response.headers.get("content-type", "")).lower().startswith("text/html")


def session_for(settings: WorkflowSettings, clock: Callable[[], float]) -> httpx.Auth:
    """The way to log in that the settings name.

    Args:
        settings: method, user, password.
        clock: seconds that never go back; tells when a token ends.
    """
    user, password = settings.user, settings.password.get_secret_value()
    if settings.method == "FORM":
        return FormLogin(settings.endpoint, user, password)
    if settings.method == "OIDC":
        return OidcLogin(settings, clock)
    if settings.method == "COOKIE":
        return FixedHeader("Cookie", f"{user}={password}")
    if settings.method == "JWT":
        return FixedHeader("jwt", password)
    return httpx.BasicAuth(user, password)


class FixedHeader(httpx.Auth):
    """The same header on every request."""

    def __init__(self, name: str, value: str) -> None:
        self._name, self._value = name, value

    def auth_flow(self, request: httpx.Request) -> Flow:
        """Add the header."""
        request.headers[self._name] = self._value
        yield request


class _Renewed(httpx.Auth):
    """A login that ends some time; a refused request is sent once more after a new one."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._number = 0

    def sync_auth_flow(self, request: httpx.Request) -> Flow:
        """Send the request, with a second try after a new login."""
        number = yield from self._ready(-1)
        self._sign(request)
        response = yield request
        if not self._is_refused(response):
            return
        # The body of a page is small; of an answer it is not, so it is never read here.
        response.read()
        yield from self._ready(number)
        self._sign(request)
        yield request

    def _ready(self, seen: int) -> Generator[httpx.Request, httpx.Response, int]:
        """Log in unless there is a login newer than the one that was refused."""
        with self._lock:
            if self._number in {0, seen} or self._is_over():
                yield from self._login()
                self._number += 1
            return self._number

    def _is_over(self) -> bool:
        return False

    def _is_refused(self, response: httpx.Response) -> bool:
        return response.status_code == _UNAUTHORIZED or is_login_page(response)

    def _login(self) -> Flow:
        raise NotImplementedError

    def _sign(self, request: httpx.Request) -> None:
        raise NotImplementedError


class FormLogin(_Renewed):
    """The form of a Java web application: a page with ``j_security_check`` and a session cookie."""

    def __init__(self, endpoint: str, user: str, password: str) -> None:
        super().__init__()
        self._page = httpx.URL(endpoint).join("model")
        self._user, self._password = user, password
        self._cookies: dict[str, str] = {}

    def _is_refused(self, response: httpx.Response) -> bool:
        return super()._is_refused(response) or response.status_code in _MOVED

    def _login(self) -> Flow:
        self._cookies = {}
        page = yield self._request("GET", self._page)
        while page.status_code in _MOVED and "location" in page.headers:
            self._remember(page)
            page = yield self._request("GET", page.url.join(page.headers["location"]))
        page.read()
        self._remember(page)
        action = _form_action(page.text)
        if action is None:
            raise LoginError(
                f"The instance showed no login form (status {page.status_code}).",
                resolve="Check WORKFLOW_SERVICE_ENDPOINT and WORKFLOW_SERVICE_AUTHMETHOD.",
            )
        # Encoded, unlike the original does: a password may hold &, + and %.
        fields = urlencode({"j_username": self._user, "j_password": self._password})
        answer = yield self._request("POST", page.url.join(action), fields)
        answer.read()
        self._remember(answer)
        if is_login_page(answer) and _form_action(answer.text) is not None:
            raise _wrong_password()

    def _request(self, method: str, url: httpx.URL, fields: str | None = None) -> httpx.Request:
        headers = {"Content-Type": "application/x-www-form-urlencoded"} if fields is not None else {}
        request = httpx.Request(method, url, content=fields, headers=headers)
        self._sign(request)
        return request

    def _sign(self, request: httpx.Request) -> None:
        if self._cookies:
            request.headers["Cookie"] = "; ".join(f"{name}={value}" for name, value in self._cookies.items())

    def _remember(self, response: httpx.Response) -> None:
        self._cookies |= dict(response.cookies)


class _Form(HTMLParser):
    action: str | None = None

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        target = dict(attrs).get("action") or ""
        if tag == "form" and _CHECK in target:
            self.action = target


def _form_action(page: str) -> str | None:
    form = _Form()
    form.feed(page)
    return form.action


class OidcLogin(_Renewed):
    """Tokens by password grant; by the refresh token while that lives."""

    def __init__(self, settings: WorkflowSettings, clock: Callable[[], float]) -> None:
        super().__init__()
        self._settings, self._clock = settings, clock
        self._access, self._refresh = "", ""
        self._ends = 0.0

    def _is_over(self) -> bool:
        return self._clock() >= self._ends

    def _login(self) -> Flow:
        if self._refresh:
            answer = yield self._ask({"grant_type": "refresh_token", "refresh_token": self._refresh})
            if self._take(answer):
                return
        password = self._settings.password.get_secret_value()
        user = {"grant_type": "password", "username": self._settings.user, "password": password}
        answer = yield self._ask({**user, "scope": "openid profile email"})
        if not self._take(answer):
            raise _wrong_password()

    def _ask(self, fields: dict[str, str]) -> httpx.Request:
        settings = self._settings
        client = {"client_id": settings.oidc_client_id or ""}
        if settings.oidc_client_secret is not None:
            client["client_secret"] = settings.oidc_client_secret.get_secret_value()
        return httpx.Request("POST", settings.oidc_endpoint or "", data=client | fields)

    def _take(self, answer: httpx.Response) -> bool:
        answer.read()
        self._access, self._refresh = "", ""
        if not answer.is_success or is_login_page(answer):
            return False
        tokens = answer.json()
        self._access, self._refresh = tokens["access_token"], tokens.get("refresh_token", "")
        self._ends = self._clock() + float(tokens.get("expires_in", 60)) - _EARLY_SECONDS
        return True

    def _sign(self, request: httpx.Request) -> None:
        request.headers["Authorization"] = f"Bearer {self._access}"


def _wrong_password() -> LoginError:
    return LoginError(
        "The instance did not take user and password.",
        resolve="Check WORKFLOW_SERVICE_USER, WORKFLOW_SERVICE_PASSWORD and WORKFLOW_SERVICE_AUTHMETHOD.",
    )
