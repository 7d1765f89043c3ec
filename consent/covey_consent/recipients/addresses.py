"""Addresses that the registry may call: public, over TLS, so that nobody reaches a network through it."""

from __future__ import annotations

import asyncio
import ipaddress
import socket

from httpx import URL, InvalidURL

from covey_consent.errors import RequestError

LIMIT = 1024

_NAT64 = ipaddress.ip_network("64:ff9b::/96")


def check(text: str, *, private: bool) -> str:
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
    if not private and (address := literal(url.host)) and not public(address):
        raise RequestError(f"{url.host} is not public; name an address that everyone reaches")
    return text


def literal(host: str) -> str | None:
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
    """Return the IP address to call. Raises RequestError unless all that the name stands for are public.

    The caller connects to this address and not to the name, which may stand for another a moment later.
    """
    port = url.port or (443 if url.scheme == "https" else 80)
    try:
        found = await asyncio.get_running_loop().getaddrinfo(url.host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError):
        raise RequestError(f"the name {url.host} stands for no address") from None
    addresses = [str(row[4][0]) for row in found]
    if not private and not all(public(address) for address in addresses):
        raise RequestError(f"the name {url.host} stands for an address that is not public")
    return addresses[0]


def public(address: str) -> bool:
    """Say whether everyone can reach the IP address; an IPv6 one that carries an IPv4 is judged by that."""
    ip = ipaddress.ip_address(address.partition("%")[0])
    inner = getattr(ip, "ipv4_mapped", None) or getattr(ip, "sixtofour", None) or ip
    return inner.is_global and not inner.is_multicast and inner not in _NAT64
