from decimal import Decimal

from modelramp.adapters.gateway.undoings import UNDOINGS, WITHIN_SECONDS, Undoings
from modelramp.ports import Key

KEY, OTHER = Key("ml", "fraud"), Key("ml", "risk")
OURS = {"a": Decimal(95), "b": Decimal(5)}


class Seen:
    """
    What a test makes others do, with a clock it turns itself.
    """

    def __init__(self) -> None:
        self.seconds = 0.0
        self.version = 0
        self.undoings = Undoings(lambda: self.seconds)
        self.undoings.wrote(KEY, OURS)

    def undone(self, by: str = "argocd-controller", *, shares: dict[str, Decimal] | None = None) -> None:
        self.version += 1
        self.undoings.seen(KEY, str(self.version), shares or {}, by)

    @property
    def fought_by(self) -> str | None:
        return self.undoings.fought_by(KEY)


def test_the_third_undoing_is_a_fight() -> None:
    """Each who took part is named once."""
    seen = Seen()
    for writer in ("flux", "argocd-controller"):
        seen.undone(writer)
        assert seen.fought_by is None
    seen.undone()
    assert str(seen.fought_by).startswith(
        "flux and argocd-controller, which undid the shares 3 times within 10 minutes"
    )
    assert seen.undoings.fought_by(OTHER) is None


def test_the_same_version_counts_once() -> None:
    """The route is looked at in every cycle."""
    seen = Seen()
    for _ in range(UNDOINGS):
        seen.undoings.seen(KEY, "7", {}, "argocd-controller")
    assert seen.fought_by is None


def test_what_leaves_the_shares_alone_is_no_undoing() -> None:
    """Nor is what nobody else wrote, or what nothing was written to before."""
    seen = Seen()
    for _ in range(UNDOINGS):
        seen.undone(shares=dict(OURS))
        seen.undone(by="")
        seen.undoings.seen(OTHER, str(seen.version), {}, "argocd-controller")
    assert (seen.fought_by, seen.undoings.fought_by(OTHER)) == (None, None)


def test_undoings_far_apart_are_deploys() -> None:
    """Only the last three within ten minutes are a fight, and it ends when they are past."""
    seen = Seen()
    for _ in range(2 * UNDOINGS):
        seen.undone()
        assert seen.fought_by is None
        seen.seconds += WITHIN_SECONDS / 2 + 1
    for _ in range(UNDOINGS):
        seen.undone()
    assert seen.fought_by is not None
    seen.seconds += WITHIN_SECONDS + 1
    assert seen.fought_by is None


def test_a_released_object_has_no_past() -> None:
    """Its name may come again."""
    seen = Seen()
    for _ in range(UNDOINGS):
        seen.undone()
    seen.undoings.forget(KEY)
    assert seen.fought_by is None
