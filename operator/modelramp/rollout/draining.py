"""
What a rollback says while it waits, beside why it began.
"""

from typing import Final

DRAINING: Final = "; draining"
"""The candidate's last requests end."""
NOBODY_TO_TAKE_OVER: Final = "; waiting for a ready endpoint of stable"
"""Nobody else could answer them."""


def why_it_began(message: str) -> str:
    """
    A rollback's message without what it waits for.
    """
    return message.removesuffix(DRAINING).removesuffix(NOBODY_TO_TAKE_OVER)
