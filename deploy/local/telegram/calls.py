"""Read a Bot API call from an HTTP request, with Telegram's errors."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from aiohttp import BodyPartReader, web

JsonObject = dict[str, Any]

MAX_UPLOAD_BYTES = 50 << 20


class ApiError(Exception):
    """A response with `ok: false`; `parameters` holds `retry_after` where Telegram gives one."""

    def __init__(self, code: int, description: str, **parameters: int) -> None:
        super().__init__(description)
        self.code = code
        self.description = description
        self.parameters = parameters

    def to_json(self) -> JsonObject:
        """Return the body for HTTP status `code`."""
        body: JsonObject = {"ok": False, "error_code": self.code, "description": self.description}
        return body | {"parameters": self.parameters} if self.parameters else body


def bad_request(reason: str) -> ApiError:
    """Return a 400 with Telegram's `Bad Request: <reason>`."""
    return ApiError(400, f"Bad Request: {reason}")


@dataclass(frozen=True)
class Upload:
    """One file of a multipart body."""

    name: str
    mime_type: str
    data: bytes


@dataclass(frozen=True)
class Call:
    """A method with its parameters: strings from a form, any JSON value from a JSON body."""

    method: str
    fields: Mapping[str, Any] = field(default_factory=dict)
    files: Mapping[str, Upload] = field(default_factory=dict)

    def text(self, name: str) -> str | None:
        """Return a parameter as a string, None if absent or empty."""
        value = self.fields.get(name)
        return None if value is None or value == "" else str(value)

    def number(self, name: str) -> int | None:
        """Return a parameter as an integer; raise 400 for anything else."""
        value = self.text(name)
        if value is None:
            return None
        try:
            return int(value)
        except ValueError:
            raise bad_request(f"parameter {name} must be an integer") from None

    def flag(self, name: str) -> bool:
        """Return whether a boolean parameter is given and true."""
        return (self.text(name) or "").casefold() in ("true", "1", "yes")

    def json(self, name: str) -> Any:
        """Return a nested parameter, which in a form is a JSON string; None if absent."""
        value = self.fields.get(name)
        if not isinstance(value, str):
            return value
        if not value:
            return None
        try:
            return json.loads(value)
        except ValueError:
            raise bad_request(f"can't parse {name.replace('_', ' ')} JSON object") from None

    def json_object(self, name: str) -> JsonObject | None:
        """Return a nested parameter that must be a JSON object."""
        value = self.json(name)
        if value is not None and not isinstance(value, dict):
            raise bad_request(f"object expected as {name.replace('_', ' ')}")
        return value

    def chat_id(self) -> int:
        """Return the call's chat; raise 400 for an empty or impossible one."""
        value = self.text("chat_id")
        if value is None:
            raise bad_request("chat_id is empty")
        if not value.lstrip("-").isdigit() or int(value) == 0:
            raise bad_request("chat not found")
        return int(value)

    def file(self, reference: str | None, name: str) -> Upload | str:
        """Return the upload behind a media parameter, or its file_id."""
        if reference and reference.startswith("attach://"):
            name = reference.removeprefix("attach://")
            reference = None
        if upload := self.files.get(name):
            return upload
        if reference is None:
            raise bad_request(f"there is no {name} in the request")
        if reference.startswith(("http://", "https://")):
            raise bad_request("failed to get HTTP URL content")
        return reference


async def read_call(request: web.Request, method: str) -> Call:
    """Read the parameters of a request: address, form, multipart or JSON."""
    fields: dict[str, Any] = dict(request.query)
    files: dict[str, Upload] = {}
    if request.content_type == "application/json":
        fields |= await _json_fields(request)
    elif request.content_type.startswith("multipart/"):
        await _read_parts(request, fields, files)
    else:
        fields |= {name: value for name, value in (await request.post()).items() if isinstance(value, str)}
    return Call(method, fields, files)


async def _json_fields(request: web.Request) -> JsonObject:
    try:
        body = json.loads(await request.read() or b"{}")
    except ValueError:
        raise bad_request("can't parse JSON body") from None
    if not isinstance(body, dict):
        raise bad_request("object expected as the JSON body")
    return body


async def _read_parts(request: web.Request, fields: dict[str, Any], files: dict[str, Upload]) -> None:
    """Sort the parts of a multipart body; several files in one field get the names `photo`, `photo#2`, ..."""
    async for part in await request.multipart():
        if not isinstance(part, BodyPartReader) or not part.name:
            continue
        data = bytes(await part.read())
        if part.filename is None:
            fields[part.name] = data.decode("utf-8", "replace")
            continue
        if len(data) > MAX_UPLOAD_BYTES:
            raise ApiError(413, "Request Entity Too Large")
        known = sum(name.partition("#")[0] == part.name for name in files)
        mime_type = part.headers.get("Content-Type", "application/octet-stream")
        files[f"{part.name}#{known + 1}" if known else part.name] = Upload(part.filename, mime_type, data)
