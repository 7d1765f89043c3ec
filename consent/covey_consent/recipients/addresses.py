"""Checks that the registry calls public addresses over TLS only, against server-side request forgery."""

from __future__ import annotations

import asyncio
import ipaddress
import socket

from httpx import URL, InvalidURL

from covey_consent.errors import RequestError

LIMIT = 1024

# Python's `is_global` differs between versions, and calls some of these global: they are listed in full, by
# the IANA special-purpose address registries. IPv6: protocols' own, Teredo among them; documentation; 6to4;
# AS112; documentation.
_SPECIAL_PURPOSE = tuple(
    ipaddress.ip_network(network)
    for network in (
        "0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12",
        "192.0.0.0/24", "192.0.2.0/24", "192.31.196.0/24", "192.52.193.0/24", "192.88.99.0/24",
        "192.168.0.0/16", "192.175.48.0/24", "198.18.0.0/15", "198.51.100.0/24", "203.0.113.0/24",
        "224.0.0.0/4", "240.0.0.0/4",
        "2001::/23", "2001:db8::/32", "2002::/16", "2620:4f:8000::/48", "3fff::/20",
    )
)  # fmt: skip

_UNICAST = ipaddress.ip_network("2000::/3")
"""All that IANA assigns as global unicast: no NAT64, mapped, compatible, site-local or local address."""


def check_url(text: str, *, private: bool) -> str:
    """Return the URL of a recipient; `private` ones may be http. Raises RequestError."""
    try:
        url = URL(text)
    except InvalidURL:
        raise RequestError(f"{text[:80]!r} is no URL") from None
    schemes = ("https", "http") if private else ("https",)
    if url.scheme not in schemes or not url.host or url.userinfo or url.fragment or len(text) > LIMIT:
        raise RequestError(
            f"a recipient's address is an {' or '.join(schemes)} URL with neither user nor fragment"
        )
    if url.port is not None and not 0 < url.port < 2**16:
        raise RequestError(f"{url.port} is no port; 1 to 65535 was expected")
    if not private and (address := ip_literal(url.host)) and not is_public(address):
        raise RequestError(f"{url.host} is not public; name an address that everyone reaches")
    return text


def ip_literal(host: str) -> str | None:
    """Return the IP address that a host is, as resolvers read it (127.1 as well); None for a name."""
    try:
        return str(ipaddress.ip_address(host.partition("%")[0]))
    except ValueError:
        pass
    try:
        return socket.inet_ntoa(socket.inet_aton(host))
    except OSError:
        return None


async def resolve(url: URL, *, private: bool) -> str:
    """Return the IP address to call. Raises RequestError unless every address of the name is public.

    The caller connects to this address and not to the name, which may stand for another a moment later.
    """
    port = url.port or (443 if url.scheme == "https" else 80)
    try:
        found = await asyncio.get_running_loop().getaddrinfo(url.host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError):
        raise RequestError(f"the name {url.host} stands for no address") from None
    addresses = [str(row[4][0]) for row in found]
    if not private and not all(is_public(address) for address in addresses):
        raise RequestError(f"the name {url.host} stands for an address that is not public")
    return addresses[0]


def is_public(address: str) -> bool:
    """Say whether the IP address is a globally routable unicast one, from every network.

    IPv6 addresses that stand for an IPv4 one (mapped, compatible, translated, NAT64, 6to4, Teredo, ISATAP)
    are not: where such an address leads depends on the network that it is used in.
    """
    ip = ipaddress.ip_address(address.partition("%")[0])
    if not ip.is_global or any(ip in network for network in _SPECIAL_PURPOSE):
        return False
    if isinstance(ip, ipaddress.IPv4Address):
        return True
    # An ISATAP interface identifier carries an IPv4 address (RFC 5214).
    isatap = int(ip) >> 32 & 0xFDFFFFFF == 0x00005EFE
    return ip in _UNICAST and not isatap
