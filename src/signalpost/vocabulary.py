"""The canonical events: one name for what happened, whatever a shop, a tracker or a webhook calls it.

The names are those of Segment's ecommerce vocabulary, with the few that a direct-to-customer brand needs
beside it. What a workspace file says under `events` comes before everything here.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache

from msgspec import Struct

PURCHASE, CHECKOUT, CART, REST = range(4)
"""The order in which signals leave when there is a queue: the lower, the sooner."""


class CanonicalEvent(Struct, frozen=True):
    """One name of the vocabulary: what it means, and how soon its signals must leave."""

    doc: str
    priority: int = REST


CANONICAL_EVENTS: dict[str, CanonicalEvent] = {
    # the order
    "Order Completed": CanonicalEvent("An order was placed and paid for: the purchase.", PURCHASE),
    "Order Placed": CanonicalEvent("An order was placed and may not be paid for yet.", CHECKOUT),
    "Order Updated": CanonicalEvent("An order was changed; not a conversion."),
    "Order Refunded": CanonicalEvent("An order was paid back, whole or in part."),
    "Order Cancelled": CanonicalEvent("An order was called off."),
    "Order Flagged": CanonicalEvent("An order was found to be fraudulent, or is held for review."),
    # derived from a person's orders
    "First Purchase": CanonicalEvent("A person's first order.", PURCHASE),
    "Second Purchase": CanonicalEvent("A person's second order.", PURCHASE),
    "Repeat Purchase": CanonicalEvent("Any order of a person after the first.", PURCHASE),
    # checkout
    "Checkout Started": CanonicalEvent("Someone began to check out.", CHECKOUT),
    "Checkout Step Viewed": CanonicalEvent("A step of the checkout was shown.", CHECKOUT),
    "Checkout Step Completed": CanonicalEvent("A step of the checkout was done.", CHECKOUT),
    "Payment Info Entered": CanonicalEvent("Payment details were entered.", CHECKOUT),
    # cart
    "Product Added": CanonicalEvent("A product was put into the cart.", CART),
    "Product Removed": CanonicalEvent("A product was taken out of the cart.", CART),
    "Cart Viewed": CanonicalEvent("The cart was shown.", CART),
    "Cart Shared": CanonicalEvent("The cart was shared with someone."),
    "Coupon Entered": CanonicalEvent("A coupon code was typed in."),
    "Coupon Applied": CanonicalEvent("A coupon code was taken."),
    "Coupon Denied": CanonicalEvent("A coupon code was turned down."),
    "Coupon Removed": CanonicalEvent("A coupon code was taken off again."),
    # browsing
    "Page Viewed": CanonicalEvent("A page of the shop was shown."),
    "Screen Viewed": CanonicalEvent("A screen of the app was shown."),
    "Products Searched": CanonicalEvent("Someone searched the shop."),
    "Product List Viewed": CanonicalEvent("A category or another list of products was shown."),
    "Product List Filtered": CanonicalEvent("A list of products was filtered."),
    "Product Clicked": CanonicalEvent("A product was clicked in a list."),
    "Product Viewed": CanonicalEvent("A product's page was shown."),
    "Product Shared": CanonicalEvent("A product was shared with someone."),
    "Product Reviewed": CanonicalEvent("A product was reviewed."),
    "Product Customized": CanonicalEvent("A product was configured or personalised."),
    "Promotion Viewed": CanonicalEvent("An own promotion was shown."),
    "Promotion Clicked": CanonicalEvent("An own promotion was clicked."),
    "Video Watched": CanonicalEvent("A video was watched."),
    "Download Link Clicked": CanonicalEvent("A file was downloaded."),
    "Location Searched": CanonicalEvent("Someone looked for a store."),
    # wish list
    "Product Added to Wishlist": CanonicalEvent("A product was put on a wish list."),
    "Product Removed from Wishlist": CanonicalEvent("A product was taken off a wish list."),
    "Wishlist Product Added to Cart": CanonicalEvent("A product went from a wish list into the cart.", CART),
    # the person
    "Signed Up": CanonicalEvent("Someone made an account."),
    "Signed In": CanonicalEvent("Someone logged in."),
    "Lead Generated": CanonicalEvent("Someone left their details, such as for a newsletter."),
    "Form Submitted": CanonicalEvent("A form was sent."),
    "Contact Made": CanonicalEvent("Someone contacted the brand."),
    "Appointment Scheduled": CanonicalEvent("Someone booked an appointment."),
    "Application Submitted": CanonicalEvent("Someone applied, such as for credit or membership."),
    "Application Approved": CanonicalEvent("Such an application was granted."),
    # subscription
    "Trial Started": CanonicalEvent("A free or reduced trial began.", PURCHASE),
    "Subscription Started": CanonicalEvent("A paid subscription began.", PURCHASE),
    "Subscription Renewed": CanonicalEvent("A paid subscription was charged again.", PURCHASE),
    "Subscription Cancelled": CanonicalEvent("A paid subscription was called off."),
    # what Signalpost itself tells the shop's own tools
    "Segment Entered": CanonicalEvent("A person came into a segment of the workspace file."),
    "Segment Left": CanonicalEvent("A person left a segment of the workspace file."),
    # what the browser snippet reports of the platforms' pixels
    "Pixel Sent": CanonicalEvent("A platform's browser pixel sent an event; tells its id."),
    # app
    "Application Installed": CanonicalEvent("The app was started for the first time."),
    "Application Opened": CanonicalEvent("The app was started again."),
}

MADE_HERE = frozenset({"Segment Entered", "Segment Left"})
"""What no source sends: Signalpost itself tells it to the shop's own tools."""

