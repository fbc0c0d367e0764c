"""
Single keys of Secrets and ConfigMaps that objects name. Read when needed, never watched, never listed.
"""

import base64
import binascii

from modelramp.adapters.kubernetes.resources import Resource
from modelramp.adapters.kubernetes.transport import Transport
from modelramp.ports import GoneError, Key, RefusedError

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
