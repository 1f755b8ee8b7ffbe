"""Vendure's admin API: a session, and its failures by what helps. One request at a time.

Source: Vendure 3.7, docs "Auth" and "ErrorResults": the session token comes in the header `vendure-auth-token`; what
a mutation refuses is a member of its result union that has `errorCode`, what breaks is in `errors`.
"""

from typing import TypeVar

import httpx
import msgspec

from cloud_sync.connectors.errors import Misconfigured, Refused, Transient
from cloud_sync.connectors.hub import retry_after_s
from cloud_sync.connectors.vendure.queries import LOGIN

TOKEN_HEADER = "vendure-auth-token"  # noqa: S105  a header's name
CHANNEL_HEADER = "vendure-token"
FORBIDDEN_CODES = frozenset({"FORBIDDEN", "UNAUTHORIZED"})
SHOWN_CHARS = 300

Answer = TypeVar("Answer")


class Vendure:
    """`url`: of the admin API. `client` has a timeout. Log-in happens when it is needed."""

    def __init__(self, client: httpx.AsyncClient, url: str, username: str, password: str,
                 channel: str | None = None) -> None:
        self._client = client
        self._url = url
        self._username = username
        self._password = password
        self._headers = {CHANNEL_HEADER: channel} if channel else {}
        self._session = ""

    async def ask(self, document: str, type_: type[Answer], **variables: object) -> Answer:
        """The answer's data. Raises `Transient`, `Refused` for what this request met, `Misconfigured`."""
        if not self._session:
            await self._log_in()
        answer = await self._post(document, variables)
        if answer.errors and answer.errors[0].code in FORBIDDEN_CODES:  # a session ends; one that is new does not
            await self._log_in()
            answer = await self._post(document, variables)
            if answer.errors and answer.errors[0].code in FORBIDDEN_CODES:
                name = document.partition("(")[0].strip()
                raise Misconfigured(f"Vendure does not let {name} through: give the connector's administrator a role "
                                    "with the permissions that the example configuration names")
        return self._data(answer, type_)

    async def close(self) -> None:
        await self._client.aclose()

    async def _log_in(self) -> None:
        self._session = ""
        answer = await self._post(LOGIN, {"username": self._username, "password": self._password})
        login = self._data(answer, _Login).login
        if login.error_code:
            raise Misconfigured(f"Vendure at {self._url} knows no such user or password: {login.error_code}")
        if not self._session:
            raise Misconfigured(f"Vendure at {self._url} gave no session token: its authOptions.tokenMethod "
                                "must include 'bearer'")

    async def _post(self, document: str, variables: dict[str, object]) -> "_Body":
        headers = {**self._headers, "Content-Type": "application/json",
                   **({"Authorization": f"Bearer {self._session}"} if self._session else {})}
        body = msgspec.json.encode({"query": document, "variables": variables})
        try:
            answer = await self._client.post(self._url, content=body, headers=headers)
        except httpx.HTTPError as error:
            raise Transient(f"Vendure at {self._url}: {type(error).__name__} {error}") from error
        if token := answer.headers.get(TOKEN_HEADER):
            self._session = token
        try:
            decoded = msgspec.json.decode(answer.content, type=_Body)
        except msgspec.MsgspecError as error:
            wait_s = retry_after_s(answer)
            raise Transient(f"Vendure at {self._url}: {answer.status_code} and no GraphQL answer", wait_s) \
                from error
        if answer.status_code >= httpx.codes.INTERNAL_SERVER_ERROR and not decoded.errors:
            raise Transient(f"Vendure at {self._url}: {answer.status_code}", retry_after_s(answer))
        return decoded

    def _data(self, answer: "_Body", type_: type[Answer]) -> Answer:
        if answer.errors:
            raise Refused(f"Vendure: {answer.errors[0].message[:SHOWN_CHARS]}")
        try:
            return msgspec.json.decode(answer.data, type=type_)
        except msgspec.MsgspecError as error:
            raise Refused(f"Vendure's answer is not understood: {error}") from error


class Outcome(msgspec.Struct, rename="camel"):
    """What a mutation that may refuse came to. `typename` says which of the two it was."""

    typename: str = msgspec.field(default="", name="__typename")
    id: str = ""
    state: str = ""
    total_with_tax: int = 0
    error_code: str = ""
    message: str = ""
    transition_error: str = ""

    def raise_for(self, what: str) -> None:
        """Raises `Refused`."""
        if self.error_code:
            raise Refused(f"Vendure refused to {what}: {self.error_code} "
                          f"{self.message[:SHOWN_CHARS]} {self.transition_error[:SHOWN_CHARS]}".rstrip())


class Result(msgspec.Struct):
    """Every mutation of ours is asked under the alias `result`."""

    result: Outcome


class _Extensions(msgspec.Struct, frozen=True):
    code: str = ""


class _Error(msgspec.Struct):
    message: str
    extensions: _Extensions = _Extensions()

    @property
    def code(self) -> str:
        return self.extensions.code


class _Body(msgspec.Struct):
    data: msgspec.Raw = msgspec.Raw(b"null")
    errors: tuple[_Error, ...] = ()


class _LoginOutcome(msgspec.Struct, rename="camel"):
    error_code: str = ""


class _Login(msgspec.Struct):
    login: _LoginOutcome