MESSAGE_CHANNELS = ("Email", "SMS", "WhatsApp", "Push", "In-App", "Slack", "Webhook", "Message")
"""Where the shop's messages go; `Message` where a report names only the delivery."""

MESSAGE_METRICS = (
    "Drafted", "Attempted", "Sent", "Delivered", "Opened", "Clicked", "Converted", "Replied", "Unsubscribed", "Bounced",
    "Dropped", "Deferred", "Spammed", "Failed", "Undeliverable",
)  # fmt: skip
"""What becomes of a message, as Customer.io reports it."""

MESSAGE_EVENTS = frozenset(
    {"Customer Subscribed", "Customer Unsubscribed", "Customer Subscription Preferences Changed", "Report Delivery Event"}
    | {f"{channel} {metric}" for channel in MESSAGE_CHANNELS for metric in MESSAGE_METRICS}
)
"""Every name that an engagement may have (`sources.reporting`, the metrics of the Track API, delivery reports)."""

SYNONYMS: dict[str, tuple[str, ...]] = {
    # Segment's first vocabulary; Shopify's web pixel and webhook topics; Customer.io's and Google's names.
    # Each is compared without regard to case and to the signs between words.
    "Order Completed": (
        "Completed Order",
        "Checkout Completed",
        "orders/paid",
        "Order Paid",
        "Purchase",
        "Purchased",
    ),
    "Order Placed": ("Placed Order", "orders/create", "Order Created"),
    "Order Updated": ("Updated Order", "orders/updated"),
    "Order Refunded": ("Refunded Order", "refunds/create", "Refund"),
    "Order Cancelled": ("Cancelled Order", "Canceled Order", "Order Canceled", "orders/cancelled"),
    "Order Flagged": ("Flagged Order", "orders/risk", "Fraud Detected", "Order Marked Fraudulent"),
    "Checkout Started": ("Started Checkout", "Begin Checkout", "checkouts/create", "Initiate Checkout"),
    "Checkout Step Viewed": ("Viewed Checkout Step",),
    "Checkout Step Completed": ("Completed Checkout Step",),
    "Payment Info Entered": ("Entered Payment Info", "Payment Info Submitted", "Add Payment Info"),
    "Product Added": ("Added Product", "Product Added to Cart", "Add to Cart", "Added to Cart"),
    "Product Removed": ("Removed Product", "Product Removed from Cart", "Remove from Cart"),
    "Cart Viewed": ("Viewed Cart", "View Cart"),
    "Coupon Entered": ("Entered Coupon",),
    "Coupon Applied": ("Applied Coupon",),
    "Coupon Denied": ("Denied Coupon",),
    "Coupon Removed": ("Removed Coupon",),
    "Page Viewed": ("Viewed Page", "Page View"),
    "Screen Viewed": ("Viewed Screen", "Screen View"),
    "Products Searched": ("Searched Products", "Search Submitted", "Product Searched", "Search"),
    "Product List Viewed": (
        "Viewed Product List",
        "Viewed Product Category",
        "Product Category Viewed",
        "Collection Viewed",
        "View Item List",
    ),
    "Product List Filtered": ("Filtered Product List",),
    "Product Clicked": ("Clicked Product", "Select Item"),
    "Product Viewed": ("Viewed Product", "View Item", "View Content"),
    "Product Shared": ("Shared Product",),
    "Product Reviewed": ("Reviewed Product",),
    "Promotion Viewed": ("Viewed Promotion", "View Promotion"),
    "Promotion Clicked": ("Clicked Promotion", "Select Promotion"),
    "Video Watched": ("Watched Video", "Product Video Watched", "Watch Video"),
    "Product Added to Wishlist": ("Added Product to Wishlist", "Added to Wishlist", "Add to Wishlist"),
    "Product Removed from Wishlist": ("Removed Product from Wishlist",),
    "Wishlist Product Added to Cart": ("Added Wishlist Product to Cart",),
    "Signed Up": ("Sign Up", "Signup", "Account Created"),
    "Signed In": ("Sign In", "Login", "Logged In"),
    "Lead Generated": ("Generate Lead", "Generated Lead", "Lead"),
    "Form Submitted": ("Submitted Form", "Submit Form"),
    "Contact Made": ("Callback Started", "Contact"),
    "Appointment Scheduled": ("Schedule",),
    "Application Submitted": ("Submit Application",),
    "Trial Started": ("Started Trial", "Start Trial"),
    "Subscription Started": ("Subscription Created", "Started Subscription", "Subscribe"),
    "Subscription Renewed": ("Renewed Subscription",),
    "Subscription Cancelled": ("Subscription Canceled", "Cancelled Subscription"),
    "Application Installed": ("App Installed", "App Install", "first_open"),
    "Application Opened": ("App Opened", "App Open"),
}

_SIGNS = str.maketrans("_-/.", "    ")


def fold(name: str) -> str:
    """Return `name` without what clients write differently: case, and the signs between words."""
    return " ".join(name.translate(_SIGNS).casefold().split())


_FOLDED: dict[str, str] = {fold(synonym): name for name, synonyms in SYNONYMS.items() for synonym in synonyms} | {
    fold(name): name for name in CANONICAL_EVENTS
}


def canonical(name: str, workspace_aliases: Mapping[str, str]) -> str:
    """Return the canonical name of the event a source calls `name`; an unknown name is its own.

    `workspace_aliases` are the shop's own names (`Workspace.aliases`), which come first.
    """
    alias = workspace_aliases.get(name)
    if alias is not None:
        return alias
    return name if name in CANONICAL_EVENTS else _recognise(name)


def priority(name: str) -> int:
    """Return how soon signals of the canonical event `name` must leave: 0 first, 3 last."""
    event = CANONICAL_EVENTS.get(name)
    return REST if event is None else event.priority


@lru_cache(maxsize=4096)
def _recognise(name: str) -> str:
    return _FOLDED.get(fold(name), name)
