"""
Own authorities, client certificates and tenants: over real TLS on loopback.
"""

import os
import traceback
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from unit.adapters.prometheus.authorities import Authority
from unit.adapters.prometheus.servers import QUESTION, Seconds, Seen, always, matrix, serving

from modelramp.adapters.prometheus import AddressPolicy, PrometheusSource
from modelramp.adapters.prometheus.apiclient import ApiClientSource
from modelramp.adapters.prometheus.tls import Certificates
from modelramp.api.spec import Prometheus
from modelramp.ports import DeniedError, GoneError, UnreachableError

OK = always(200, matrix({"metric": {"__name__": "m"}, "values": [[QUESTION.until.timestamp(), "1"]]}))
TRUSTED = {"secretRef": {"name": "tls", "key": "ca.crt"}}
CLIENT = {
    "certificateSecretRef": {"name": "tls", "key": "tls.crt"},
    "keySecretRef": {"name": "tls", "key": "tls.key"},
}
BEARER = {"secretRef": {"name": "token", "key": "token"}}


class Keys:
    """Secrets or ConfigMaps in memory."""

    def __init__(self, **values: str) -> None:
        """Hold values by key, whatever the object's name."""
        self.values = values
        self.reads = 0

    async def __call__(self, namespace: str, name: str, key: str) -> str:
        """As the port says."""
        self.reads += 1
        if key not in self.values:
            raise GoneError(f"{namespace}/{name}")
        return self.values[key]


