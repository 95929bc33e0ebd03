"""Order value: one definition for every platform, told again here from the documentation and compared."""

from __future__ import annotations

from decimal import Decimal
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.laws.flow import NOW

from signalpost import orders
from signalpost.events import Event
from signalpost.pipeline import micros

decimals = st.decimals(min_value=-10_000, max_value=1_000_000, places=2)
junk: st.SearchStrategy[Any] = st.sampled_from(("", "free", "12,50", "NaN", "Infinity", None, True, [], {"amount": 5}))


@st.composite
def money(draw: st.DrawFn) -> Any:
    """An amount in one of the ways clients write it."""
    exact = draw(decimals)
    match draw(st.sampled_from(("float", "text", "spaced", "whole", "junk"))):
        case "float":
            return float(exact)
        case "text":
            return str(exact)
        case "spaced":
            return f" {exact} "
        case "whole":
            return int(exact)
        case _:
            return draw(junk)


parts = st.dictionaries(st.sampled_from(("total", "revenue", "subtotal", "tax", "shipping", "discount", "value")), money())
lines = st.lists(
    st.fixed_dictionaries({"product_id": st.just("sku")}, optional={"price": money(), "quantity": st.integers(-3, 400)}),
    max_size=4,
)


def exact(value: Any) -> Fraction | None:
    """The oracle's own reading of an amount: JSON numbers and plain decimal text are amounts, all else is not."""
    if isinstance(value, bool) or not isinstance(value, (int, float, str)):
        return None
    try:
        return Fraction(str(value).strip())
    except (ValueError, ZeroDivisionError):
        return None


def told(properties: dict[str, Any], definition: str) -> Fraction | None:
    """Gross: what the buyer pays, `total`. Net: goods after discounts, `revenue` or `subtotal`, without tax and shipping.

    Where the part itself is missing it is computed from the others, a missing tax or shipping being zero; then `value` as
    sent; then the sum of the lines, if all have a price, less the discount.
    """
    part = {name: amount for name, given in properties.items() if name != "products" and (amount := exact(given)) is not None}
    extra = part.get("tax", Fraction(0)) + part.get("shipping", Fraction(0))
    goods = part.get("revenue", part.get("subtotal"))
    if definition == "gross":
        found = part["total"] if "total" in part else None if goods is None else goods + extra
    else:
        found = goods if goods is not None else part["total"] - extra if "total" in part else None
    if found is None:
        found = part.get("value")
    if found is None:
        products = properties.get("products", [])
        priced = [(exact(each.get("price")), each.get("quantity", 1)) for each in products]
        if priced and all(price is not None for price, _ in priced):
            found = sum((price * quantity for price, quantity in priced if price is not None), Fraction(0))
            found -= part.get("discount", Fraction(0))
    return found


def purchase(properties: dict[str, Any]) -> Event:
    return Event(kind="track", source="web", message_id="m", time=NOW, received_at=NOW, properties=properties)


@given(properties=parts, products=lines, definition=st.sampled_from(("gross", "net")))
def test_the_order_value_is_what_the_definition_says(properties: dict[str, Any], products: list[Any], definition: str) -> None:
    """Gross and net agree with the sentence that defines them, to the last digit."""
    properties = {**properties, "products": products} if products else properties

    order = orders.read(purchase(properties), definition=definition, default_currency="USD")

    expected = told(properties, definition)
    assert expected == (None if order.value is None else Fraction(order.value))
    assert (order.value is None) == (order.value_from == "")


@given(prices=st.lists(st.decimals(min_value=0, max_value=1000, places=2), min_size=1, max_size=100))
def test_a_sum_of_lines_has_no_drift(prices: list[Decimal]) -> None:
    """A hundred prices sent as JSON numbers add up to the cent, where floats would not."""
    properties = {"products": [{"product_id": str(place), "price": float(price)} for place, price in enumerate(prices)]}

    order = orders.read(purchase(properties), definition="gross", default_currency="USD")

    assert order.value == sum(prices)
    assert order.value is not None
    assert micros(order.value) == int(sum(prices) * 1_000_000)


@pytest.mark.parametrize("code", ["JPY", "KRW", "VND", "CLP"])
def test_currencies_without_decimals_stay_whole(code: str) -> None:
    """1,200 yen are 1,200 yen: nobody divides by a hundred."""
    order = orders.read(purchase({"total": 1200, "currency": code.lower()}), definition="gross", default_currency="USD")

    assert (Decimal(1200), code) == (order.value, order.currency)
    assert f"{order.value:f}" == "1200"


@given(
    amount=st.one_of(
        st.sampled_from(("1e-999999", "1E-400", "5e-324", "1e999999", "1e12", "1000000000001", "9" * 400, "0." + "3" * 5000)),
        st.floats(allow_nan=True, allow_infinity=True),
        st.integers(),
    ),
    quantity=st.one_of(st.integers(), st.just(2_343_434_535), st.just(2**31 - 1)),
)
def test_an_absurd_amount_is_no_value_rather_than_a_broken_one(amount: Any, quantity: int) -> None:
    """Whatever a client sends, an order value can be written down in a line and counted in a database's integers."""
    for properties in (
        {"total": amount},
        {"revenue": amount, "tax": amount, "shipping": amount},
        {"products": [{"product_id": "a", "price": amount, "quantity": quantity}] * 3},
    ):
        order = orders.read(purchase(properties), definition="gross", default_currency="USD")
        if order.value is not None:
            assert len(f"{order.value:f}") < 100
            assert abs(micros(order.value) or 0) < 2**62
        for line in order.items:
            assert line.quantity is None or abs(line.quantity) < 2**31
            assert line.price is None or len(f"{line.price:f}") < 100
