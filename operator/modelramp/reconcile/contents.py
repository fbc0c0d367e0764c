"""
The content of ConfigMaps that is part of a revision: read in every pass, since nobody watches them.
"""

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Final

from modelramp.api.document import MLModelDeployment
from modelramp.ports import Configs, Key, PortError

AGAIN: Final = timedelta(seconds=300)  # as often as the periodic list repairs what a watch missed


class NoConfigs:
    """
    There are none.
    """

    async def hashes(self, keys: tuple[Key, ...]) -> Mapping[Key, str]:  # noqa: ARG002 - of the port
        """
        Nothing.
        """
        return {}


async def with_contents(configs: Configs, deployment: MLModelDeployment) -> MLModelDeployment:
    """
    The object with what its ConfigMaps hold now; with what is remembered of them where they cannot be asked for.

    Raises:
        PortError: they cannot be asked for, and were never read: which revision is wanted is not known.
    """
    names = deployment.followed
    if not names:
        return deployment
    try:
        found = await configs.hashes(tuple(Key(deployment.namespace, name) for name in names))
    except PortError:
        if set(names) <= deployment.contents.keys():
            return deployment
        raise
    return replace(deployment, config={key.name: content for key, content in found.items()})


def look_again(deployment: MLModelDeployment, wake_at: datetime | None, now: datetime) -> datetime | None:
    """
    When to look at the object again, if not before: also what nobody tells of is seen some time.
    """
    if not deployment.followed:
        return wake_at
    return now + AGAIN if wake_at is None else min(wake_at, now + AGAIN)
