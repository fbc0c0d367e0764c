"""
The headers of a copied request that its replays carry on.
"""

from collections.abc import Iterable
from typing import Final

REQUEST_ID: Final = "x-request-id"
LOOP_HEADER: Final = "x-shadow"
REPLAY: Final = "replay"

# RFC 9110, 7.6.1: between two neighbours only.
_HOP_BY_HOP: Final = frozenset(
    {
        "connection",
        "keep-alive",
        "proxy-authenticate",
        "proxy-authorization",
        "proxy-connection",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
    }
)
# What the client library writes itself, for the body it sends and the answers it can unpack.
_OWN: Final = frozenset({"accept-encoding", "content-length", "expect", "host", LOOP_HEADER, REQUEST_ID})
_CREDENTIALS: Final = frozenset({"api-key", "authorization", "cookie", "x-api-key"})

Headers = Iterable[tuple[str, str]]


def is_replay(headers: Headers) -> bool:
    """
    The request is a replay itself: taking it would make a loop.
    """
    return any(name.lower() == LOOP_HEADER and value.strip().lower() == REPLAY for name, value in headers)


def kept_headers(headers: Headers, request_id: str, *, credentials: bool) -> tuple[tuple[str, str], ...]:
    """
    The headers of the replays: those of the copy, its id, and the mark of a replay.

    Without `credentials`, the user's own are left out: the gateway has checked them, and a candidate that is only tried
    out is not to act in a user's name.
    """
    given = tuple(headers)
    named = {one.strip().lower() for name, value in given if name.lower() == "connection" for one in value.split(",")}
    dropped = _HOP_BY_HOP | _OWN | named | (frozenset() if credentials else _CREDENTIALS)
    kept = (*((name, value) for name, value in given if name.lower() not in dropped), (REQUEST_ID, request_id))
    return (*((name, value) for name, value in kept if _has_encoding(value)), (LOOP_HEADER, REPLAY))


def _has_encoding(value: str) -> bool:
    """
    Bytes that are no UTF-8 are read as halves of surrogate pairs, which cannot be written again.
    """
    return not any("\ud800" <= character <= "\udfff" for character in value)
