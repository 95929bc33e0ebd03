"""The workspace file's `console`: single sign-on."""

from __future__ import annotations

import pytest

from signalpost import config
from signalpost.destinations import CATALOG

FILE = """
workspace: glow
environment: production
currency: USD
country: US
order_value: net
console:
  oidc: {issuer: ISSUER, client_id: signalpost, client_secret: "${OIDC}", domains: [DOMAIN]}
"""


def checked(issuer: str = "https://accounts.example.com", domain: str = "shop.example", **changes: str) -> list[str]:
    """The mistakes of a file."""
    text = FILE.replace("ISSUER", issuer).replace("DOMAIN", domain)
    for before, after in changes.items():
        text = text.replace(before, after)
    _, found = config.check(text, {"OIDC": "s3cret"}, CATALOG)
    return [each.sentence for each in found if each.severity == "mistake"]


def test_single_sign_on() -> None:
    """The option is read whole; whoever comes from a domain is a viewer unless the file says otherwise."""
    workspace, _ = config.check(
        FILE.replace("ISSUER", "https://a.example").replace("DOMAIN", "b.example"), {"OIDC": "s"}, CATALOG
    )
    assert workspace is not None
    assert workspace.console.oidc is not None
    assert (workspace.console.oidc.client_secret, workspace.console.oidc.role) == ("s", "viewer")
    assert checked(issuer="http://127.0.0.1:8080/realms/shop") == []


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"issuer": "http://accounts.example.com"}, "must be an https address"),
        ({"issuer": "accounts.example.com"}, "must be an https address"),
        ({"issuer": "https://accounts.example.com/?x=1"}, "must be an https address"),
        ({"domain": "gmail.com"}, "Anybody can have an address"),
        ({"domain": "'*'"}, "must be a mail domain"),
        ({"domain": "Shop.Example"}, "must be a mail domain"),
        ({"${OIDC}": "in-clear"}, "is a secret and stands in the file"),
        ({"client_id: signalpost": "role: admin, client_id: signalpost"}, "role"),
    ],
)
def test_what_would_let_in_too_many(changes: dict[str, str], sentence: str) -> None:
    """An address that can be listened to, a domain of everybody, a secret in the file, admins by domain: each is a mistake."""
    assert [each for each in checked(**changes) if sentence in each]
