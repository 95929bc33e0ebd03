"""The script tag on real pages, with stub pixels and the real intake and pipeline. Needs Chromium; set CHROMIUM to its path."""

from __future__ import annotations

import json
import socket

import pytest
from tests.snippet.conftest import CHROMIUM, Visit, until
from tests.web.conftest import now_ms

pytestmark = [
    pytest.mark.skipif(CHROMIUM is None, reason="no Chromium on this machine (apt-get install chromium, or set CHROMIUM)"),
    # Playwright's own loop and sockets outlive a failed test; they are not what is tested here.
    pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning"),
]

ORDER = {
    "order_id": "A-1001",
    "total": 49.9,
    "currency": "GBP",
    "products": [{"product_id": "SKU-1", "price": 49.9, "quantity": 2}],
}
BUY = f"signalpost.identify('u-1', {{email: 'jane.roe@example.com'}}); signalpost.track('Order Completed', {json.dumps(ORDER)});"
CART = "signalpost.track('Product Added', {product_id: 'SKU-1', price: 49.9, currency: 'GBP', email: 'jane.roe@example.com'});"
CLICK, EPIK, TTP = "E.C.P.abcdefghijkl", "dj0yJnU9abcdef", "01J8XABCDEFGHJKMNPQRSTVWXY.tt.1"


def test_one_id_in_both_pixels_and_on_the_server(visit: Visit) -> None:
    """A purchase has the order's id in both pixels and in the ledger; a cart event a random one, the same in all three."""
    visit.go(f"loadPixels(); {BUY} {CART}", consent="granted")
    purchase, cart = visit.said("tiktok", 2)
    assert (purchase[0], cart[0]) == ("Purchase", "AddToCart")
    assert purchase[2] == {"event_id": "A-1001:order-completed"}
    assert purchase[1] == {
        "value": 49.9,
        "currency": "GBP",
        "content_type": "product",
        "contents": [{"content_id": "SKU-1", "price": 49.9, "quantity": 2}],
    }
    checkout, added = visit.said("pinterest", 2)
    assert checkout[:2] == ["track", "checkout"]
    assert checkout[2]["event_id"] == "A-1001:order-completed"
    assert checkout[2]["order_id"] == "A-1001"
    assert added[2]["event_id"] == cart[2]["event_id"] != ""
    visit.messages(5)
    assert visit.ledger() == {
        ("Order Completed", "tiktok", "A-1001:order-completed"),
        ("Order Completed", "pinterest", "A-1001:order-completed"),
        ("Product Added", "tiktok", cart[2]["event_id"]),
        ("Product Added", "pinterest", cart[2]["event_id"]),
    }


def test_a_source_that_saw_no_browser_agrees(visit: Visit) -> None:
    """The order told by the shop's server alone has the id that the pixel was given; the browser's report is the repeat."""
    server_side = {**ORDER, "email": "jane.roe@example.com"}
    message = {"type": "track", "messageId": "m-1", "userId": "u-1", "event": "Order Completed", "properties": server_side}
    context = {"context": {"page": {"url": "https://shop.example/thanks"}}}
    visit.hub.shop.say({**message, **context}, at=now_ms(), source="cio")
    visit.go(f"loadPixels(); {BUY}", consent="granted")
    assert visit.said("tiktok", 1)[0][2] == {"event_id": "A-1001:order-completed"}
    visit.messages(5)
    assert visit.ledger() == {
        ("Order Completed", "tiktok", "A-1001:order-completed"),
        ("Order Completed", "pinterest", "A-1001:order-completed"),
    }
    assert visit.query("SELECT DISTINCT reason FROM ledger WHERE verdict = 'withheld' AND reason LIKE 'duplicate%'") == [
        ("duplicate_order",)
    ]


def test_the_hub_is_told_what_the_pixels_were_sent(visit: Visit) -> None:
    """For an order `Pixel Sent` tells platform, event, id and order once a pixel; for other events nothing."""
    visit.go(f"loadPixels(); {BUY} {CART}", consent="granted")
    told = [each["properties"] for each in visit.messages(5) if each.get("event") == "Pixel Sent"]
    assert sorted(told, key=lambda each: str(each["platform"])) == [
        {"platform": "pinterest", "event": "checkout", "event_id": "A-1001:order-completed", "order_id": "A-1001"},
        {"platform": "tiktok", "event": "Purchase", "event_id": "A-1001:order-completed", "order_id": "A-1001"},
    ]


