"""
From an answer of the API server to the error of the ports that says who must act.
"""

import json
from collections.abc import Mapping
from typing import Any, Final

from modelramp.ports import ConflictError, DeniedError, GoneError, PortError, RefusedError, UnreachableError

_LONGEST_MESSAGE: Final = 1024
_BAD_REQUEST, _UNAUTHORIZED, _FORBIDDEN, _NOT_FOUND, _CONFLICT, _UNPROCESSABLE = 400, 401, 403, 404, 409, 422
_REFUSALS: Final = frozenset({_BAD_REQUEST, 405, 406, 413, 415, _UNPROCESSABLE})
# Server-side apply answers 500 for a document that does not fit the schema, though no repetition helps.
_UNTYPABLE: Final = "failed to create typed patch object"

UNTESTED: Final = "the server rejected our request due to an error in our request"
"""All that the API server says of a JSON Patch whose tests do not hold."""


class ExistsError(ConflictError):
    """
    An object of that name exists already.
    """


def _status_of(body: bytes) -> Mapping[str, Any]:
    try:
        status = json.loads(body)
    except ValueError:
        return {}
    return status if isinstance(status, dict) and status.get("kind") == "Status" else {}


def _causes(status: Mapping[str, Any]) -> set[str]:
    return {cause.get("reason", "") for cause in (status.get("details") or {}).get("causes") or ()}


def _not_found(status: Mapping[str, Any], what: str, message: str) -> PortError:
    """
    The object, or its namespace, is missing; or, when the answer names no object, the whole kind is.
    """
    if (status.get("details") or {}).get("name"):
        return GoneError(message)
    return RefusedError(f"{what}: the API server does not know this kind; is its CustomResourceDefinition installed?")


def fault(code: int, body: bytes, verb: str, what: str) -> PortError:
    """
    The error for an answer that is no success.

    `verb` is the right that was used, as roles name it, and `what` the object, for the message. Of the answer only
    the server's own message is repeated, never what was sent.
    """
    status = _status_of(body)
    message = str(status.get("message") or f"answer {code}")[:_LONGEST_MESSAGE]
    if code == _NOT_FOUND:
        return _not_found(status, what, message)
    if code == _CONFLICT:
        return (ExistsError if status.get("reason") == "AlreadyExists" else ConflictError)(message)
    if code == _FORBIDDEN and "NamespaceTerminating" in _causes(status):
        return GoneError(message)
    if code in {_UNAUTHORIZED, _FORBIDDEN}:
        return DeniedError(f"not allowed to {verb} {what}: {message}")
    if code in _REFUSALS or _UNTYPABLE in message:
        return RefusedError(message)
    return UnreachableError(f"{verb} {what}: {message}")
