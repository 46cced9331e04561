from ipaddress import ip_address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from config.client_ip import came_over_tls, client_ip, networks

OURS = networks("127.0.0.1, 10.0.0.0/8, fd00::/8")


@pytest.mark.parametrize(
    ("peer", "forwarded", "real", "expected"),
    [
        ("203.0.113.9", None, None, "203.0.113.9"),
        ("203.0.113.9", "1.2.3.4", "1.2.3.4", "203.0.113.9"),  # a stranger's headers
        ("127.0.0.1", "1.2.3.4", None, "1.2.3.4"),
        ("127.0.0.1", "6.6.6.6, 1.2.3.4", None, "1.2.3.4"),  # the caller wrote 6.6.6.6
        ("127.0.0.1", "6.6.6.6, 1.2.3.4, 10.1.2.3", None, "1.2.3.4"),
        ("127.0.0.1", "10.1.1.1, 10.1.2.3", None, "10.1.1.1"),  # ours all the way: the first of them called
        ("127.0.0.1", "1.2.3.4, nonsense, 10.1.2.3", None, "10.1.2.3"),
        ("127.0.0.1", "nonsense", None, "127.0.0.1"),
        ("127.0.0.1", "", "1.2.3.4", "1.2.3.4"),
        ("127.0.0.1", None, " 1.2.3.4 ", "1.2.3.4"),
        ("127.0.0.1", None, "nonsense", "127.0.0.1"),
        ("127.0.0.1", "1.2.3.4", "5.6.7.8", "1.2.3.4"),
        ("127.0.0.1", "1.2.3.4:5678", None, "1.2.3.4"),
        ("127.0.0.1", '"[2001:db8::1]:443"', None, "2001:db8::1"),
        ("fd00::1", "2001:DB8:0::0001", None, "2001:db8::1"),
        ("::ffff:127.0.0.1", "1.2.3.4", None, "1.2.3.4"),
        ("::ffff:203.0.113.9", None, None, "203.0.113.9"),
        ("127.0.0.1", "::ffff:1.2.3.4", None, "1.2.3.4"),
        ("fe80::1%eth0", None, None, "fe80::1"),
        ("", "1.2.3.4", None, "1.2.3.4"),  # a Unix socket
    ],
)
def test_the_nearest_hop_that_is_not_ours(peer, forwarded, real, expected):
    assert client_ip(peer, forwarded, real, OURS) == expected


def test_without_trusted_proxies_no_header_is_believed():
    assert client_ip("127.0.0.1", "1.2.3.4", "1.2.3.4", ()) == "127.0.0.1"
    assert client_ip("", "1.2.3.4", "1.2.3.4", ()) == ""


@given(st.lists(st.ip_addresses().map(str) | st.text(max_size=12), max_size=5), st.ip_addresses())
def test_what_a_caller_writes_never_decides(written, caller):
    """The proxy at 127.0.0.1 appends the true caller; whatever stood there before makes no difference."""
    if any(ip_address(str(caller)) in network for network in OURS) or getattr(caller, "ipv4_mapped", None):
        return
    header = ",".join([*(part.replace(",", "") for part in written), str(caller)])
    assert client_ip("127.0.0.1", header, None, OURS) == str(ip_address(str(caller)))


def test_networks_are_read_leniently_and_refused_by_name():
    assert [str(network) for network in networks("10.1.2.3/8,, ::1 ")] == ["10.0.0.0/8", "::1/128"]
    with pytest.raises(ValueError, match="'nginx' is not a network"):
        networks("127.0.0.1,nginx")


@pytest.mark.parametrize(
    ("peer", "proto", "trusted", "expected"),
    [
        ("127.0.0.1", "https", OURS, True),
        ("127.0.0.1", " HTTPS ", OURS, True),
        ("127.0.0.1", "https, http", OURS, True),  # one proxy behind another
        ("", "https", OURS, True),  # a Unix socket
        ("127.0.0.1", "http", OURS, False),
        ("127.0.0.1", "", OURS, False),
        ("127.0.0.1", "https", (), False),
        ("203.0.113.9", "https", OURS, False),
    ],
)
def test_who_may_say_that_a_caller_came_over_tls(peer, proto, trusted, expected):
    assert came_over_tls(peer, proto, trusted) is expected