def test_click_ids_survive_the_landing_page(visit: Visit) -> None:
    """What the landing page's address carried is in an event of a later page, beside the TikTok pixel's own cookie."""
    visit.go("", path="/landing", query=f"?ttclid={CLICK}&epik={EPIK}", consent="granted")
    visit.go(f"document.cookie = '_ttp={TTP}'; {CART}", path="/product", consent="granted")
    message = visit.messages(1)[0]
    assert {name: message["properties"].get(name) for name in ("ttclid", "epik", "_ttp")} == {
        "ttclid": CLICK,
        "epik": EPIK,
        "_ttp": TTP,
    }
    visit.hub.shop.process(now_ms())
    (record,) = visit.query("SELECT record FROM people")
    clicks = json.loads(record[0])["clicks"]
    assert {name: told[0] for name, told in clicks.items()} == {"ttclid": CLICK, "epik": EPIK, "ttp": TTP}
    days = {each["name"]: round((each["expires"] - now_ms() / 1000) / 86_400) for each in visit.context.cookies()}
    assert (days["ttclid"], days["_epik"]) == (28, 365)


@pytest.mark.parametrize("macro", ["__CLICKID__", "{{ttclid}}", "a%20b", "x" * 1_025])
def test_what_is_no_click_id_is_not_kept(visit: Visit, macro: str) -> None:
    """Macros that nobody filled, text with spaces and endless text stay out of cookie and event."""
    visit.go(CART, query=f"?ttclid={macro}", consent="granted")
    assert "ttclid" not in visit.messages(1)[0]["properties"]
    assert "ttclid" not in {each["name"] for each in visit.context.cookies()}


def test_for_shopify_as_cart_attributes(visit: Visit) -> None:
    """`attributes()` gives click and anonymous id under the names that the Shopify source reads; before consent nothing."""
    visit.go("window.early = signalpost.attributes();", query=f"?ttclid={CLICK}&epik={EPIK}")
    assert visit.page.evaluate("early") == {}
    visit.page.evaluate("signalpost.consent(true)")
    told = visit.page.evaluate("JSON.parse(JSON.stringify(signalpost.attributes()))")
    assert told == {"ttclid": CLICK, "epik": EPIK, "anonymous_id": told["anonymous_id"]}
    assert told["anonymous_id"]


def test_nothing_without_consent_and_everything_with_it(visit: Visit) -> None:
    """Until told, no pixel, no request, no cookie; what happened meanwhile follows when consent comes."""
    visit.go(f"loadPixels(); {CART}", query=f"?ttclid={CLICK}")
    visit.page.wait_for_timeout(700)
    assert visit.page.evaluate("said") == {"tiktok": [], "pinterest": []}
    assert visit.context.cookies() == []
    assert visit.query("SELECT * FROM journal") == []
    visit.page.evaluate("signalpost.consent(true)")
    visit.said("tiktok", 1)
    message = visit.messages(1)[0]
    assert message["properties"]["ttclid"] == CLICK
    assert message["context"]["consent"] == {"advertising": True}


def test_a_refusal_ends_it(visit: Visit) -> None:
    """After `consent(false)` what waited is dropped and what comes is not sent to anybody."""
    visit.go(f"loadPixels(); {CART} signalpost.consent(false); {CART}", query=f"?ttclid={CLICK}")
    visit.page.wait_for_timeout(700)
    assert visit.page.evaluate("said") == {"tiktok": [], "pinterest": []}
    assert visit.context.cookies() == []
    assert visit.query("SELECT * FROM journal") == []


def test_a_withdrawal_is_told_to_the_hub(visit: Visit) -> None:
    """Consent taken back: the cookies go, and the hub withholds the person's later orders, also those without a browser."""
    visit.go(f"loadPixels(); {CART}", query=f"?ttclid={CLICK}", consent="granted")
    anonymous = visit.messages(1)[0]["anonymousId"]
    visit.page.evaluate(f"signalpost.consent(false); {CART}")
    last = visit.messages(2)[1]
    assert (last["path"], last["anonymousId"]) == ("/v1/identify", anonymous)
    assert last["context"]["consent"] == {"advertising": False}
    assert visit.context.cookies() == []
    message = {"type": "track", "messageId": "m-2", "anonymousId": anonymous, "event": "Order Completed", "properties": ORDER}
    visit.hub.shop.process(now_ms())
    visit.hub.shop.say(message, at=now_ms() + 5_000)
    visit.hub.shop.process(now_ms() + 5_000)
    statement = "SELECT DISTINCT l.reason FROM ledger l JOIN events e ON e.id = l.event WHERE e.name = 'Order Completed'"
    assert visit.query(statement) == [("consent_denied",)]


