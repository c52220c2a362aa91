"""Every file that was sent, by the Bot API's identifiers."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import mimetypes
import os
import re
import secrets
import tempfile
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import IO

from . import photos
from .calls import JsonObject, Upload, bad_request

MAX_DOWNLOAD_BYTES = 20 << 20
# As Telegram's; they make a log easier to read.
_PREFIXES = {
    "photo": "AgAC", "document": "BQAC", "sticker": "CAAC", "video": "BAAC", "voice": "AwAC", "animation": "CgAC",
    "video_note": "DQAC",
}  # fmt: skip
# What a message says about a file of each kind, made up, as nothing here measures it.
_MEASURES: dict[str, JsonObject] = {
    "document": {},
    "sticker": {"width": 512, "height": 512, "type": "regular", "is_animated": False, "is_video": False},
    "video": {"width": 640, "height": 360, "duration": 5},
    "voice": {"duration": 3},
    "animation": {"width": 320, "height": 240, "duration": 2},
    "video_note": {"length": 240, "duration": 5},
}
PERSON_KINDS = ("photo", *_MEASURES)


@dataclass(frozen=True)
class StoredFile:
    """An uploaded file; `path` is what getFile returns, relative and without the token."""

    file_id: str
    unique_id: str
    path: str
    mime_type: str
    size: int
    disk: IO[bytes]
    start: int

    def to_json(self) -> JsonObject:
        """Return the fields that files of all kinds have."""
        return {"file_id": self.file_id, "file_unique_id": self.unique_id, "file_size": self.size}

    def read(self) -> bytes:
        """Return the file's bytes."""
        return os.pread(self.disk.fileno(), self.size, self.start)


class Files:
    """The files by file_id and by path, and the message content behind each file_id."""

    def __init__(self) -> None:
        self._by_id: dict[str, StoredFile] = {}
        self._by_path: dict[str, StoredFile] = {}
        self._contents: dict[str, JsonObject] = {}
        self._number = 0
        # On disk, because thousands are sent in a long run; without a name, so that nothing is left of it.
        self._disk = tempfile.TemporaryFile()  # noqa: SIM115 - it is as long open as the server runs

    def clear(self) -> None:
        """Forget all files. Numbers are not reused, so no path ever means two files."""
        self._by_id.clear()
        self._by_path.clear()
        self._contents.clear()
        self._disk.seek(0)
        self._disk.truncate()

    def by_id(self, file_id: str) -> StoredFile | None:
        """Return the file with this file_id."""
        return self._by_id.get(file_id)

    def by_path(self, path: str) -> StoredFile | None:
        """Return the file with this path from getFile."""
        return self._by_path.get(path)

    def content(self, file_id: str, kind: str) -> JsonObject:
        """Return the content of a message that resends a file; raise 400 for a wrong file_id."""
        content = self._contents.get(file_id)
        if content is None:
            raise bad_request("wrong remote file identifier specified: Wrong string length")
        if kind not in content:
            have = next(iter(content)).capitalize()
            raise bad_request(f"can't use file of type {have} as {kind.capitalize()}")
        return content

    async def add_photo(self, upload: Upload, high_definition: bool = False) -> JsonObject:
        """Store a photo in its sizes and return `{"photo": [PhotoSize, ...]}`, smallest first."""
        try:
            encoded = await asyncio.to_thread(photos.encode, upload.data, high_definition)
        except photos.PhotoError as error:
            raise bad_request(str(error)) from error
        content: JsonObject = {"photo": []}
        for number, size in enumerate(encoded):
            identity = hashlib.sha256(upload.data + bytes([number])).digest()
            file = self._store("photo", Upload("", "image/jpeg", size.data), identity)
            content["photo"].append(file.to_json() | {"width": size.width, "height": size.height})
            self._contents[file.file_id] = content
        return content

    def add(self, kind: str, upload: Upload) -> JsonObject:
        """Store a file unchanged and return the content of its message, such as `{"document": {...}}`."""
        file = self._store(kind, upload, hashlib.sha256(kind.encode() + upload.data).digest())
        described = file.to_json() | _MEASURES[kind]
        if kind not in ("sticker", "video_note"):
            described["mime_type"] = upload.mime_type
        if kind in ("document", "video", "animation") and upload.name:
            described["file_name"] = upload.name
        content: JsonObject = {kind: described}
        if kind == "animation":
            # The Bot API sets `document` too, for bots older than animations.
            content["document"] = {key: described[key] for key in described.keys() - {"width", "height", "duration"}}
        self._contents[file.file_id] = content
        return content

    def add_thumbnail(self, upload: Upload) -> JsonObject:
        """Store what a bot gives as a document's thumbnail, and return its field; none for what Telegram ignores."""
        size = photos.thumbnail_size(upload.data)
        if size is None:
            return {}
        file = self._store("photo", upload, hashlib.sha256(upload.data).digest())
        return {"thumbnail": file.to_json() | {"width": size[0], "height": size[1]}}

    def _store(self, kind: str, upload: Upload, identity: bytes) -> StoredFile:
        self._number += 1
        suffix = PurePosixPath(upload.name).suffix
        if not re.fullmatch(r"\.[A-Za-z0-9]{1,8}", suffix):
            suffix = mimetypes.guess_extension(upload.mime_type) or ""
        start = self._disk.tell()
        self._disk.write(upload.data)
        self._disk.flush()
        file = StoredFile(
            file_id=_PREFIXES[kind] + secrets.token_urlsafe(42),
            unique_id="AQAD" + base64.urlsafe_b64encode(identity)[:11].decode(),
            path=f"{kind}s/file_{self._number}{suffix.lower()}",
            mime_type=upload.mime_type,
            size=len(upload.data),
            disk=self._disk,
            start=start,
        )
        self._by_id[file.file_id] = self._by_path[file.path] = file
        return file
