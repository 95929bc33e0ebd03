"""The official clients, unmodified, only their host changed, against a real server on loopback.

Each runs in a process of its own with only its own folder of packages; `scripts/clients` installs them.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

CLIENTS = Path(__file__).parents[2] / ".venv" / "clients"
ORDER = {
    "order_id": "ord-5001",
    "total": 103.5,
    "currency": "USD",
    "products": [{"product_id": "p-1", "price": 20, "quantity": 2}],
}


def run_python(client: str, program: str, server: Any, **environment: str) -> Any:
    """Run a program with one client's packages; gives what it printed as JSON on its last line."""
    folder = CLIENTS / client
    if not (folder / "installed").exists():
        pytest.skip(f"{client} is not installed; run scripts/clients")
    named = {
        "PATH": os.environ["PATH"],
        "PYTHONPATH": str(folder),
        "PYTHONDONTWRITEBYTECODE": "1",
        "REQUESTS_CA_BUNDLE": str(server.authority),
        "URL": server.url,
        "TLS_PORT": str(server.tls_port),
        "ORDER": json.dumps(ORDER),
        **environment,
    }
    return _last_line([sys.executable, "-c", program], named)


def run_node(program: str, server: Any, package: str) -> Any:
    """Run a program with the Node clients; gives what it printed as JSON on its last line."""
    if shutil.which("node") is None:
        pytest.skip("Node is not installed here")
    if not (CLIENTS / "node" / "node_modules" / package).exists():
        pytest.skip(f"{package} is not installed; run scripts/clients")
    named = {
        "PATH": os.environ["PATH"],
        "NODE_PATH": str(CLIENTS / "node" / "node_modules"),
        "NODE_EXTRA_CA_CERTS": str(server.authority),
        "URL": server.url,
        "TLS_PORT": str(server.tls_port),
        "ORDER": json.dumps(ORDER),
    }
    return _last_line(["node", "-e", program], named)


def _last_line(command: list[str], environment: dict[str, str]) -> Any:
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=90, check=False)
    assert done.returncode == 0, done.stderr[-3_000:]
    lines = done.stdout.strip().splitlines()
    return json.loads(lines[-1]) if lines else None


TRACK_CLIENT = """
import json, os
from customerio import CustomerIO, CustomerIOException
order = json.loads(os.environ["ORDER"])
cio = CustomerIO("SITE_ID", os.environ.get("API_KEY", "TRACK_API_KEY"), host="localhost", port=int(os.environ["TLS_PORT"]))
"""


def test_customerio_python(server: Any) -> None:
    """Every call of the Track client arrives over TLS as the event it means."""
    program = (
        TRACK_CLIENT
        + """
import datetime
cio.identify(id="cust-1001", email="ada@example.test", created_at=datetime.datetime(2026, 1, 1), anonymous_id="anon-7")
cio.identify(id="ada+vip@example.test", plan="gold")
cio.track("cust-1001", "Order Completed", order, id="01J", timestamp=1767225700)
cio.track_anonymous("anon-7", "Product Added", {"product_id": "p-1"})
cio.pageview("cust-1001", "https://shop.example.test/p/1", referrer="https://r.example.test/")
cio.backfill("cust-1001", "Order Completed", 1767312000, order_id="ord-1")
cio.merge_customers("id", "cust-1001", "email", "old@example.test")
cio.add_device("cust-1001", "dev-1", "ios")
cio.delete_device("cust-1001", "dev-1")
cio.suppress("cust-1001")
cio.unsuppress("cust-1001")
cio.delete("cust-1001")
print("0")
"""
    )
    run_python("customerio", program, server)
    kinds = [
        "identify",
        "identify",
        "track",
        "track",
        "page",
        "track",
        "merge",
        "device",
        "device",
        "suppress",
        "unsuppress",
        "delete",
    ]
    assert [event.kind for event in server.journal.events] == kinds
    order = server.journal.events[2]
    assert (order.message_id, order.time, order.properties) == ("01J", 1_767_225_700_000, ORDER)
    assert {status for _, _, status in server.journal.answers} == {200}


def test_customerio_python_shows_our_sentence(server: Any) -> None:
    """A refusal reaches the caller at once, with the sentence, and is not repeated."""
    program = (
        TRACK_CLIENT
        + """
try:
    cio.track("cust-1001", " ")
except CustomerIOException as error:
    print(json.dumps(str(error)))
"""
    )
    assert "name cannot be blank" in run_python("customerio", program, server)
    assert len(server.journal.answers) == 1
    assert "are none of this workspace" in run_python("customerio", program, server, API_KEY="wrong")
    assert server.journal.answers[1:] == [("POST", "/api/v1/customers/cust-1001/events", 401)]


