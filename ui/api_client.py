"""The API as the page calls it: one method a route, and every failure as one sentence to show.

Invariant: a stream of events survives a dropped connection: it goes on after the last event that arrived, and gives
none twice.
"""

import asyncio
import json
from collections.abc import AsyncGenerator, AsyncIterator, Iterable
from contextlib import aclosing
from dataclasses import dataclass
from functools import cache
from typing import Any
from urllib.parse import quote

import httpx

from ui import strings

Json = dict[str, Any]
TIMEOUT = httpx.Timeout(60, connect=5)
READING = httpx.Timeout(45, connect=5)  # the server sends a sign of life every 15 s
SLOW = httpx.Timeout(900, connect=5)  # adding documents builds an index
RETRIES, FIRST_WAIT_S, LONGEST_WAIT_S = 6, 0.3, 4.0
ENDS = ("done", "failed")


class ApiError(Exception):
    """Something a person has to be told, in words made for that."""


class ApiDown(ApiError):
    """Nobody answers, or too late."""


class Problem(ApiError):
    """The API said no. `status` is HTTP's, `kind` the stable name of the error."""

    def __init__(self, message: str, status: int, kind: str) -> None:
        super().__init__(message)
        self.status = status
        self.kind = kind


@dataclass(frozen=True)
class Api:
    """Raises `ApiDown` and `Problem`."""

    url: str
    token: str = ""

    def info(self, timeout: float = 4) -> Json:
        return self._json("GET", "/v1/info", timeout=timeout)

    def studies(self, limit: int) -> list[Json]:
        return list(self._json("GET", "/v1/studies", params={"limit": limit})["items"])

    def study(self, study: str) -> Json:
        return self._json("GET", f"/v1/studies/{_part(study)}")

    def upload(self, files: Iterable[tuple[str, bytes]], standard_display: bool) -> Json:
        return self._json("POST", "/v1/studies", files=_multipart(files),
                          data={"standard_display": str(standard_display).lower()})  # fmt: skip

    def picture(self, study: str, number: int, size: int) -> bytes:
        return self._call("GET", f"/v1/studies/{_part(study)}/pictures/{number}", params={"size": size}).content

    def case_picture(self, case: str, size: int) -> bytes:
        return self._call("GET", f"/v1/cases/{_part(case)}/picture", params={"size": size}).content

    def ask(self, study: str, question: str, after_run: str | None, key: str, prior_case: str | None = None) -> Json:
        """`key`: the same one again never makes a second run."""
        body = {"task": "ask", "study": study, "question": question, "after_run": after_run, "prior_case": prior_case}
        return self.start(body, key)

    def runs(self, study: str) -> list[Json]:
        return list(self._json("GET", "/v1/runs", params={"study": study})["items"])

    def run(self, run: str) -> Json:
        return self._json("GET", f"/v1/runs/{_part(run)}")

    def cancel(self, run: str) -> Json:
        return self._json("POST", f"/v1/runs/{_part(run)}/cancel")

    def start(self, body: Json, key: str) -> Json:
        """A run of any task. `key` as for `ask`."""
        return self._json("POST", "/v1/runs", json=body, headers={"Idempotency-Key": key})

    def make_report(self, run: str) -> Json:
        """The report of a finished run: the same one however often it is asked for."""
        return self._json("POST", "/v1/reports", json={"run": run})

    def reports(self, status: str | None, limit: int) -> list[Json]:
        asked = {"limit": limit} | ({"status": status} if status else {})
        return list(self._json("GET", "/v1/reports", params=asked)["items"])

    def report(self, report: str) -> Json:
        return self._json("GET", f"/v1/reports/{_part(report)}")

    def change(self, report: str, version: int, step: str, body: Json) -> Json:
        """`step`: "edit", "sign" or "amend". Raises `Problem` with status 412 when `version` isn't the newest."""
        method, end = ("PUT", "") if step == "edit" else ("POST", f"/{step}")
        headers = {"If-Match": f'"{version}"'}
        return self._json(method, f"/v1/reports/{_part(report)}{end}", json=body, headers=headers)

    def consent(self, report: str, given: bool) -> Json:
        return self._json("PUT", f"/v1/reports/{_part(report)}/consent", json={"consent": given})

    def versions(self, report: str) -> list[Json]:
        return list(self._call("GET", f"/v1/reports/{_part(report)}/versions").json())

    def difference(self, report: str, before: int, after: int) -> list[Json]:
        return list(self._json("GET", f"/v1/reports/{_part(report)}/versions/{before}..{after}")["changes"])

    def export(self, report: str, version: int, form: str) -> bytes:
        asked = {"format": form, "version": version}
        return self._call("GET", f"/v1/reports/{_part(report)}/export", params=asked).content

    def documents(self) -> Json:
        return self._json("GET", "/v1/knowledge", params={"limit": 1000})

    def document(self, document: str) -> Json:
        return self._json("GET", f"/v1/knowledge/{_part(document)}")

    def search(self, text: str) -> Json:
        return self._json("GET", "/v1/knowledge/search", params={"q": text})

    def add_documents(self, files: Iterable[tuple[str, bytes]]) -> Json:
        return self._json("POST", "/v1/knowledge", files=_multipart(files), timeout=SLOW)

    async def events(self, run: str, after: int) -> AsyncGenerator[Json, None]:
        """The events after number `after`, to the last. Raises `ApiDown` when connecting again has failed often."""
        failures = 0
        async with httpx.AsyncClient(trust_env=not _on_this_machine(self.url)) as http:
            while True:
                try:
                    async with aclosing(self._stream(http, run, after)) as stream:
                        async for number, event in stream:
                            after, failures = number, 0
                            yield event
                            if event["event"] in ENDS:
                                return
                except httpx.TransportError:
                    pass
                failures += 1
                if failures > RETRIES:
                    raise ApiDown(strings.API_DOWN.format(url=self.url))
                await asyncio.sleep(min(FIRST_WAIT_S * 2 ** (failures - 1), LONGEST_WAIT_S))

    async def _stream(self, http: httpx.AsyncClient, run: str, after: int) -> AsyncGenerator[tuple[int, Json], None]:
        url = f"{self.url}/v1/runs/{_part(run)}/events"
        async with http.stream("GET", url, params={"after": after}, headers=self._headers(), timeout=READING) as answer:
            if answer.is_error:
                await answer.aread()
                raise self._problem(answer)
            async for number, data in parse_sse(answer.aiter_lines()):
                yield number, json.loads(data)

    def _json(self, method: str, path: str, **more: Any) -> Json:
        answer = self._call(method, path, **more)
        try:
            found = answer.json()
        except ValueError:
            found = None
        if not isinstance(found, dict):
            raise self._problem(answer)
        return found

    def _call(self, method: str, path: str, **more: Any) -> httpx.Response:
        headers = {**self._headers(), **more.pop("headers", {})}
        http = _http(not _on_this_machine(self.url))
        try:
            answer = http.request(
                method, self.url + path, headers=headers, timeout=more.pop("timeout", TIMEOUT), **more
            )
        except (httpx.ReadTimeout, httpx.WriteTimeout, httpx.PoolTimeout):
            raise ApiDown(strings.API_SLOW.format(url=self.url)) from None
        except (httpx.HTTPError, httpx.InvalidURL):
            raise ApiDown(strings.API_DOWN.format(url=self.url)) from None
        if answer.is_error:
            raise self._problem(answer)
        return answer

    def _headers(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.token}"} if self.token else {}

    def _problem(self, answer: httpx.Response) -> Problem:
        try:
            told = answer.json()
            kind = str(told["type"]).removeprefix("urn:consult:")
            why = [f"{error['where'][-1]}: {error['why']}." for error in told.get("errors", ()) if error["where"]]
            return Problem(" ".join([str(told["detail"]), *why]), answer.status_code, kind)
        except (ValueError, LookupError, TypeError, AttributeError):
            message = strings.API_STRANGE.format(url=self.url, status=answer.status_code)
            return Problem(message, answer.status_code, "strange")


async def parse_sse(lines: AsyncIterator[str]) -> AsyncGenerator[tuple[int, str], None]:
    """Number and data of every event; comments and what has no number are left out."""
    number, data = None, list[str]()
    async for line in lines:
        name, _, value = line.partition(":")
        value = value.removeprefix(" ")
        if name == "id":
            number = int(value) if value.isdigit() else None
        elif name == "data":
            data.append(value)
        elif not line:
            if data and number is not None:
                yield number, "\n".join(data)
            number, data = None, []


@cache
def _http(through_proxies: bool) -> httpx.Client:
    """Connections, shared by all sessions of the page; who asks is in each request's own header."""
    return httpx.Client(trust_env=through_proxies)


def _on_this_machine(url: str) -> bool:
    try:
        return httpx.URL(url).host in ("localhost", "127.0.0.1", "::1")
    except httpx.InvalidURL:
        return False


def _part(name: str) -> str:
    """One segment of a path, whatever is in it."""
    return quote(name, safe="").replace(".", "%2E")


def _multipart(files: Iterable[tuple[str, bytes]]) -> list[tuple[str, tuple[str, bytes]]]:
    return [("files", file) for file in files]
