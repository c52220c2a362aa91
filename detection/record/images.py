"""Keep photos and boxed photos in S3, through django-storages: `photos/<id>` and `results/<id>.jpg`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast

from botocore.exceptions import ClientError
from django.conf import settings
from django.core.files.base import ContentFile, File
from django.core.files.storage import default_storage
from storages.backends.s3 import S3Storage

from botsite import aws
from detection.record.schemas import results_of

# Long enough to look at a picture; a leaked link soon opens nothing.
LINK_SECONDS = 300
_CHUNK_BYTES = 1 << 18
# S3 takes so many keys in one request.
_DELETED_AT_ONCE = 1000


class ImageGone(Exception):
    """The object is not in the bucket; trying again cannot help."""


class ImageStorage(S3Storage):
    """S3Storage with one request for a read and one for a write, over the process's one S3 client.

    django-storages 1.14 makes a session for each thread (tens of milliseconds and megabytes) and reads with two
    HEADs and a multi-part transfer; at 25 ms a round trip that is most of a job's waiting time.
    """

    def get_default_settings(self) -> dict[str, Any]:
        """Return django-storages' settings with this project's bucket."""
        return super().get_default_settings() | {
            "bucket_name": settings.IMAGES_BUCKET,
            "region_name": settings.AWS_REGION,
            "querystring_expire": LINK_SECONDS,
        }

    @property
    def connection(self) -> Any:
        """Return the S3 resource that all threads share; nothing here changes its state."""
        return aws.s3()

    def _open(self, name: str, mode: str = "rb") -> File[bytes]:
        return ContentFile(bytes(self.read(name)), name)

    def read(self, name: str) -> bytearray:
        """Return an object's bytes, in one copy. Raise FileNotFoundError if it does not exist."""
        client = self.connection.meta.client
        try:
            response = client.get_object(Bucket=self.bucket_name, Key=name)
        except ClientError as error:
            if error.response["Error"]["Code"] in ("NoSuchKey", "404"):
                raise FileNotFoundError(f"{name} is not in bucket {self.bucket_name}") from error
            raise
        data = bytearray()
        # Read in one piece, urllib3 would hold the object twice.
        while chunk := response["Body"].read(_CHUNK_BYTES):
            data += chunk
        return data

    def _save(self, name: str, content: File[bytes]) -> str:
        self.put(name, content.read(), "application/octet-stream")
        return name

    def put(self, name: str, data: bytes | bytearray, content_type: str) -> None:
        """Store bytes as they are: a Django File would be one copy, and its content another."""
        self.connection.meta.client.put_object(Bucket=self.bucket_name, Key=name, Body=data, ContentType=content_type)


def get(key: str) -> bytearray:
    """Return the object's bytes. Raise ImageGone if it does not exist."""
    try:
        return cast(ImageStorage, default_storage).read(key)
    except FileNotFoundError as error:
        raise ImageGone(str(error)) from error


def head(key: str, count: int) -> bytes | None:
    """Return an object's first `count` bytes, None if it does not exist."""
    try:
        answer = aws.s3().meta.client.get_object(Bucket=settings.IMAGES_BUCKET, Key=key, Range=f"bytes=0-{count - 1}")
    except ClientError as error:
        if error.response["Error"]["Code"] in ("NoSuchKey", "404", "InvalidRange"):
            return None
        raise
    return bytes(answer["Body"].read(count))


def put(key: str, data: bytes | bytearray, content_type: str) -> None:
    """Store `data` under `key`; the same key again replaces it."""
    cast(ImageStorage, default_storage).put(key, data, content_type)


def exists(key: str) -> bool:
    """Return whether the object exists."""
    return bool(default_storage.exists(key))


def link(key: str) -> str:
    """Return an address where anybody can fetch the object for the next LINK_SECONDS."""
    return str(default_storage.url(key))


def delete(*keys: str) -> None:
    """Delete objects; it is no error if some are gone already."""
    for key in keys:
        default_storage.delete(key)


def keys_of(prediction_id: str) -> tuple[str, ...]:
    """Return where all that is kept of a photo lies: itself, and what a worker makes of it."""
    return f"photos/{prediction_id}", *results_of(prediction_id)


def delete_all(keys: Sequence[str]) -> None:
    """Delete any number of objects, a thousand with a request; it is no error if some are gone already."""
    for start in range(0, len(keys), _DELETED_AT_ONCE):
        objects = [{"Key": key} for key in keys[start : start + _DELETED_AT_ONCE]]
        answer = aws.s3().meta.client.delete_objects(
            Bucket=settings.IMAGES_BUCKET, Delete={"Objects": objects, "Quiet": True}
        )
        for failed in answer.get("Errors", ())[:1]:
            raise ClientError({"Error": {"Code": failed["Code"], "Message": failed["Message"]}}, "DeleteObjects")
