"""Addresses from users are hostile: what is allowed, what is not, and what only looks allowed."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelramp.adapters.prometheus.policy import Address, AddressPolicy
from modelramp.ports import DeniedError

DEFAULT = "http://prometheus.monitoring.svc:9090"
ALLOWED = (
    "https://thanos.example.com/team",
    "http://10.1.2.3:9090",
    "https://[2001:DB8::1]:8443",
    "http://rooted.test.",
)
POLICY = AddressPolicy(DEFAULT, ALLOWED)


@pytest.mark.parametrize(
    ("written", "asked"),
    [
        (None, "http://prometheus.monitoring.svc:9090"),
        ("http://prometheus.monitoring.svc:9090", "http://prometheus.monitoring.svc:9090"),
        ("http://prometheus.monitoring.svc:9090/", "http://prometheus.monitoring.svc:9090"),
        ("HTTP://Prometheus.Monitoring.SVC:9090", "http://prometheus.monitoring.svc:9090"),
        ("http://prometheus.monitoring.svc.:9090", "http://prometheus.monitoring.svc:9090"),
        ("https://thanos.example.com/team", "https://thanos.example.com:443/team"),
        ("https://thanos.example.com:443/team/", "https://thanos.example.com:443/team"),
        ("https://thanos.example.com:0443/team/blue", "https://thanos.example.com:443/team/blue"),
        ("http://10.1.2.3:9090/any/path", "http://10.1.2.3:9090/any/path"),
        ("https://[2001:db8:0:0::1]:8443", "https://[2001:db8::1]:8443"),
        ("http://rooted.test", "http://rooted.test.:80"),
    ],
)
def test_allowed_addresses_are_asked_as_the_installation_spells_them(written: str | None, asked: str) -> None:
    """Another spelling of an allowed origin is allowed, and never reaches the resolver."""
    assert asked == POLICY.resolve(written).url


@pytest.mark.parametrize(
    "written",
    [
        "https://prometheus.monitoring.svc:9090",  # another scheme
        "http://prometheus.monitoring.svc",  # another port
        "http://prometheus.monitoring.svc:9091",
        "http://prometheus.monitoring.svc:9090/beneath",  # the default is itself only
        "http://prometheus.monitoring.svc.evil.test:9090",
        "http://evil.test",
        "http://169.254.169.254",
        "http://localhost:9090",
        "http://[::1]:9090",
        "http://[::ffff:10.1.2.3]:9090",
        "https://thanos.example.com",  # above the allowed path
        "https://thanos.example.com/teams",  # a prefix by letters, not by segments
        "https://thanos.example.com/other/team",
        "https://sub.thanos.example.com/team",
        "http://rooted.test.:81",
    ],
)
def test_other_addresses_are_denied_with_the_way_out(written: str) -> None:
    """The message names the field, what is allowed, and the Helm value."""
    with pytest.raises(DeniedError) as denied:
        POLICY.resolve(written)
    message = str(denied.value)
    assert message.startswith("spec.analysis.prometheus.address: ")
    assert "https://thanos.example.com:443/team" in message
    assert "prometheus.allowedAddresses" in message


@pytest.mark.parametrize(
    "written",
    [
        "",
        "prometheus.monitoring.svc:9090",
        "//prometheus.monitoring.svc:9090",
        "ftp://prometheus.monitoring.svc:9090",
        "file:///etc/passwd",
        "http://user@prometheus.monitoring.svc:9090",
        "http://user:pass@prometheus.monitoring.svc:9090",
        "http://prometheus.monitoring.svc:9090@evil.test",
        "http://evil.test#@prometheus.monitoring.svc:9090",
        "http://prometheus.monitoring.svc:9090\\@evil.test",
        "http://evil.test\\.prometheus.monitoring.svc:9090",
        "http://prometheus.monitoring.svc:9090?x=y",
        "http://prometheus.monitoring.svc:9090/?",
        "http://prometheus.monitoring.svc:9090/#",
        "http://prometheus%2emonitoring.svc:9090",
        "https://thanos.example.com/team/%2e%2e/other",
        "https://thanos.example.com/team/../other",
        "https://thanos.example.com/team/./x",
        "https://thanos.example.com/team//x",
        "https://thanos.example.com/team/..",
        "http://prometheus.monitoring.svc..:9090",
        "http://.prometheus.monitoring.svc:9090",
        "http://prometheus.monitoring.svc:9090\n",
        "http://prometheus.\tmonitoring.svc:9090",
        " http://prometheus.monitoring.svc:9090",
        "http://prometheus.monitoring.svc:",
        "http://prometheus.monitoring.svc:0",
        "http://prometheus.monitoring.svc:65536",
        "http://prometheus.monitoring.svc:٩٠٩٠",
        "http://prometheu\u017f.monitoring.svc:9090",  # a letter whose upper case is S
        "http\u017f://prometheus.monitoring.svc:9090",
        "https://thanos.example.com/team/\u017f",
        "https://thanos.example.com/team/\u212a",  # the Kelvin sign
        "http://167838211:9090",  # 10.1.2.3 in one number
        "http://0x0a010203:9090",
        "http://10.1.515:9090",
        "http://012.01.02.03:9090",
        "http://0x0a.1.2.3:9090",
        "http://[2001:db8::1%eth0]:8443",
        "http://[2001:db8::1",
        "http://2001:db8::1:8443",
        "http://[]:80",
        "http://-a.test",
        f"http://{'a' * 64}.test",
        "http://a/" + "b" * 600,
    ],
)
def test_what_parsers_disagree_about_is_no_address(written: str) -> None:
    """Denied without repeating it, as it may hold a password."""
    with pytest.raises(DeniedError, match=r"^spec\.analysis\.prometheus\.address: ") as denied:
        POLICY.resolve(written)
    assert "pass" not in str(denied.value)


def test_no_address_at_all_names_field_and_value() -> None:
    """An installation without a default needs one in each object."""
    with pytest.raises(
        DeniedError, match=r"spec\.analysis\.prometheus\.address is not set.*Helm value prometheus\.address"
    ):
        AddressPolicy(None, ALLOWED).resolve(None)


def test_without_an_allow_list_only_the_default_is_asked() -> None:
    """The message says so."""
    with pytest.raises(DeniedError, match="allowed: none"):
        AddressPolicy(None).resolve(DEFAULT)


@pytest.mark.parametrize(("default", "allowed"), [("http://u:secret@h", ()), (None, ("http://h?secret",))])
def test_malformed_settings_fail_at_once(default: str | None, allowed: tuple[str, ...]) -> None:
    """The operator does not start with them, and does not print them."""
    with pytest.raises(ValueError, match=r"^prometheus\.(address|allowedAddresses): ") as failed:
        AddressPolicy(default, allowed)
    assert "secret" not in str(failed.value)


@given(
    st.text(alphabet="htps:/.@[]%\\#?-_~aA0139x \n", max_size=60) | st.from_regex(r"https?://[a-z0-9.@:/\[\]%-]{1,40}")
)
def test_whatever_is_allowed_has_an_allowed_origin(written: str) -> None:
    """For any text: denied, or one of the origins that the installation names."""
    origins = {Address.parse(one).origin for one in (DEFAULT, *ALLOWED)}
    try:
        address = POLICY.resolve(written)
    except DeniedError:
        return
    assert address.origin in origins


@given(
    st.from_regex(
        r"https?://[a-zA-Z][a-zA-Z0-9]{0,8}(\.[a-zA-Z]{1,5}){0,3}\.?(:[1-9][0-9]{0,3})?(/[a-z.]{3,5}x){0,3}/?",
        fullmatch=True,
    )
)
def test_an_address_reads_back_as_itself(written: str) -> None:
    """Writing and parsing again changes nothing."""
    address = Address.parse(written)
    assert address == Address.parse(address.url)
