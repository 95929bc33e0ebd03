"""One request to one platform over HTTP, its answer read whole; what went wrong says whether it may have arrived."""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import socket
import time
from collections.abc import Awaitable, Callable, Generator
from typing import TypeVar

import httpx

from signalpost.destinations.contract import Request, Response
from signalpost.errors import TransportError

Found = TypeVar("Found")

ANSWER_LIMIT = 4_194_304
NEVER_SENT = (
    httpx.ConnectError,
    httpx.ConnectTimeout,
    httpx.PoolTimeout,
    httpx.UnsupportedProtocol,
    httpx.ProxyError,
    httpx.InvalidURL,
)


class Transport:
    """A pool of kept-alive connections to one platform; close it when done."""

    def __init__(self, *, connections: int = 4, timeout: float = 20.0) -> None:
        self._longest = 3 * timeout
        """Seconds for the whole of a request: `timeout` is for each silence, and a platform may drip."""
        self._client = httpx.AsyncClient(
            timeout=httpx.Timeout(timeout, connect=min(timeout, 10.0)),
            transport=Guard(
                httpx.AsyncHTTPTransport(
                    limits=httpx.Limits(max_connections=connections, max_keepalive_connections=connections), trust_env=False
                )
            ),
            follow_redirects=False,
            trust_env=False,
        )

    async def send(self, request: Request) -> Response:
        """Send and give the whole answer; raises `TransportError` when none came."""
        headers = request.headers if request.stamp is None else request.headers | request.stamp(int(time.time() * 1000))
        extensions = {PUBLIC_ONLY: True} if request.public_only else {}
        try:
            async with (
                asyncio.timeout(self._longest),
                self._client.stream(
                    request.method, request.url, headers=headers, content=request.body or None, extensions=extensions
                ) as answer,
            ):
                body = bytearray()
                async for chunk in answer.aiter_bytes():
                    body += chunk
                    if len(body) > ANSWER_LIMIT:
                        raise TransportError("The platform's answer is too long to be one.", reached=True)
                return Response(
                    status=answer.status_code,
                    headers={name.lower(): value for name, value in answer.headers.items()},
                    body=bytes(body),
                )
        except NEVER_SENT as error:
            raise TransportError(f"The platform could not be reached ({type(error).__name__}).", reached=False) from error
        except (httpx.TimeoutException, TimeoutError) as error:
            raise TransportError("The platform did not answer in time.", reached=True) from error
        except httpx.HTTPError as error:
            raise TransportError(
                f"The connection broke before the answer was whole ({type(error).__name__}).", reached=True
            ) from error

    async def close(self) -> None:
        """Close the pool."""
        await self._client.aclose()


async def talk(steps: Generator[Request, Response, Found], send: Callable[[Request], Awaitable[Response]]) -> Found:
    """Drive requests that hang together: send each, give it its answer, end with what was found."""
    with contextlib.closing(steps):
        try:
            request = next(steps)
            while True:
                request = steps.send(await send(request))
        except StopIteration as end:
            found: Found = end.value
            return found


PUBLIC_ONLY = "public_only"
"""The extension of an `httpx` request that may reach public addresses only."""


class Guard(httpx.AsyncBaseTransport):
    """Keeps requests whose address was written by people out of private networks.

    The name is resolved here and the request goes to the very address that was looked at, so that a name which answers
    differently the second time (DNS rebinding) gains nothing; the certificate is still checked against the name.
    """

    def __init__(self, within: httpx.AsyncBaseTransport) -> None:
        self._within = within

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send it where it may go; raises `TransportError` where it may not."""
        if request.extensions.get(PUBLIC_ONLY):
            url = request.url
            if url.scheme != "https":
                raise TransportError(
                    f"{url.host} is asked without encryption: use https, or set allow_private to yes.", reached=False
                )
            address = await public_address(url.host, url.port or 443)
            request.extensions = {**request.extensions, "sni_hostname": url.host}
            request.url = url.copy_with(host=address)  # the Host header keeps the name
        return await self._within.handle_async_request(request)

    async def aclose(self) -> None:
        """Close what it stands before."""
        await self._within.aclose()


async def public_address(host: str, port: int) -> str:
    """The address to reach a host at; raises `TransportError` when it has none, or any that is not public."""
    try:
        found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:  # the latter for a label that is empty or too long
        raise TransportError(f"The name {host} is not known.", reached=False) from error
    addresses = [str(entry[4][0]) for entry in found]
    if not addresses or not all(is_public(address) for address in addresses):
        raise TransportError(
            f"{host} is an address of a private network: check the url, or set allow_private to yes if it is meant.",
            reached=False,
        )
    return addresses[0]


def is_public(written: str) -> bool:
    """Whether an address is one of the open internet; one that stands for another (mapped, 6to4, NAT64) is judged by that."""
    try:
        address = ipaddress.ip_address(written)
    except ValueError:
        return False
    if isinstance(address, ipaddress.IPv6Address):
        inner = address.ipv4_mapped or address.sixtofour or (address.teredo or (None, None))[1]
        if inner is None and any(address in network for network in _EMBEDDING):
            inner = ipaddress.IPv4Address(address.packed[-4:])
        if inner is not None:
            return is_public(str(inner))
    return address.is_global and not address.is_multicast and address not in _LOCAL_NAT64


_EMBEDDING = (ipaddress.IPv6Network("64:ff9b::/96"), ipaddress.IPv6Network("::/96"))
"""Networks whose last 32 bits are an IPv4 address: NAT64, and the old IPv4-compatible addresses."""

_LOCAL_NAT64 = ipaddress.IPv6Network("64:ff9b:1::/48")
"""For a network's own translation (RFC 8215): where it leads only that network knows."""
