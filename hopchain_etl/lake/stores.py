"""open_store: the store at a location, ``s3://bucket/prefix`` or ``file:///folder``."""

from __future__ import annotations

from hopchain_etl.lake.file_store import FileStore
from hopchain_etl.lake.object_store import ObjectStore
from hopchain_etl.settings import S3Settings


def open_store(settings: S3Settings) -> ObjectStore:
    """Return the store at ``settings.uri``. Cheap: nothing is connected before the first request."""
    if settings.uri.startswith("file://"):
        return FileStore(settings)
    from hopchain_etl.lake.s3_store import S3Store  # loads boto3, which a lake in a folder does without

    return S3Store(settings)
