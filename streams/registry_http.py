"""Schemas of a schema registry: Confluent's REST interface, which others (Apicurio, Karapace, Redpanda) speak too.

Two of its calls are all that is needed, so they are made here: confluent-kafka's own client for them can't be
imported without three more packages. What a registry says about a schema decides over an event, so only
its own word counts as "no such schema"; a proxy's 404, a redirect or a page of HTML is no answer.
"""

from typing import Final, TypeVar
from urllib.parse import quote

import httpx
import msgspec
from msgspec import Struct

from schemas.errors import TidingsError
from streams.registry import SchemaRefused, SchemasUnreachable

_ANSWER_S: Final = 10.0
_CONNECT_RETRIES: Final = 2
_SCHEMA_NOT_FOUND: Final = 40403
_GREATEST_ID: Final = 2**31 - 1
"""Registries number by Java's int; asked for more they answer as a wrong path would (Apicurio does)."""
_TAKES: Final = "application/vnd.schemaregistry.v1+json"


Answer = TypeVar("Answer")


class _Schema(Struct, frozen=True, kw_only=True):
    schema: str
    schema_type: str | None = msgspec.field(default=None, name="schemaType")


class _Registered(Struct, frozen=True, kw_only=True):
    id: int


class _Refusal(Struct, frozen=True, kw_only=True):
    error_code: int = 0
    message: str = ""


class RegistrySchemas:
    """The schemas of the registry at a URL; name and password may stand in it. Any thread may ask."""

    def __init__(self, url: str) -> None:
        """Take the base URL, the path of the interface included (`/apis/ccompat/v7` for Apicurio).

        Raises:
            TidingsError: it isn't an HTTP URL.
        """
        try:
            base = httpx.URL(url.rstrip("/"))
        except httpx.InvalidURL:
            base = httpx.URL()
        if base.scheme not in {"http", "https"} or not base.host:
            msg = "SCHEMA_REGISTRY_URL isn't a URL such as http://registry.internal:8081"
            raise TidingsError(msg)
        # What messages call it: without name and password. httpx logs the URL of every request, so it mustn't see them.
        nameless = base.copy_with(username=None, password=None)
        self._called = str(nameless)
        self._client = httpx.Client(
            base_url=nameless,
            auth=(base.username, base.password) if base.username else None,
            timeout=_ANSWER_S,
            headers={"Accept": _TAKES, "Content-Type": _TAKES},
            transport=httpx.HTTPTransport(retries=_CONNECT_RETRIES),
        )

    def schema(self, schema_id: int) -> bytes | None:
        """Ask for the schema with a number; None where there is none, or one that isn't Avro.

        Raises:
            SchemasUnreachable: no answer, or not a registry's.
        """
        if not 0 < schema_id <= _GREATEST_ID:
            return None
        answer = self._ask("GET", f"/schemas/ids/{schema_id}")
        if answer.status_code == httpx.codes.NOT_FOUND and _refusal(answer).error_code == _SCHEMA_NOT_FOUND:
            return None
        found = self._read(answer, _Schema)
        return found.schema.encode() if found.schema_type in {None, "AVRO"} else None

    def register(self, subject: str, schema: bytes) -> int:
        """Register a schema under a subject; registering it again gives the same number.

        Raises:
            SchemasUnreachable: no answer, or not a registry's.
            SchemaRefused: not compatible with the subject's schemas, or not valid.
        """
        body = msgspec.json.encode({"schema": schema.decode()})
        answer = self._ask("POST", f"/subjects/{quote(subject, safe='')}/versions", body)
        if answer.status_code in {httpx.codes.CONFLICT, httpx.codes.UNPROCESSABLE_ENTITY}:
            reason = _refusal(answer).message[:500]
            msg = f"the schema registry {self._called} refuses the schema of {subject}: {reason}"
            raise SchemaRefused(msg)
        return self._read(answer, _Registered).id

    def close(self) -> None:
        """Close the connections."""
        self._client.close()

    def _ask(self, method: str, path: str, body: bytes | None = None) -> httpx.Response:
        try:
            return self._client.request(method, path, content=body)
        except httpx.HTTPError as error:
            msg = f"the schema registry {self._called} doesn't answer: {type(error).__name__} {error}"
            raise SchemasUnreachable(msg) from error

    def _read(self, answer: httpx.Response, kind: type[Answer]) -> Answer:
        try:
            answer.raise_for_status()
            return msgspec.json.decode(answer.content, type=kind)
        except (httpx.HTTPStatusError, msgspec.MsgspecError) as error:
            msg = (
                f"the schema registry {self._called} answers {answer.status_code}"
                f" {_refusal(answer).message[:200]}, which isn't what was asked for"
            )
            raise SchemasUnreachable(msg) from error


def _refusal(answer: httpx.Response) -> _Refusal:
    try:
        return msgspec.json.decode(answer.content, type=_Refusal)
    except msgspec.MsgspecError:
        return _Refusal()
