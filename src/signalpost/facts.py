"""What is computed of a person's orders: exact decimals in the workspace's currency."""

from __future__ import annotations

from decimal import Decimal

from signalpost.events import Bought, Facts, Person

DAY_MS = 86_400_000

NO_FACTS = Facts()

_ZERO = Decimal(0)
_EXACT = Decimal("0.000001")
_NONE = Decimal(0).quantize(_EXACT)


def in_time(person: Person) -> list[tuple[int, str, Bought]]:
    """(time, key, order) of the orders that stand, oldest first."""
    return sorted((order.time, key, order) for key, order in person.orders.items() if not order.cancelled)


def of(person: Person) -> Facts:
    """What is computed of a person's orders."""
    if not person.orders:
        return NO_FACTS
    value = refunded = listed = discount = _ZERO
    standing = back = 0
    times = []
    for order in person.orders.values():  # one walk: this is asked after every order of everybody
        listed += order.list_value
        if order.discount:
            discount += order.discount
        if order.cancelled:
            back += 1
            continue
        standing += 1
        times.append(order.time)
        back += order.refunds
        if order.value is not None:
            value += order.value
        if order.refunded:
            refunded += order.refunded
    times.sort()
    return Facts(
        orders=standing,
        lifetime_value=value - refunded,
        average_order_value=(value / standing).quantize(_EXACT) if standing else None,
        refund_rate=(Decimal(back) / len(person.orders)).quantize(_EXACT) if back else _NONE,
        discount_rate=None if listed <= 0 else (discount / listed).quantize(_EXACT) if discount else _NONE,
        first_order_at=times[0] if times else None,
        last_order_at=times[-1] if times else None,
        days_between_orders=(
            (Decimal(times[-1] - times[0]) / DAY_MS / (len(times) - 1)).quantize(_EXACT) if len(times) > 1 else None
        ),
    )