def test_a_withdrawal_on_a_later_page_is_told_once(visit: Visit) -> None:
    """A browser that the hub knows tells it of the refusal, also on a page that never had consent, and then never again."""
    visit.go(f"loadPixels(); {CART}", consent="granted")
    anonymous = visit.messages(1)[0]["anonymousId"]
    visit.go("signalpost.consent(false);", path="/privacy")
    assert visit.messages(2)[1]["anonymousId"] == anonymous
    visit.go("signalpost.consent(false);", path="/privacy")
    visit.page.wait_for_timeout(300)
    assert len(visit.query("SELECT * FROM journal")) == 2


def test_a_second_tag_changes_nothing(visit: Visit) -> None:
    """A theme and a tag manager may both bring it: consent given to the first holds, and events are told once."""
    page = visit.go("loadPixels(); signalpost.consent(true);")
    page.add_script_tag(url=f"{visit.hub.url}/signalpost.js")
    page.evaluate(CART)
    assert len(visit.said("tiktok", 1)) == 1
    visit.page.wait_for_timeout(300)
    assert len(visit.query("SELECT * FROM journal")) == 1


def test_pixels_that_load_late_are_served_late(visit: Visit) -> None:
    """Events wait for a pixel whose code comes after them, and no report is made before it was sent."""
    visit.go(f"{BUY} setTimeout(loadPixels, 1200);", consent="granted")
    assert len([each for each in visit.messages(2) if each.get("event") == "Pixel Sent"]) == 0
    assert visit.said("tiktok", 1)[0][2] == {"event_id": "A-1001:order-completed"}
    visit.said("pinterest", 1)
    until(lambda: sum(each.get("event") == "Pixel Sent" for each in visit.messages(4)) == 2, "both reports")


def test_calls_made_before_the_script_is_there(visit: Visit) -> None:
    """A page may queue calls in an array; they are done in order when the script comes."""
    early = f"window.signalpost = window.signalpost || []; signalpost.push(['track', 'Order Completed', {json.dumps(ORDER)}]);"
    visit.go("loadPixels(); signalpost.push(['consent', true]);", before=early)
    assert visit.said("tiktok", 1)[0][2] == {"event_id": "A-1001:order-completed"}


def test_a_thank_you_page_shown_again_fires_no_pixel(visit: Visit) -> None:
    """On a reload the pixels stay silent for the same order, and the hub counts the repeat as one."""
    visit.go(f"loadPixels(); {BUY}", path="/thanks", consent="granted")
    visit.said("tiktok", 1)
    visit.messages(4)
    visit.page.reload()
    visit.messages(6)
    visit.page.wait_for_timeout(300)
    assert visit.page.evaluate("said") == {"tiktok": [], "pinterest": []}
    assert len(visit.ledger()) == 2


def test_the_shop_s_own_client_carries_the_event(visit: Visit) -> None:
    """Without a write key the event goes through the shop's client, with the id and the click ids in its properties."""
    stub = "window.sent = []; window.cioanalytics = {track: (name, facts) => sent.push([name, facts])};"
    visit.go(
        f"loadPixels(); {BUY}", before=stub, query=f"?ttclid={CLICK}", write_key=None, client="cioanalytics", consent="granted"
    )
    visit.said("pinterest", 1)
    sent = json.loads(visit.page.evaluate("JSON.stringify(sent)"))
    assert [name for name, _ in sent] == ["Order Completed", "Pixel Sent", "Pixel Sent"]
    assert sent[0][1]["event_id"] == "A-1001:order-completed"
    assert sent[0][1]["ttclid"] == CLICK
    assert visit.query("SELECT * FROM journal") == []


def test_only_the_pixels_that_are_asked_for(visit: Visit) -> None:
    """`data-pixels` names the platforms; another's pixel on the page is left alone."""
    visit.go(f"loadPixels(); {CART}", consent="granted", pixels="pinterest")
    visit.said("pinterest", 1)
    assert visit.page.evaluate("said.tiktok") == []


def test_an_id_of_the_shop_s_own_is_used(visit: Visit) -> None:
    """`event_id` in the properties goes before any other id."""
    visit.go("loadPixels(); window.id = signalpost.track('Order Completed', {order_id: 7, event_id: 'mine'});", consent="granted")
    assert visit.said("tiktok", 1)[0][2] == {"event_id": "mine"}
    assert visit.page.evaluate("id") == "mine"


