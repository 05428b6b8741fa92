"""Responses with pictures, and how browsers may keep photos: they ask each time whether they may still show one.

``max-age`` would let a browser show a photo for that long after it was erased from the lake. With ``no-cache`` and an
ETag the browser asks before each use, and the server looks for a tombstone before it answers 304. So an erased photo is
shown nowhere any more, and one that is still there is not sent twice.
"""

from __future__ import annotations

from fastapi import Request, Response

from hopchain_etl.web.errors import Gone

_MAGIC = {b"\x89PNG": "image/png", b"\xff\xd8\xff": "image/jpeg", b"GIF8": "image/gif", b"RIFF": "image/webp"}


def photo_headers(etag: str) -> dict[str, str]:
    """Return the headers of a response with a photo; ``etag`` identifies its bytes."""
    return {"Cache-Control": "private, no-cache", "ETag": f'"{etag}"'}


def revalidated(request: Request, etag: str) -> Response | None:
    """Return 304 if the browser has the photo with this ``etag``, otherwise None. Check for a tombstone first."""
    held = {one.strip().removeprefix("W/") for one in request.headers.get("if-none-match", "").split(",")}
    return Response(status_code=304, headers=photo_headers(etag)) if f'"{etag}"' in held else None


def picture(data: bytes, headers: dict[str, str]) -> Response:
    """Return image bytes with their media type; raise Gone if they are not a known image format."""
    media = next((media for magic, media in _MAGIC.items() if data.startswith(magic)), None)
    if media is None:
        raise Gone("this picture is damaged")
    return Response(data, media_type=media, headers=headers)
