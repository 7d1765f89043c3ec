"""Webhooks are sent to globally routable unicast addresses alone, whatever form an address is written in.

`64:ff9b:1::` (NAT64), `fec0::` (site-local) and `::127.0.0.1` (IPv4-compatible) were taken.
"""

import asyncio
import ipaddress

import pytest
from httpx import URL
from hypothesis import given
from hypothesis import strategies as st
from test_recipients import QUICK, add, letters, listening, until

from covey_consent.access.roles import Role
from covey_consent.errors import RequestError
from covey_consent.recipients import addresses

NOT_PUBLIC = {
    "NAT64": ["64:ff9b::", "64:ff9b::7f00:1", "64:ff9b::808:808", "64:ff9b:1::7f00:1", "64:ff9b:1::808:808"],
    "site-local": ["fec0::", "fec0::1", "feff:ffff::1"],
    "IPv4-compatible": ["::127.0.0.1", "::10.0.0.1", "::8.8.8.8", "::2"],
    "IPv4-mapped": ["::ffff:127.0.0.1", "::ffff:10.0.0.1", "::ffff:8.8.8.8"],
    "IPv4-translated": ["::ffff:0:127.0.0.1", "::ffff:0:8.8.8.8"],
    "6to4": ["2002:7f00:1::", "2002:a00:1::1", "2002:808:808::1"],
    "Teredo": ["2001::1", "2001:0:4136:e378:8000:63bf:80ff:fffe"],
    "ISATAP": ["2606:4700::5efe:7f00:1", "2606:4700::200:5efe:a00:1"],
    "discard": ["100::1", "100:0:0:1::1"],
    "segment routing": ["5f00::1"],
    "documentation": ["2001:db8::1", "3fff::1", "192.0.2.1", "198.51.100.1", "203.0.113.1"],
    "ORCHID, benchmarks": ["2001:10::1", "2001:20::1", "2001:2::1", "198.18.0.1", "198.19.255.255"],
    "link-local": ["fe80::1", "fe80::1%eth0", "169.254.169.254"],
    "private": ["fc00::1", "fd00:ec2::254", "10.0.0.1", "172.16.0.1", "192.168.1.1", "100.64.0.1"],
    "loopback, unspecified": ["::1", "::", "127.0.0.1", "127.255.255.255", "0.255.255.255"],
    "multicast": ["ff02::1", "ff0e::1", "224.0.0.1", "239.255.255.255"],
    "protocols' own": ["192.0.0.1", "192.0.0.9", "192.0.0.170", "192.88.99.1", "192.175.48.1"],
    "not given out": ["4000::1", "e000::1", "1::1", "240.0.0.1", "255.255.255.255"],
}  # fmt: skip
PUBLIC = [
    "1.1.1.1",
    "8.8.8.8",
    "223.255.255.254",
    "172.32.0.1",
    "2606:4700::1111",
    "2a00:1450:4001::1",
    "2400::1",
]


@pytest.mark.parametrize("address", [one for kind in NOT_PUBLIC.values() for one in kind])
def test_addresses_that_are_not_public(address):
    assert not addresses.is_public(address)
    bare = address.partition("%")[0]
    host = f"[{bare}]" if ":" in bare else bare
    with pytest.raises(RequestError, match="not public"):
        addresses.check_url(f"https://{host}/hook", private=False)


@pytest.mark.parametrize("address", PUBLIC)
def test_addresses_that_are_public(address):
    assert addresses.is_public(address)


_V4 = st.ip_addresses(v=4)


@given(_V4)
def test_no_form_of_an_ipv4_address_in_ipv6_is_public(v4):
    inner = int(v4)
    for base in ("::", "::ffff:0:0", "::ffff:0:0:0", "64:ff9b::", "64:ff9b:1::", "2606:4700::5efe:0:0"):
        assert not addresses.is_public(str(ipaddress.IPv6Address(int(ipaddress.IPv6Address(base)) + inner)))
    assert not addresses.is_public(str(ipaddress.IPv6Address(0x2002 << 112 | inner << 80)))
    assert not addresses.is_public(str(ipaddress.IPv6Address(0x20010000 << 96 | inner)))


@given(st.ip_addresses())
def test_what_is_public_is_global_unicast(ip):
    if addresses.is_public(str(ip)):
        assert ip.is_global
        assert not ip.is_multicast
        assert not ip.is_reserved


@pytest.mark.parametrize("port", ["0", "65536", "99999"])
def test_a_recipient_at_no_port_is_refused(port):
    with pytest.raises(RequestError, match="port"):
        addresses.check_url(f"https://mail.example:{port}/", private=False)


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_a_connection_to_an_address_that_is_not_public_carries_nothing(opened, monkeypatch):
    """The address that was looked up is one thing, where the connection leads is another."""

    async def resolve(url: URL, *, private: bool) -> str:
        return "127.0.0.1"

    monkeypatch.setattr(addresses, "resolve", resolve)
    with listening(200) as ear, opened(**QUICK | {"private_recipients": False}, recipient_tries=1) as shop:
        add(shop, f"https://mail.example:{ear.port}/")
        phone = shop.phone()
        shop.grant(phone, "train")
        shop.withdraw(phone, "train")
        until(lambda: [one.state for one in letters(shop)] == ["dead"], "it was given up")
        assert "not public" in letters(shop)[0].answer
    assert ear.received == []


def test_every_address_of_a_name_has_to_be_public(monkeypatch):
    """A name that stands for a public and a private address is refused; what is called is what was judged."""

    async def scene(found: list[str]) -> str:
        async def getaddrinfo(host, port, **_):
            return [(0, 0, 0, "", (one, port)) for one in found]

        monkeypatch.setattr(asyncio.get_running_loop(), "getaddrinfo", getaddrinfo)
        return await addresses.resolve(URL("https://mail.example/"), private=False)

    for found in (["1.1.1.1", "127.0.0.1"], ["fec0::1"], ["1.1.1.1", "64:ff9b:1::1"]):
        with pytest.raises(RequestError, match="not public"):
            asyncio.run(scene(found))
    assert asyncio.run(scene(["1.1.1.1", "2606:4700::1111"])) == "1.1.1.1"


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_a_redirect_to_an_inner_address_is_not_followed(opened, monkeypatch):
    with listening(200) as inner, listening(307) as ear, opened(**QUICK, recipient_tries=1) as shop:
        monkeypatch.setattr(type(ear), "url", inner.url)  # Where it redirects to.
        add(shop, f"http://127.0.0.1:{ear.port}/")
        phone = shop.phone()
        shop.grant(phone, "train")
        shop.withdraw(phone, "train")
        until(lambda: [one.state for one in letters(shop)] == ["dead"], "it was given up")
        assert letters(shop)[0].answer == "HTTP 307"
    assert inner.received == []
    assert len(ear.received) == 1


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
@pytest.mark.parametrize("host", ["[64:ff9b:1::a00:1]", "[fec0::1]", "[::127.0.0.1]", "[::ffff:8.8.8.8]"])
def test_the_route_refuses_them(shop, problem, host):
    said = {"name": "In", "url": f"https://{host}/", "purposes": ["train"]}
    answer = shop.http.post("/v1/recipients", json=said, headers=shop.as_(Role.ADMIN))
    assert "not public" in problem(answer, 422)
