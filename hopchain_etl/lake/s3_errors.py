"""Errors of S3 as its two clients raise them: what they mean, whether they may pass, and what a user can do."""

from __future__ import annotations

import re

from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    NoCredentialsError,
    ParamValidationError,
    PartialCredentialsError,
    ProfileNotFound,
    SSOError,
    TokenRetrievalError,
)
from obstore.exceptions import BaseError, PermissionDeniedError, UnauthenticatedError
from urllib3.exceptions import HTTPError

from hopchain_etl.lake.object_store import RefusedError, StoreError
from hopchain_etl.lake.s3_listing import ParseError

NOT_FOUND = {"NoSuchKey", "404", "NotFound"}
TAKEN = {"PreconditionFailed", "412"}
_CONFLICT = {"ConditionalRequestConflict", "409"}  # S3 asks for a retry: another write is in progress
_EXPIRED = {"ExpiredToken", "InvalidToken", "TokenRefreshRequired"}
_SKEWED = "RequestTimeTooSkewed"
_UNKNOWN_KEY = {"SignatureDoesNotMatch", "InvalidAccessKeyId"}
_ARCHIVED = "InvalidObjectState"
REFUSED = {"AccessDenied", "401", "403", *_UNKNOWN_KEY, *_EXPIRED, _SKEWED, _ARCHIVED}
_SLOW = {"RequestTimeout", "408"}
_ELSEWHERE = {"PermanentRedirect", "AuthorizationHeaderMalformed", "IllegalLocationConstraintException", "301", "307"}
ERRORS = (BotoCoreError, ClientError, BaseError, ConnectionError, EOFError, HTTPError, ParseError)
_LASTING = (  # what is set is wrong, so that another try fails alike
    NoCredentialsError, PartialCredentialsError, ProfileNotFound, ParamValidationError, SSOError, TokenRetrievalError,
)  # fmt: skip
_STATUS = re.compile(r"status code: (\d{3})")
_CLIENT_SPEAKS_TLS = "WRONG_VERSION_NUMBER"  # OpenSSL's words for a server that answers in plain text
_LOOPBACK = re.compile(r"https?://(localhost|127\.|\[::1\])")


def explained(error: Exception, uri: str, endpoint: str | None) -> StoreError:
    """Return an error as one line with the place, the cause and the remedy."""
    kind: type[StoreError] = RefusedError if _is_refused(error) else StoreError
    text = " ".join(str(error).split("\n\nDebug source", 1)[0].split())
    if isinstance(error, ParamValidationError):
        text = text.split(": Bucket name must", 1)[0]  # then come all patterns of names that there are
    return kind(f"{uri} at {_server(endpoint)}: {text.rstrip('.')}; {_remedy(error, endpoint)}")


def _server(endpoint: str | None) -> str:
    return "AWS" if endpoint is None or endpoint.rstrip("/").endswith(".amazonaws.com") else endpoint


def _is_refused(error: Exception) -> bool:
    return isinstance(error, PermissionDeniedError | UnauthenticatedError) or code_of(error) in REFUSED


def _remedy(error: Exception, endpoint: str | None) -> str:
    code = code_of(error)
    if isinstance(error, NoCredentialsError):
        return "set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or name an Airflow Connection in `connection`"
    if isinstance(error, PartialCredentialsError):
        return "set both AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or neither"
    if isinstance(error, ProfileNotFound):
        return "correct AWS_PROFILE, or AWS_SHARED_CREDENTIALS_FILE, which names the file with the profiles"
    if isinstance(error, ParamValidationError):
        return "correct the `uri`"
    if code in _EXPIRED or isinstance(error, SSOError | TokenRetrievalError):
        return "the keys have expired: log in again, or give new ones"
    if code == _SKEWED:
        return "correct the clock of this machine"
    if code in _UNKNOWN_KEY:
        return "check AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY (or the profile): this server does not know them"
    if code == _ARCHIVED:
        return "it is archived: restore it, then take it again with --retry-quarantined"
    if _is_refused(error):
        return "check the key's permissions on this bucket"
    if code in _ELSEWHERE:
        return "set `region` to the bucket's region"
    if code == "NoSuchBucket":
        own = " (of `hopchain s3`: hopchain s3 start --bucket NAME)" if _LOOPBACK.match(endpoint or "") else ""
        return f"create the bucket{own} or correct the `uri`"
    if _CLIENT_SPEAKS_TLS in str(error):
        return "the server does not speak TLS: write http:// in `endpoint_url`"
    return "check that the server runs and that `endpoint_url` is right"


def code_of(error: BaseException) -> str:
    """Return the error code of S3's reply, or its HTTP status; empty if there was no reply."""
    if isinstance(error, ClientError):
        return str(error.response.get("Error", {}).get("Code", ""))
    named = ("NoSuchBucket", "RequestTimeout", _SKEWED, _ARCHIVED, *sorted(_UNKNOWN_KEY), *sorted(_EXPIRED))
    for name in (*named, *sorted(_ELSEWHERE - {"301", "307"})):
        if f"<Code>{name}<" in str(error):
            return name
    status = _STATUS.search(str(error))
    return status[1] if status else ""


def is_missing(error: BaseException) -> bool:
    """Return whether there is no object, in a bucket that exists."""
    return isinstance(error, FileNotFoundError | ClientError) and code_of(error) in NOT_FOUND


def may_pass(error: BaseException) -> bool:
    """Return whether the same request may succeed if it is sent again."""
    if isinstance(error, _LASTING) or not isinstance(error, ERRORS):
        return False
    code = code_of(error)
    passing = code in _CONFLICT or code in _SLOW
    if isinstance(error, ClientError):  # botocore has tried again itself, except after these
        return passing
    return not code or passing or code == "429" or code.startswith("5")
