"""Errors of the desk: each has an HTTP status and a code; the message is shown to the user."""

from __future__ import annotations


class DeskError(Exception):
    """A rejected request."""

    status = 400
    code = "bad_request"


class NotLoggedIn(DeskError):  # noqa: N818 - the name describes the error
    status, code = 401, "not_logged_in"


class NotAllowed(DeskError):  # noqa: N818
    status, code = 403, "not_allowed"


class Voided(DeskError):  # noqa: N818
    status, code = 403, "voided"


class NotQualified(DeskError):  # noqa: N818
    status, code = 403, "not_qualified"


class WrongOrigin(DeskError):  # noqa: N818
    status, code = 403, "wrong_origin"


class NotFound(DeskError):  # noqa: N818
    status, code = 404, "not_found"


class Conflict(DeskError):  # noqa: N818
    status, code = 409, "conflict"


class Gone(DeskError):  # noqa: N818
    status, code = 410, "gone"


class TooLarge(DeskError):  # noqa: N818
    status, code = 413, "too_large"


class NotJson(DeskError):  # noqa: N818
    status, code = 415, "not_json"


class Invalid(DeskError):  # noqa: N818
    status, code = 422, "invalid"


class Unavailable(DeskError):  # noqa: N818
    status, code = 503, "lake_unavailable"