def test_customerio_python_waits_when_told(server: Any) -> None:
    """429 and 503 carry Retry-After, the client comes again, and the event is stored once."""
    server.journal.behind = server.journal.failing = 1
    run_python("customerio", TRACK_CLIENT + 'cio.track("c", "Order Completed", order)', server)
    assert [status for _, _, status in server.journal.answers] == [429, 503, 200]
    assert [event.name for event in server.journal.events] == ["Order Completed"]


SEGMENT_CALLS = """
client.identify("cust-1001", {"email": "ada@example.test"})
client.track("cust-1001", "Order Completed", order, message_id="msg-1")
client.page("cust-1001", "Shop", "Trail Mug", {"url": "https://shop.example.test/p/1"})
client.screen("cust-1001", "Shop", "Home")
client.group("cust-1001", "acct-1", {"name": "Acme"})
client.alias("anon-7f3a", "cust-1001")
client.track(anonymous_id="anon-7f3a", event="Product Added", properties={"product_id": "p-1"})
client.track("cust-1001", "User Deleted")
client.flush()
client.join()
print("0")
"""
SEGMENT_KINDS = ["identify", "track", "page", "screen", "group", "merge", "track", "delete"]


def check_segment_calls(server: Any) -> None:
    events = server.journal.events
    assert [event.kind for event in events] == SEGMENT_KINDS
    order = next(event for event in events if event.name == "Order Completed")
    assert order.properties["order_id"] == "ord-5001"
    assert ("user_id", "cust-1001") in order.identifiers
    assert "ip" not in order.context
    assert next(event for event in events if event.kind == "page").context["page"] == {"url": "https://shop.example.test/p/1"}
    assert {status for _, _, status in server.journal.answers} == {200}


@pytest.mark.parametrize("key", ["CDP_WRITE_KEY", "sk_us_EXAMPLEKEY"])
@pytest.mark.parametrize("zipped", ["False", "True"])
def test_customerio_cdp_analytics_python(server: Any, key: str, zipped: str) -> None:
    """Every call arrives, plain and gzipped, with a Basic and with a Bearer key."""
    program = f"""
import json, os
from customerio.analytics.client import Client
order = json.loads(os.environ["ORDER"])
client = Client({key!r}, host=os.environ["URL"], gzip={zipped}, max_retries=1)
{SEGMENT_CALLS}"""
    run_python("customerio-cdp-analytics", program, server)
    check_segment_calls(server)
    assert {received.source for received, _ in server.journal.taken} == {"web" if key == "CDP_WRITE_KEY" else "backend"}


@pytest.mark.parametrize(("answer", "key"), [(401, "wrong"), (400, "CDP_WRITE_KEY")])
def test_customerio_cdp_analytics_python_gives_up_on_refusals(server: Any, answer: int, key: str) -> None:
    """With `code` and `message` in the body the client stops at once instead of trying ten times more."""
    program = f"""
import json, os
from customerio.analytics.client import Client
told = []
client = Client({key!r}, host=os.environ["URL"], on_error=lambda error, batch: told.append(str(error)))
client._enqueue({{"type": "track", "timestamp": None, "integrations": {{}}, "context": {{}}, "userId": "u", "event": " "}})
client.flush()
client.join()
print(json.dumps(told))
"""
    (told,) = run_python("customerio-cdp-analytics", program, server)
    assert f"({answer})" in told
    assert [status for _, _, status in server.journal.answers] == [answer]


def test_one_bad_message_of_a_clients_batch(server: Any) -> None:
    """The good ones of a batch are stored once, the client is content, and the bad one is kept with its reason."""
    program = """
import json, os
from customerio.analytics.client import Client
told = []
client = Client("CDP_WRITE_KEY", host=os.environ["URL"], on_error=lambda error, batch: told.append(str(error)))
for name in ("Product Viewed", " ", "Product Added"):
    client._enqueue({"type": "track", "timestamp": None, "integrations": {}, "context": {}, "userId": "u", "event": name})
client.flush()
client.join()
print(json.dumps(told))
"""
    assert run_python("customerio-cdp-analytics", program, server) == []
    assert sorted(event.name for event in server.journal.events) == ["Product Added", "Product Viewed"]
    assert [refusal.code for _, reading in server.journal.taken for refusal in reading.refusals] == ["required"]
    assert {status for _, _, status in server.journal.answers} <= {200, 400}  # 400 when the client sent the bad one alone


