"""The access log and the last resort for errors, around everything else.

Invariant: a line holds method, path template, status, time and user: never a query string, a body or an error's
message. An error nobody expected ends here, so that no server above prints its message.
"""

import logging
import time

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from assistant.api.problems import unexpected

log = logging.getLogger("consult.access")


class Access:
    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        status, start = 0, time.perf_counter()

        async def watched(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                message["headers"] = [*message.get("headers", ()), *_HEADERS]
            await send(message)

        try:
            await self.app(scope, receive, watched)
        except Exception as error:
            answer = unexpected(error)
            if not status:
                await answer(scope, receive, watched)
        finally:
            template = getattr(scope.get("route"), "path", "(no route)")
            user = scope.get("state", {}).get("user") or "-"
            milliseconds = 1000 * (time.perf_counter() - start)
            log.info("%s %s %d %.0fms %s", scope["method"], template, status, milliseconds, user)


_HEADERS = (
    (b"x-content-type-options", b"nosniff"),
    (b"cross-origin-resource-policy", b"same-site"),
    (b"referrer-policy", b"no-referrer"),
)
