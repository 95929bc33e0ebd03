"""One request to one platform over HTTP, its answer read whole; what went wrong says whether it may have arrived."""

from __future__ import annotations

import asyncio

import httpx

from signalpost.destinations.contract import Request, Response
from signalpost.errors import TransportError

ANSWER_LIMIT = 4_194_304
NEVER_SENT = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout, httpx.UnsupportedProtocol, httpx.ProxyError)


class Transport:
    """A pool of kept-alive connections to one platform; close it when done."""

    def __init__(self, *, connections: int = 4, timeout: float = 20.0) -> None:
        self._longest = 3 * timeout
        """Seconds for the whole of a request: `timeout` is for each silence, and a platform may drip."""
        self._client = httpx.AsyncClient(
            timeout=httpx.Timeout(timeout, connect=min(timeout, 10.0)),
            limits=httpx.Limits(max_connections=connections, max_keepalive_connections=connections),
            follow_redirects=False,
            trust_env=False,
        )

    async def send(self, request: Request) -> Response:
        """Send and give the whole answer; raises `TransportError` when none came."""
        try:
            async with (
                asyncio.timeout(self._longest),
                self._client.stream(request.method, request.url, headers=request.headers, content=request.body or None) as answer,
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
