"""`signalpost send-test`: is this destination right? Its credentials are checked and one test-mode purchase is sent."""

from __future__ import annotations

import uuid
from typing import Any

import msgspec
from msgspec import Struct

from signalpost import identity, orders, pipeline
from signalpost.config import Workspace
from signalpost.errors import SignalpostError, TransportError
from signalpost.events import Event, Person, Signal
from signalpost.transport import Transport

VERDICTS = {"accepted": "accepted", "warned": "warned", "retry": "unknown"}
"""What an answer is called to a person; every other one is a refusal: a test is not tried again."""


class Trial(Struct, frozen=True, kw_only=True):
    """What a test showed."""

    destination: str
    credentials: bool
    credentials_sentence: str
    sent: dict[str, Any] | None
    """The event object as it was sent."""
    verdict: str | None
    """accepted, warned, refused or unknown; None when nothing was sent."""
    sentence: str


async def run(workspace: Workspace, name: str, now: int) -> Trial:
    """Check the credentials of a destination and send one purchase that the platform must not count."""
    chosen = workspace.destinations[name]
    plan = pipeline.plan(workspace)
    route = next(route for route in plan.routes if route.name == name)
    platform, settings = route.platform, route.settings
    base = (chosen.endpoint or platform.default_base).rstrip("/")
    if platform.name == "tiktok" and not chosen.test_code:
        raise SignalpostError(
            f"{name} has no `test_code`. Copy one from Events Manager, Test events, into the workspace file: "
            "without it TikTok would count the test as a real purchase."
        )
    event = Event(
        kind="track",
        source="send-test",
        message_id=f"signalpost-test-{uuid.uuid4()}",
        time=now,
        received_at=now,
        name="Order Completed",
        identifiers=(("user_id", "signalpost-test-person"),),
        traits={"email": "signalpost-test@example.com", "phone": "+14155550123"},
        properties={
            "order_id": f"signalpost-test-{now}",
            "total": 12.5,
            "revenue": 10,
            "tax": 1.5,
            "shipping": 1,
            "currency": workspace.currency,
            "products": [{"product_id": "signalpost-test", "name": "Test product", "price": 10, "quantity": 1}],
        },
        context={"ip": "203.0.113.7", "userAgent": "Signalpost test", "page": {"url": "https://example.com/thanks"}},
    )
    own = identity.keys(identity.named(event), country=workspace.country)
    signal = Signal(
        event=event,
        name=event.name,
        platform_event=platform.purchase,
        event_id=event.message_id,
        person=identity.learn(Person(id=0), event, own, {}),
        order=orders.read(event, definition=workspace.order_value, default_currency=workspace.currency),
        test=True,
    )
    body = route.render(signal)
    works, told = False, ""
    transport = Transport(connections=1)
    try:
        works, told = platform.explain_check(await transport.send(platform.check(settings, base, now)))
        if not works:
            return Trial(destination=name, credentials=False, credentials_sentence=told, sent=None, verdict=None, sentence=told)
        response = await transport.send(platform.request(settings, base, [body], True))
    except TransportError as error:
        # Where the credentials were found right, it is the test event that got no answer.
        return Trial(
            destination=name,
            credentials=works,
            credentials_sentence=told or str(error),
            sent=msgspec.json.decode(body) if works else None,
            verdict="unknown" if works else None,
            sentence=str(error),
        )
    finally:
        await transport.close()
    outcome = platform.outcomes(response, 1)[0]
    verdict = VERDICTS.get(outcome.kind, "refused")
    return Trial(
        destination=name,
        credentials=True,
        credentials_sentence=told,
        sent=msgspec.json.decode(body),
        verdict=verdict,
        sentence=outcome.sentence or f"{platform.title} took the test event.",
    )