def test_segment_analytics_python(server: Any) -> None:
    """Segment's own client, host changed."""
    program = f"""
import json, os
from segment.analytics.client import Client
order = json.loads(os.environ["ORDER"])
client = Client("CDP_WRITE_KEY", host=os.environ["URL"], gzip=True, max_retries=1)
{SEGMENT_CALLS}"""
    run_python("segment-analytics-python", program, server)
    check_segment_calls(server)


def test_rudder_sdk_python(server: Any) -> None:
    """RudderStack's client, data plane changed."""
    program = f"""
import json, os
from rudderstack.analytics.client import Client
order = json.loads(os.environ["ORDER"])
client = Client("CDP_WRITE_KEY", host=os.environ["URL"], gzip=True, max_retries=1)
{SEGMENT_CALLS}"""
    run_python("rudder-sdk-python", program, server)
    check_segment_calls(server)


def test_customerio_node(server: Any) -> None:
    """The Node Track client over TLS: calls arrive, and a refusal shows our sentence."""
    program = """
const { TrackClient } = require("customerio-node");
const cio = new TrackClient("SITE_ID", "TRACK_API_KEY", { url: `https://localhost:${process.env.TLS_PORT}/api/v1` });
const order = JSON.parse(process.env.ORDER);
(async () => {
  await cio.identify("cust-1001", { email: "ada@example.test", anonymous_id: "anon-7" });
  await cio.identify("ada+vip@example.test", { plan: "gold" });
  await cio.track("cust-1001", { name: "Order Completed", id: "01J", timestamp: 1767225700, data: order });
  await cio.trackAnonymous("anon-7", { name: "Product Added", data: { product_id: "p-1" } });
  await cio.trackPageView("cust-1001", "https://shop.example.test/p/1");
  await cio.trackPush({ delivery_id: "d", event: "opened", device_id: "t", timestamp: 1767225700 });
  await cio.mergeCustomers("id", "cust-1001", "email", "old@example.test");
  await cio.addDevice("cust-1001", "dev-1", "ios", { app_version: "1.2" });
  await cio.deleteDevice("cust-1001", "dev-1");
  await cio.suppress("cust-1001");
  await cio.unsuppress("cust-1001");
  await cio.destroy("cust-1001");
  let told = "nothing";
  try { await cio.mergeCustomers("id", "a", "id", "a"); } catch (error) { told = error.message; }
  console.log(JSON.stringify(told));
})().catch((error) => { console.error(error); process.exit(1); });
"""
    assert run_node(program, server, "customerio-node") == "$.secondary: Both sides of the merge are the same person."
    kinds = [
        "identify",
        "identify",
        "track",
        "track",
        "page",
        "engagement",
        "merge",
        "device",
        "device",
        "suppress",
        "unsuppress",
        "delete",
    ]
    assert [event.kind for event in server.journal.events] == kinds
    assert server.journal.events[2].properties == ORDER


def test_cdp_analytics_node(server: Any) -> None:
    """The Node Pipelines client: every call arrives."""
    program = """
const { Analytics } = require("@customerio/cdp-analytics-node");
const settings = { writeKey: "CDP_WRITE_KEY", host: process.env.URL, flushAt: 20, flushInterval: 200, maxRetries: 1 };
const client = new Analytics(settings);
const failures = [];
client.on("error", (error) => failures.push(String(error.code)));
const order = JSON.parse(process.env.ORDER);
(async () => {
  client.identify({ userId: "cust-1001", traits: { email: "ada@example.test" } });
  client.track({ userId: "cust-1001", event: "Order Completed", properties: order, messageId: "msg-1" });
  client.page({ userId: "cust-1001", category: "Shop", name: "Trail Mug", properties: { url: "https://shop.example.test/p/1" } });
  client.screen({ userId: "cust-1001", name: "Home" });
  client.group({ userId: "cust-1001", groupId: "acct-1", traits: { name: "Acme" } });
  client.alias({ previousId: "anon-7f3a", userId: "cust-1001" });
  client.track({ anonymousId: "anon-7f3a", event: "Product Added", properties: { product_id: "p-1" } });
  client.track({ userId: "cust-1001", event: "User Deleted" });
  await client.closeAndFlush();
  console.log(JSON.stringify(failures));
})().catch((error) => { console.error(error); process.exit(1); });
"""
    assert run_node(program, server, "@customerio/cdp-analytics-node") == []
    check_segment_calls(server)
