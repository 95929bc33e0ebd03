// Signalpost: one event id for pixels and server, click ids kept, nothing without consent. See docs/reference/snippet.md
(() => {
if (window.signalpost?.track) return; // a second tag
const script = document.currentScript, set = script?.dataset ?? {}, waiting = [], landed = [], memory = {};
let allowed = null; // not yet asked

// Event: [TikTok's name, the Pinterest tag's]. Page views are the pixels' own.
const NAMES = {
  "Order Completed": ["Purchase", "checkout"],
  "Checkout Started": ["InitiateCheckout", "initiatecheckout"],
  "Payment Info Entered": ["AddPaymentInfo", "addpaymentinfo"],
  "Product Added": ["AddToCart", "addtocart"],
  "Product Added to Wishlist": ["AddToWishlist", "addtowishlist"],
  "Product Viewed": ["ViewContent"],
  "Product List Viewed": ["", "viewcategory"],
  "Products Searched": ["Search", "search"],
  "Signed Up": ["CompleteRegistration", "signup"],
  "Lead Generated": ["Lead", "lead"],
};

const safely = (work) => (...given) => { try { return work(...given); } catch { /* the shop goes on */ } };

// Cookies, and this page's memory where they are refused.
const keep = safely((name, value, days) => {
  memory[name] = value;
  document.cookie = `${name}=${encodeURIComponent(value)}; path=/; max-age=${days * 86400}; samesite=lax` +
    (location.protocol === "https:" ? "; secure" : "") + (set.domain ? `; domain=${set.domain}` : "");
});
const cookie = safely((name) => decodeURIComponent(`; ${document.cookie}`.split(`; ${name}=`)[1].split(";")[0]));
const kept = (name) => cookie(name) || memory[name];

const random = () => crypto.getRandomValues(new Uint32Array(4)).join("-");
// A template that was not filled must not give all orders one id.
const orderId = (facts) => ["order_id", "orderId", "transaction_id", "order_number"]
  .map((name) => String(facts[name] ?? "").trim())
  .find((id) => id && !/^(null|none|undefined|nan|n\/a|[({<].*)$/i.test(id));
const anonymous = () => {
  const id = (kept("ajs_anonymous_id") || kept("signalpost_id") || random()).replace(/"/g, "");
  keep("signalpost_id", id, 365);
  return id;
};
const clicks = () => ({ ttclid: kept("ttclid"), epik: kept("_epik"), _ttp: kept("_ttp") });

// To the hub: straight, or through the client the shop has.
const send = safely((type, message) => {
  if (!set.writeKey) return window[set.client || "analytics"]?.[type](message.event, message.properties);
  const now = new Date().toISOString();
  const body = JSON.stringify({
    ...message, writeKey: set.writeKey, messageId: random(), anonymousId: anonymous(), timestamp: now, sentAt: now,
    context: {
      consent: { advertising: allowed }, page: { url: location.href, referrer: document.referrer },
      library: { name: "signalpost.js", version: "1" },
    },
  });
  // Plain text needs no preflight, and keepalive outlives the page.
  fetch(`${set.hub || new URL(script.src).origin}/v1/${type}`, {
    method: "POST", keepalive: true, credentials: "omit", headers: { "content-type": "text/plain" }, body,
  }).catch(() => {});
});

const lines = (facts, id, price, quantity) => [facts.products ?? facts].flat().filter((each) => each?.product_id)
  .map((each) => ({ [id]: each.product_id, [price]: each.price, [quantity]: each.quantity || 1 }));
const PIXELS = {
  tiktok: (name, facts, event_id, worth) => window.ttq.track(name, {
    ...worth, content_type: "product", contents: lines(facts, "content_id", "price", "quantity"),
  }, { event_id }),
  pinterest: (name, facts, event_id, worth) => window.pintrk("track", name, {
    ...worth, event_id, order_id: orderId(facts), line_items: lines(facts, "product_id", "product_price", "product_quantity"),
  }),
};
const fire = safely((platform, event, facts, tries) => {
  const { event_id, currency } = facts, mark = platform + ":" + event_id;
  const order_id = NAMES["Order Completed"].includes(event) && orderId(facts);
  const sent = (kept("signalpost_sent") ?? "").split("\n");
  // A thank-you page shown again is no news, and consent may be gone by now.
  if (!allowed || (order_id && sent.includes(mark))) return;
  if (!{ tiktok: window.ttq, pinterest: window.pintrk }[platform]) {
    return tries && setTimeout(fire, 500, platform, event, facts, tries - 1);
  }
  PIXELS[platform](event, facts, event_id, { value: facts.value ?? facts.total ?? facts.revenue, currency });
  if (!order_id) return;
  keep("signalpost_sent", [...sent, mark].slice(-10).join("\n"), 30);
  send("track", { event: "Pixel Sent", properties: { platform, event, event_id, order_id } });
});
const tell = (event, facts) => {
  send("track", { event, properties: { ...clicks(), ...facts } });
  Object.keys(PIXELS).forEach((platform, i) => {
    const name = NAMES[event]?.[i];
    if (name && (set.pixels ?? "tiktok pinterest").includes(platform)) fire(platform, name, facts, 120);
  });
};

const calls = {
  track: (event, given = {}) => {
    // The server makes the same of an order id, so a webhook agrees with the pixel.
    const order = event === "Order Completed" && orderId(given), made = order ? order + ":order-completed" : random();
    const facts = { ...given, event_id: given.event_id || made };
    if (allowed) tell(event, facts);
    if (allowed === null) waiting.push([event, facts]);
    return facts.event_id;
  },
  identify: (userId, traits) => allowed && set.writeKey && send("identify", { userId, traits }),
  attributes: () => (allowed ? { ...clicks(), anonymous_id: anonymous() } : {}),
  consent: (granted) => {
    const held = waiting.splice(0);
    allowed = granted === true;
    if (allowed) {
      landed.forEach((each) => keep(...each));
      return held.forEach((each) => tell(...each));
    }
    // A hub that knows this browser must hear of it: orders also come without a browser.
    if (set.writeKey && kept("signalpost_id")) send("identify");
    ["ttclid", "_epik", "signalpost_id", "signalpost_sent"].forEach((name) => keep(name, "", 0));
  },
};
safely(() => {
  const query = new URLSearchParams(location.search);
  [["ttclid", "ttclid", 28], ["epik", "_epik", 365]].forEach(([name, cookie, days]) => {
    const value = query.get(name);
    if (value?.length <= 1024 && !/^[{[<%$]|^__|\s/.test(value)) landed.push([cookie, value, days]);
  });
})();
for (const name in calls) calls[name] = safely(calls[name]);
calls.push = safely((call) => calls[call[0]](...call.slice(1)));
const early = window.signalpost; // calls made before this was loaded
window.signalpost = calls;
if (set.consent === "granted") calls.consent(true);
early?.forEach?.(calls.push);
})();
