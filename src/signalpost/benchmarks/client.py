"""A lean HTTP client for load: it must not be the slowest part of what it measures."""

from __future__ import annotations

import asyncio
from base64 import b64encode
from urllib.parse import urlsplit

from signalpost.errors import SignalpostError


class Client:
    """One kept-alive connection that posts JSON bodies; open with `Client.open`."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, head: bytes) -> None:
        self._reader, self._writer, self._head = reader, writer, head

    @classmethod
    async def open(cls, url: str, path: str, key: str) -> Client:
        """Connect to a server; `key` is the write key."""
        address = urlsplit(url)
        reader, writer = await asyncio.open_connection(address.hostname, address.port, limit=1 << 20)
        head = (
            f"POST {path} HTTP/1.1\r\nHost: {address.netloc}\r\nAuthorization: Basic {b64encode(f'{key}:'.encode()).decode()}\r\n"
            "Content-Type: application/json\r\nContent-Length: "
        )
        return cls(reader, writer, head.encode())

    async def post(self, body: bytes) -> int:
        """Post one body and give the status; waits and repeats where the server asks to come again."""
        while True:
            self._writer.write(b"%s%d\r\n\r\n%s" % (self._head, len(body), body))
            answer = await self._reader.readuntil(b"\r\n\r\n")
            status = int(answer[9:12])
            length = retry = 0
            for line in answer.split(b"\r\n"):
                name, _, value = line.partition(b":")
                if name.lower() == b"content-length":
                    length = int(value)
                elif name.lower() == b"retry-after":
                    retry = int(value)
            text = await self._reader.readexactly(length)
            if status == 429:
                await asyncio.sleep(retry)
                continue
            if status != 200:
                raise SignalpostError(f"The intake answered {status}: {text.decode()}")
            return status

    async def close(self) -> None:
        """Close the connection."""
        self._writer.close()
        await self._writer.wait_closed()