@pytest.fixture(scope="module")
def ours(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    """Vouches for the server."""
    return Authority(tmp_path_factory.mktemp("ours"), "ours")


@pytest.fixture(scope="module")
def clients(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    """Vouches for clients."""
    return Authority(tmp_path_factory.mktemp("clients"), "clients")


def spec(**fields: Any) -> Prometheus:  # noqa: ANN401 - JSON
    """How an object names its source."""
    return Prometheus.model_validate(fields)


def secrets_of(authority: Authority, clients: Authority | None = None) -> Keys:
    """The Secret's keys as cert-manager writes them."""
    values = {"ca.crt": authority.pem, "token": "s3cr3t-token"}
    if clients is not None:
        values["tls.crt"], values["tls.key"] = clients.issue("operator")
    return Keys(**values)


@asynccontextmanager
async def source_for(
    seen: Seen, secrets: Keys, config_maps: Keys | None = None, clock: Seconds | None = None
) -> AsyncIterator[PrometheusSource]:
    """The operator's adapter."""
    policy = AddressPolicy(seen.url)
    async with PrometheusSource(
        policy, secrets, jitter=lambda: 0.0, monotonic=clock or Seconds(), read_config_map=config_maps
    ) as source:
        yield source


async def test_the_authority_of_a_secret_is_trusted(ours: Authority) -> None:
    """And the system's are not needed."""
    async with serving(OK, tls=ours.server()) as seen, source_for(seen, secrets_of(ours)) as source:
        assert await source.samples("shop", spec(authorities=TRUSTED), QUESTION)


async def test_the_authority_of_a_config_map_is_trusted(ours: Authority) -> None:
    """As bundles are often given."""
    trusted = {"configMapKeyRef": {"name": "bundle", "key": "ca.crt"}}
    async with (
        serving(OK, tls=ours.server()) as seen,
        source_for(seen, Keys(), Keys(**{"ca.crt": ours.pem})) as source,
    ):
        assert await source.samples("shop", spec(authorities=trusted), QUESTION)


async def test_only_the_given_authority_is_trusted(ours: Authority, clients: Authority) -> None:
    """Nothing is sent to a server it does not vouch for, nor to one of another name."""
    for tls in (clients.server(), ours.server(address="127.0.0.2")):
        async with serving(OK, tls=tls) as seen, source_for(seen, secrets_of(ours)) as source:
            with pytest.raises(UnreachableError, match="certificate is not trusted"):
                await source.samples("shop", spec(authorities=TRUSTED, auth={"bearer": BEARER}), QUESTION)
        assert seen.paths == []


async def test_what_one_object_trusts_another_does_not(ours: Authority) -> None:
    """Connections are not shared between them, nor is the pause after a failure."""
    async with serving(OK, tls=ours.server()) as seen, source_for(seen, secrets_of(ours)) as source:
        for _ in range(3):
            with pytest.raises(UnreachableError, match="certificate is not trusted"):
                await source.samples("bank", spec(), QUESTION)
            assert await source.samples("shop", spec(authorities=TRUSTED), QUESTION)


@pytest.mark.parametrize("auth", [{}, {"bearer": BEARER}], ids=["alone", "with a token"])
async def test_a_client_certificate_is_shown(ours: Authority, clients: Authority, auth: dict[str, Any]) -> None:
    """Alone, or beside a token."""
    wanted = spec(authorities=TRUSTED, auth={**auth, "clientCertificate": CLIENT})
    async with (
        serving(OK, tls=ours.server(clients=clients)) as seen,
        source_for(seen, secrets_of(ours, clients)) as source,
    ):
        assert await source.samples("shop", wanted, QUESTION)
        assert [("Authorization" in sent) for sent in seen.headers] == ["bearer" in auth]


async def test_a_server_that_wants_a_certificate_gives_nothing_without(ours: Authority, clients: Authority) -> None:
    """Without one, with one of an authority it does not know, and through another object's connection."""
    shown = spec(authorities=TRUSTED, auth={"clientCertificate": CLIENT})
    async with serving(OK, tls=ours.server(clients=clients)) as seen:
        for secrets, wanted in ((secrets_of(ours), spec(authorities=TRUSTED)), (secrets_of(ours, ours), shown)):
            async with source_for(seen, secrets) as source:
                with pytest.raises(UnreachableError, match=r"TLS failed|want another client certificate"):
                    await source.samples("shop", wanted, QUESTION)
        assert seen.paths == []
        async with source_for(seen, secrets_of(ours, clients)) as source:
            await source.samples("shop", shown, QUESTION)
            with pytest.raises(UnreachableError, match=r"TLS failed|want another client certificate"):
                await source.samples("shop", spec(authorities=TRUSTED), QUESTION)


async def test_a_renewed_certificate_is_used_within_a_minute(ours: Authority, clients: Authority) -> None:
    """cert-manager replaces them without notice."""
    secrets, clock = secrets_of(ours, clients), Seconds()
    shown = spec(authorities=TRUSTED, auth={"clientCertificate": CLIENT})
    async with serving(OK, tls=ours.server(clients=clients)) as seen, source_for(seen, secrets, clock=clock) as source:
        assert await source.samples("shop", shown, QUESTION)
        secrets.values["tls.crt"], secrets.values["tls.key"] = ours.issue("stranger")
        assert await source.samples("shop", shown, QUESTION)
        clock.now += 61
        with pytest.raises(UnreachableError, match=r"TLS failed|want another client certificate"):
            await source.samples("shop", shown, QUESTION)


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"ca.crt": "no certificate"}, "spec.analysis.prometheus.authorities: it is not PEM"),
        ({"ca.crt": ""}, "spec.analysis.prometheus.authorities: it is not PEM"),
        ({"tls.crt": "garbage"}, "spec.analysis.prometheus.auth.clientCertificate: it is not PEM"),
        ({"tls.key": "garbage"}, "spec.analysis.prometheus.auth.clientCertificate: it is not PEM"),
        (
            {"tls.key": None},
            "spec.analysis.prometheus.auth.clientCertificate.keySecretRef: there is no Secret shop/tls",
        ),
        ({"ca.crt": None}, "spec.analysis.prometheus.authorities: there is no Secret shop/tls with the key ca.crt"),
    ],
)
async def test_what_cannot_be_used_is_denied_with_its_field(
    ours: Authority, clients: Authority, changes: dict[str, str | None], says: str
) -> None:
    """And shows nothing of the key."""
    secrets = secrets_of(ours, clients)
    key = secrets.values["tls.key"]
    for name, value in changes.items():
        secrets.values.pop(name)
        if value is not None:
            secrets.values[name] = value
    wanted = spec(authorities=TRUSTED, auth={"clientCertificate": CLIENT})
    async with serving(OK, tls=ours.server()) as seen, source_for(seen, secrets) as source:
        with pytest.raises(DeniedError) as failed:
            await source.samples("shop", wanted, QUESTION)
        assert seen.paths == []
    assert str(failed.value).startswith(says)
    assert key.splitlines()[1] not in "".join(traceback.format_exception(failed.value))


async def test_certificates_belong_together(ours: Authority, clients: Authority) -> None:
    """The key of another certificate is refused before anything is sent."""
    secrets = secrets_of(ours, clients)
    secrets.values["tls.key"] = ours.issue("other")[1]
    wanted = spec(authorities=TRUSTED, auth={"clientCertificate": CLIENT})
    async with serving(OK, tls=ours.server()) as seen, source_for(seen, secrets) as source:
        with pytest.raises(DeniedError, match="do not belong together"):
            await source.samples("shop", wanted, QUESTION)


