"""What is computed of a person's orders: exact decimals in the workspace's currency."""

from __future__ import annotations

from decimal import Decimal

from signalpost.events import Bought, Facts, Person

DAY_MS = 86_400_000

NO_FACTS = Facts()

_ZERO = Decimal(0)
_EXACT = Decimal("0.000001")


def in_time(person: Person) -> list[tuple[int, str, Bought]]:
    """(time, key, order) of the orders that stand, oldest first."""
    return sorted((order.time, key, order) for key, order in person.orders.items() if not order.cancelled)


def of(person: Person) -> Facts:
    """What is computed of a person's orders."""
    if not person.orders:
        return NO_FACTS
    standing = [order for order in person.orders.values() if not order.cancelled]
    value = sum((order.value for order in standing if order.value is not None), _ZERO)
    refunded = sum((order.refunded for order in standing), _ZERO)
    listed = sum((order.list_value for order in person.orders.values()), _ZERO)
    discount = sum((order.discount for order in person.orders.values()), _ZERO)
    times = sorted(order.time for order in standing)
    back = sum(order.cancelled or order.refunds for order in person.orders.values())
    return Facts(
        orders=len(standing),
        lifetime_value=value - refunded,
        average_order_value=(value / len(standing)).quantize(_EXACT) if standing else None,
        refund_rate=(Decimal(back) / len(person.orders)).quantize(_EXACT),
        discount_rate=(discount / listed).quantize(_EXACT) if listed > 0 else None,
        first_order_at=times[0] if times else None,
        last_order_at=times[-1] if times else None,
        days_between_orders=(
            (Decimal(times[-1] - times[0]) / DAY_MS / (len(times) - 1)).quantize(_EXACT) if len(times) > 1 else None
        ),
    )
