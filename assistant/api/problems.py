"""Errors as application/problem+json (RFC 9457).

Invariant: no body and no log line made here holds anything a request brought along except names of fields, which go
back to the sender only: patient data may stand anywhere in a request.
"""

import logging
import traceback
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException

from assistant.errors import ConsultError, QueueFull, TooLarge

log = logging.getLogger("consult.api")

RETRY_AFTER_S = 5
INTERNAL = "Something went wrong inside Consult. The server's log names the kind of error and the place."
_BY_STATUS = {400: "bad-request", 404: "not-found", 405: "method-not-allowed", 413: "too-large"}


class Problem(JSONResponse):
    media_type = "application/problem+json"


def problem(kind: str, status: int, detail: str, *, headers: Mapping[str, str] | None = None, **extra: Any) -> Problem:
    """`kind` is stable and for programs, `detail` says what happened and what to do."""
    title = kind.replace("-", " ").capitalize()
    body = {"type": f"urn:consult:{kind}", "title": title, "status": status, "detail": detail, **extra}
    return Problem(body, status, headers=dict(headers or {}))


def of_error(error: ConsultError) -> Problem:
    headers = {}
    if isinstance(error, QueueFull):
        headers["Retry-After"] = str(RETRY_AFTER_S)
    if error.status == HTTPStatus.UNAUTHORIZED:
        headers["WWW-Authenticate"] = "Bearer"
    return problem(error.type, error.status, str(error), headers=headers)


def status_of(kind: str) -> int:
    """The HTTP status that belongs to a stable error type; 500 for one that isn't known."""
    open_, found = [ConsultError], {}
    while open_:
        error = open_.pop()
        found[error.type] = error.status
        open_ += error.__subclasses__()
    return found.get(kind, 500)


def place(error: BaseException) -> str:
    """The error's type and where it was raised; never its message, which may quote a request."""
    frames = traceback.extract_tb(error.__traceback__)
    where = f" at {frames[-1].filename}:{frames[-1].lineno} ({frames[-1].name})" if frames else ""
    return f"{type(error).__name__}{where}"


def unexpected(error: BaseException) -> Problem:
    log.error("Unexpected error: %s", place(error))
    return problem("internal", 500, INTERNAL)


def install(app: FastAPI) -> None:
    """Every error of the app leaves as a problem."""

    @app.exception_handler(ConsultError)
    async def consult_error(request: Request, error: ConsultError) -> Problem:
        return of_error(error)

    @app.exception_handler(HTTPException)
    async def http_error(request: Request, error: HTTPException) -> Problem:
        kind = _BY_STATUS.get(error.status_code, "http-error")
        if error.status_code == TooLarge.status:
            detail = "The request is larger than this server accepts. Send fewer or smaller files."
        elif error.status_code == HTTPStatus.BAD_REQUEST:
            detail = "The body can't be read: it isn't what its content type says, or it broke off."
        else:
            detail = HTTPStatus(error.status_code).description or HTTPStatus(error.status_code).phrase
        return problem(kind, error.status_code, detail, headers=error.headers)

    @app.exception_handler(RequestValidationError)
    async def invalid(request: Request, error: RequestValidationError) -> Problem:
        return problem("invalid-request", 422, "The request does not fit; see `errors`.", errors=_told(error))


def described(openapi: dict[str, Any]) -> dict[str, Any]:
    """The API's description with errors under the media type that they leave with."""
    for operation in (one for path in openapi["paths"].values() for one in path.values()):
        for code, answer in operation["responses"].items():
            if int(code) >= HTTPStatus.BAD_REQUEST and (content := answer.get("content")):
                answer["content"] = {Problem.media_type: {"schema": next(iter(content.values()))["schema"]}}
    return openapi


def _told(error: RequestValidationError) -> list[dict[str, Any]]:
    """Where and why, without the value (`input`, `ctx`) and without messages that quote it."""
    told = []
    for entry in error.errors()[:20]:
        message = entry["msg"]
        if entry["type"].startswith("union_tag"):
            message = "Must name one of the known kinds"
        told.append({"where": [str(part)[:40] for part in entry["loc"]], "why": message, "kind": entry["type"]})
    return told
