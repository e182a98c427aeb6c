"""How large a body may be: refused by what it declares, and counted while it streams in.

(FastAPI's own `max_body_size` answers in plain text; here every error is a problem.)
"""

from collections.abc import Callable

from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from assistant.api.problems import of_error
from assistant.errors import TooLarge

MAX_JSON = 4 * 2**20  # for routes that take text only


class BodyLimit:
    """ASGI middleware; `limit` gives the bytes a path accepts."""

    def __init__(self, app: ASGIApp, limit: Callable[[str], int]) -> None:
        self.app = app
        self.limit = limit

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        left = self.limit(scope["path"])
        declared = Headers(scope=scope).get("content-length", "0")
        if declared.isdecimal() and int(declared) > left:
            error = TooLarge(
                f"The body is larger than the {left // 2**20} MB accepted here. Send fewer or smaller files."
            )
            await of_error(error)(scope, receive, send)
            return

        async def counted() -> Message:
            nonlocal left
            message = await receive()
            left -= len(message.get("body", b""))
            if left < 0:
                raise HTTPException(TooLarge.status)
            return message

        await self.app(scope, counted, send)
