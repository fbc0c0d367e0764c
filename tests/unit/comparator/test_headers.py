"""
What of a copy's headers its replays carry.
"""

import pytest

from modelramp.comparator.core.headers import is_replay, kept_headers

GIVEN = (
    ("Host", "fraud.test-shadow"),
    ("Content-Type", "application/json"),
    ("Content-Encoding", "gzip"),
    ("Content-Length", "12"),
    ("Accept-Encoding", "br"),
    ("Connection", "keep-alive, X-Hop"),
    ("X-Hop", "1"),
    ("Transfer-Encoding", "chunked"),
    ("TE", "trailers"),
    ("Proxy-Authorization", "Basic x"),
    ("X-Request-Id", "given"),
    ("traceparent", "00-1-2-01"),
    ("x-tenant", "a"),
    ("X-Tenant", "b"),
    ("x-bytes", "caf\udce9"),
    ("Authorization", "Bearer x"),
    ("Cookie", "a=b"),
    ("X-API-Key", "k"),
    ("x-shadow", "true"),
)
KEPT = (
    ("Content-Type", "application/json"),
    ("Content-Encoding", "gzip"),
    ("traceparent", "00-1-2-01"),
    ("x-tenant", "a"),
    ("X-Tenant", "b"),
)
CREDENTIALS = (("Authorization", "Bearer x"), ("Cookie", "a=b"), ("X-API-Key", "k"))


@pytest.mark.parametrize("credentials", [False, True], ids=["without credentials", "with them"])
def test_what_is_the_request_s_own_is_kept(*, credentials: bool) -> None:
    """
    Twice where it came twice; what is between neighbours, and what has no encoding, is not. Users' credentials go on
    when that is asked for, those for proxies never.
    """
    own = (*KEPT, *(CREDENTIALS if credentials else ()))
    wanted = (*own, ("x-request-id", "given"), ("x-shadow", "replay"))
    assert kept_headers(GIVEN, "given", credentials=credentials) == wanted


@pytest.mark.parametrize(
    ("header", "replay"),
    [(("X-Shadow", " Replay "), True), (("x-shadow", "true"), False), (("x-other", "replay"), False)],
)
def test_a_replay_is_known_by_its_mark(header: tuple[str, str], *, replay: bool) -> None:
    """
    Whatever the case; other programs mark their shadows otherwise.
    """
    assert is_replay([("a", "b"), header]) is replay


def test_every_replay_is_known_as_one() -> None:
    """
    What is sent is what is refused.
    """
    assert is_replay(kept_headers(GIVEN, "given", credentials=False))
