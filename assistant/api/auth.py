"""Who may speak to the API, decided before a byte of the body is read.

Invariant: every request below /v1 that reaches a route has a user. Bearer tokens name users; without any token the
server must listen on a loopback address only, everybody is "local", and web pages are kept out: a foreign name in
`Host` (DNS rebinding) and a foreign `Origin` (a page that posts to 127.0.0.1) are refused.
"""

import hmac
import ipaddress
from urllib.parse import urlsplit

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from assistant.api.problems import of_error
from assistant.errors import ConsultError, Forbidden, Misconfigured, Unauthorized
from assistant.settings import Settings

LOCAL_USER = "local"


def is_loopback(host: str) -> bool:
    """`host` as in a URL or a settings file: a name, an IPv4 or (bracketed) IPv6 address, without the port."""
    host = host.strip("[]").lower()
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def check_exposure(settings: Settings) -> None:
    """Raises `Misconfigured` when others could reach a server that asks nobody for a token."""
    if any(not token.get_secret_value() for token in settings.api.tokens.values()):
        raise Misconfigured("A token in api.tokens is empty. Give it a long random value.")
    if not settings.api.tokens and not is_loopback(settings.api.host):
        raise Misconfigured(
            f"The API would listen on {settings.api.host} without any token. Set api.tokens (user name → token), "
            "or listen on 127.0.0.1."
        )


class Gate:
    """ASGI middleware: finds the user (`request.state.user`) or answers 401/403."""

    def __init__(self, app: ASGIApp, settings: Settings) -> None:
        self.app = app
        self.tokens = {
            user: token.get_secret_value().encode() for user, token in settings.api.tokens.items()
        }  # fmt: skip

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        try:
            scope.setdefault("state", {})["user"] = self._user(scope["path"], Headers(scope=scope))
        except ConsultError as error:
            await of_error(error)(scope, receive, send)
            return
        await self.app(scope, receive, send)

    def _user(self, path: str, headers: Headers) -> str:
        if not self.tokens:
            self._refuse_web_pages(headers)
            return LOCAL_USER
        if not path.startswith("/v1/"):  # health, readiness, the description of the API
            return ""
        scheme, _, token = headers.get("authorization", "").partition(" ")
        found = ""
        for user, expected in self.tokens.items():  # all are compared: the time taken says nothing
            if hmac.compare_digest(token.strip().encode(), expected):
                found = user
        if scheme.lower() != "bearer" or not found:
            raise Unauthorized("This server needs a bearer token: send `Authorization: Bearer <token>`.")
        return found

    def _refuse_web_pages(self, headers: Headers) -> None:
        host = headers.get("host", "")
        if not is_loopback(urlsplit(f"//{host}").hostname or ""):
            raise Forbidden("Without tokens this server answers on loopback names only (127.0.0.1, localhost).")
        origin = headers.get("origin")
        if origin is not None and urlsplit(origin).netloc != host:
            raise Forbidden("A web page of another origin may not use this server.")
