"""
Types of fields that several parts of the spec share.
"""

from typing import Annotated, Final

from pydantic import Field

DNS_LABEL: Final = r"^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$"
DNS_NAME: Final = r"^[a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?$"
HOSTNAME: Final = r"^(\*\.)?[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$"
PLAIN_HOST: Final = (  # no wildcard, no address: the last label begins with a letter
    r"^([a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?\.)*[a-z]([-a-z0-9]{0,61}[a-z0-9])?$"
)
VERSION_LABEL: Final = r"^[A-Za-z0-9]([A-Za-z0-9._-]{0,61}[A-Za-z0-9])?$"

DnsLabel = Annotated[str, Field(pattern=DNS_LABEL, max_length=63)]
DnsName = Annotated[str, Field(pattern=DNS_NAME, max_length=253)]
Hostname = Annotated[str, Field(pattern=HOSTNAME, max_length=253)]
PlainHost = Annotated[str, Field(pattern=PLAIN_HOST, max_length=253)]
Port = Annotated[int, Field(ge=1, le=65535, strict=True)]