def test_where_the_browser_refuses_storage(visit: Visit) -> None:
    """In a frame without storage the ids of this page still go out, and nothing throws."""
    visit.site.pages["/inner"] = (
        "<script>window.ttq = {track: (...given) => parent.postMessage(given, '*')};</script>"
        f"{visit.tag(consent='granted')}<script>{BUY}</script>"
    )
    visit.site.pages["/outer"] = (
        "<script>window.heard = []; addEventListener('message', (event) => heard.push(event.data));</script>"
        f'<iframe sandbox="allow-scripts" src="/inner?ttclid={CLICK}"></iframe>'
    )
    visit.page.goto(f"{visit.site.url}/outer")
    visit.page.wait_for_function("heard.length == 1")
    assert visit.page.evaluate("heard[0][2]") == {"event_id": "A-1001:order-completed"}
    told = [each for each in visit.messages(3) if each.get("event") == "Order Completed"]
    assert told[0]["properties"]["ttclid"] == CLICK
    assert visit.context.cookies() == []


def test_a_broken_pixel_and_a_hub_that_is_away_harm_nothing(visit: Visit) -> None:
    """A pixel that throws and a hub that does not answer leave the page, and the other pixel, alone."""
    with socket.create_server(("127.0.0.1", 0)) as closed:
        nobody = f"http://127.0.0.1:{closed.getsockname()[1]}"
    visit.known.append(nobody)
    throwing = "loadPixels(); window.ttq.track = () => { throw new Error('pixel'); };"
    visit.go(f"{throwing} {BUY} window.done = true;", consent="granted", hub=nobody)
    visit.said("pinterest", 1)
    assert visit.page.evaluate("done") is True
    until(lambda: any(url.startswith(nobody) for url in visit.asked), "the vain request")
    visit.page.wait_for_timeout(300)
    assert visit.query("SELECT * FROM journal") == []


@pytest.mark.parametrize("order_id", ["'undefined'", "' '", "null", "'{{ order.id }}'", "'(not set)'"])
def test_what_is_no_order_id_gives_no_order_s_id(visit: Visit, order_id: str) -> None:
    """A template that nobody filled does not make all orders one: two of them have two ids, and nothing is reported of them."""
    visit.go(
        f"loadPixels(); for (const i of [1, 2]) signalpost.track('Order Completed', {{order_id: {order_id}}});", consent="granted"
    )
    one, two = (call[2]["event_id"] for call in visit.said("tiktok", 2))
    assert one != two
    assert not one.endswith(":order-completed")
    visit.messages(2)


def test_only_a_purchase_is_reported_under_its_order(visit: Visit) -> None:
    """A checkout that knows its order id already has an id of its own and no report: it is not the purchase."""
    visit.go(f"loadPixels(); signalpost.track('Checkout Started', {json.dumps(ORDER)}); {BUY}", consent="granted")
    begun, bought = visit.said("tiktok", 2)
    assert begun[2]["event_id"] != bought[2]["event_id"] == "A-1001:order-completed"
    told = [each["properties"]["event_id"] for each in visit.messages(5) if each.get("event") == "Pixel Sent"]
    assert told == ["A-1001:order-completed"] * 2


@pytest.mark.parametrize(
    ("products", "contents"),
    [("null", 0), ("'SKU-1'", 0), ("{product_id: 'SKU-1'}", 1), ("[null, {product_id: 'SKU-1'}, {}]", 1)],
)
def test_products_of_any_shape_stop_no_pixel(visit: Visit, products: str, contents: int) -> None:
    """A purchase whose products are not what they should be is told all the same, with those that can be read."""
    visit.go(f"loadPixels(); signalpost.track('Order Completed', {{order_id: 1, products: {products}}});", consent="granted")
    assert len(visit.said("tiktok", 1)[0][1]["contents"]) == contents
    visit.said("pinterest", 1)


@pytest.mark.parametrize("call", ["track()", "track('Order Completed', null)", "consent()", "push()", "push(['nothing'])"])
def test_misuse_does_not_throw(visit: Visit, call: str) -> None:
    """Whatever a page calls it with, the page goes on."""
    visit.go(f"loadPixels(); signalpost.{call}; window.done = true;", consent="granted")
    assert visit.page.evaluate("done") is True
