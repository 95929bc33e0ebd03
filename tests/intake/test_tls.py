"""The certificate Signalpost makes for itself."""

from __future__ import annotations

import stat
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest

from signalpost.web import tls


def test_it_is_made_once_and_again_before_it_ends(tmp_path: Path) -> None:
    """The same certificate until a month before its end; the key is its owner's alone."""
    now = datetime(2026, 11, 22, tzinfo=UTC)
    chain, key = tls.certificate(tmp_path / "state", now=now)
    first = chain.read_bytes()
    assert stat.S_IMODE(key.stat().st_mode) == 0o600
    assert tls.certificate(tmp_path / "state", now=now + timedelta(days=300)) == (chain, key)
    assert chain.read_bytes() == first
    tls.certificate(tmp_path / "state", now=now + timedelta(days=380))
    assert chain.read_bytes() != first


def test_a_broken_one_is_replaced(tmp_path: Path) -> None:
    """Half a file, or a key of another certificate, is made anew."""
    chain, key = tls.certificate(tmp_path)
    first = chain.read_bytes()
    key.write_bytes(b"nonsense")
    tls.certificate(tmp_path)
    assert chain.read_bytes() != first


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1"])
def test_a_client_that_trusts_the_authority_trusts_the_server(server: Any, host: str) -> None:
    """By name and by address, over a real connection."""
    import ssl

    trust = ssl.create_default_context(cafile=str(server.authority))
    with httpx.Client(verify=trust) as client:
        answer = client.get(f"https://{host}:{server.tls_port}/auth", auth=("SITE_ID", "TRACK_API_KEY"))
    assert (answer.status_code, answer.content) == (200, b"{}")
    with httpx.Client() as stranger, pytest.raises(httpx.ConnectError):
        stranger.get(f"https://{host}:{server.tls_port}/auth")
