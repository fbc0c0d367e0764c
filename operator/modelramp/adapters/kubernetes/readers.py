"""
Single keys of Secrets and ConfigMaps that objects name, and what the latter hold as a whole. Read when needed, never
watched, never listed.
"""

import base64
import binascii
from collections.abc import Mapping

from modelramp.adapters.kubernetes.resources import Resource
from modelramp.adapters.kubernetes.transport import Transport
from modelramp.api.identity import content_hash
from modelramp.ports import DeniedError, GoneError, Key, RefusedError

SECRETS = Resource("v1", "Secret", "secrets")
CONFIG_MAPS = Resource("v1", "ConfigMap", "configmaps")


class SecretKeys:
    """
    Reads Secrets; the installation's role names which ones may be read.
    """

    def __init__(self, transport: Transport) -> None:
        """
        Asks nothing yet.
        """
        self._transport = transport

    async def __call__(self, namespace: str, name: str, key: str) -> str:
        """
        The decoded value.

        Raises:
            GoneError: there is no such Secret, or it has no such key.
            DeniedError: the operator may not read it.
            RefusedError: the value is no text.
        """
        document = await self._transport.get(SECRETS, Key(namespace, name))
        encoded = (document.get("data") or {}).get(key)
        if encoded is None:
            raise GoneError(f"the Secret {name} has no key {key}")
        try:
            return base64.b64decode(encoded, validate=True).decode()
        except (binascii.Error, UnicodeDecodeError):
            raise RefusedError(f"the key {key} of the Secret {name} is no text") from None


class ConfigMapKeys:
    """
    Reads ConfigMaps.
    """

    def __init__(self, transport: Transport) -> None:
        """
        Asks nothing yet.
        """
        self._transport = transport

    async def __call__(self, namespace: str, name: str, key: str) -> str:
        """
        The value.

        Raises:
            GoneError: there is no such ConfigMap, or it has no such key.
            DeniedError: the operator may not read it.
        """
        document = await self._transport.get(CONFIG_MAPS, Key(namespace, name))
        value = (document.get("data") or {}).get(key)
        if value is None:
            raise GoneError(f"the ConfigMap {name} has no key {key}")
        return str(value)


class ConfigContents:
    """
    Port `Configs` over the API server: reads whole ConfigMaps.
    """

    def __init__(self, transport: Transport) -> None:
        """
        Asks nothing yet.
        """
        self._transport = transport

    async def hashes(self, keys: tuple[Key, ...]) -> Mapping[Key, str]:
        """
        Hashes of what they hold now; those that do not exist, or may not be read, are left out: to make a revision of
        them is refused, and says why.

        Raises:
            UnreachableError: no answer was to be had.
        """
        found = {}
        for key in keys:
            try:
                found[key] = content_hash(await self._transport.get(CONFIG_MAPS, key))
            except (GoneError, DeniedError):
                continue
        return found