async def test_nothing_of_tls_is_asked_for_without_encryption() -> None:
    """An http address with certificates is a mistake, and no Secret is read for it."""
    secrets = Keys()
    for fields, field in (({"authorities": TRUSTED}, "authorities"), ({"auth": {"clientCertificate": CLIENT}}, "auth")):
        async with serving(OK) as seen, source_for(seen, secrets) as source:
            with pytest.raises(DeniedError, match=f"prometheus.{field}.* needs an address that begins with https"):
                await source.samples("shop", spec(**fields), QUESTION)
            assert (seen.paths, secrets.reads) == ([], 0)


async def test_config_maps_are_not_read_where_nobody_may() -> None:
    """The installation decides."""
    trusted = {"configMapKeyRef": {"name": "bundle", "key": "ca.crt"}}
    async with PrometheusSource(AddressPolicy("https://127.0.0.1:1"), Keys(), jitter=lambda: 0.0) as source:
        with pytest.raises(DeniedError, match="ConfigMaps are not read here"):
            await source.samples("shop", spec(authorities=trusted), QUESTION)


async def test_the_tenant_is_a_header() -> None:
    """Beside credentials or alone; by both adapters."""
    async with serving(OK) as seen:
        secrets = Keys(token="s3cr3t-token")  # noqa: S106 - made up
        async with source_for(seen, secrets) as source:
            await source.samples("shop", spec(tenant="team-a"), QUESTION)
            await source.samples("shop", spec(tenant="(b)'*!_.", auth={"bearer": BEARER}), QUESTION)
            await source.samples("shop", spec(), QUESTION)
        await ApiClientSource(AddressPolicy(seen.url), secrets).samples("shop", spec(tenant="c"), QUESTION)
    assert [sent.get("X-Scope-OrgID") for sent in seen.headers] == ["team-a", "(b)'*!_.", None, "c"]
    assert seen.headers[1]["Authorization"] == "Bearer s3cr3t-token"


async def test_the_command_line_says_what_it_does_not_do(ours: Authority) -> None:
    """It must not ask with less than the object wants."""
    async with serving(OK, tls=ours.server()) as seen:
        for fields in ({"authorities": TRUSTED}, {"auth": {"clientCertificate": CLIENT}}):
            with pytest.raises(DeniedError, match="the command line"):
                await ApiClientSource(AddressPolicy(seen.url), secrets_of(ours)).samples(
                    "shop", spec(**fields), QUESTION
                )
    assert seen.paths == []


def test_a_private_key_is_on_no_disk_and_in_no_text(ours: Authority, monkeypatch: pytest.MonkeyPatch) -> None:
    """The file OpenSSL reads it from is in memory; without such files the other way works too."""
    certificate, key = ours.issue("printed")
    made = Certificates(ours.pem, certificate, key)
    assert key.splitlines()[1] not in repr(made)
    assert made.client_side() is Certificates(ours.pem, certificate, key).client_side()
    before = len(list(Path("/proc/self/fd").iterdir()))
    for _ in range(3):
        Certificates(None, certificate, f"{key}\n").client_side()
    assert len(list(Path("/proc/self/fd").iterdir())) == before
    monkeypatch.delattr(os, "memfd_create")
    assert Certificates(None, certificate, f"{key}\n\n").client_side().check_hostname


@pytest.mark.parametrize(
    ("fields", "says"),
    [
        ({"auth": {}}, "exactly one of bearer and basic"),
        (
            {"auth": {"bearer": BEARER, "basic": {"username": "u", "passwordSecretRef": BEARER["secretRef"]}}},
            "exactly one",
        ),
        ({"auth": {"clientCertificate": {"keySecretRef": CLIENT["keySecretRef"]}}}, "certificateSecretRef"),
        ({"authorities": {}}, "exactly one of secretRef and configMapKeyRef"),
        ({"authorities": {**TRUSTED, "configMapKeyRef": TRUSTED["secretRef"]}}, "exactly one of secretRef"),
        ({"tenant": ""}, "tenant"),
        ({"tenant": "a|b"}, "tenant"),
        ({"tenant": "a\r\nX-Injected: 1"}, "tenant"),
        ({"tenant": "x" * 151}, "tenant"),
    ],
)
def test_what_does_not_fit_together_is_no_spec(fields: dict[str, Any], says: str) -> None:
    """As the API server says it by CEL."""
    with pytest.raises(ValueError, match=says):
        spec(**fields)
