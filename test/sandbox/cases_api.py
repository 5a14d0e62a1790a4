"""The service's API against its documentation: shapes, errors, and the life of an invoice."""
import base64
import json
import re
import threading
import time
import urllib.request
from datetime import datetime, timedelta, timezone
from urllib.error import HTTPError

import pages
import postbacks
from collect import Cases
from service import Service
from web import server_for

case = CASES = Cases()
SAMPLE = set(
    """uuid created address currency date_finished expiry_date side_commission type_payments amount amount_ status invoice_status
    is_email_required project tx_list amount_in_crypto amount_in_fiat amount_usd amount_to_pay amount_to_pay_usd amount_paid
    amount_paid_usd fee fee_usd service_fee service_fee_usd received received_usd to_surcharge to_surcharge_usd total_rub step
    test_mode type aml_enabled aml_side aml_checks links_invoice""".split()
)
COIN = {
    "id",
    "code",
    "fullcode",
    "network",
    "name",
    "is_email_required",
    "stablecoin",
    "icon_base",
    "icon_network",
    "icon_qr",
    "order",
}

service = Service("http://127.0.0.1:9/", "the secret", pace=0.05)
server = server_for(pages.make_app(service), "127.0.0.1", 0)
service.base_url = f"http://127.0.0.1:{server.server_port}"
threading.Thread(target=server.serve_forever, daemon=True).start()


def cases():
    return CASES


def ask(path, request=None, key=None, raw=None, content_type="application/json"):
    """Returns (HTTP status, answer)."""
    data = raw if raw is not None else json.dumps(request or {}).encode()
    headers = {"Authorization": f"Token {service.api_key}" if key is None else key, "Content-Type": content_type}
    headers = {name: value for name, value in headers.items() if value}
    try:
        with urllib.request.urlopen(urllib.request.Request(f"{service.base_url}/v2/invoice/{path}", data, headers)) as answer:
            return answer.status, json.load(answer)
    except HTTPError as answer:
        return answer.code, json.load(answer)


def ok(path, **request):
    status, answer = ask(path, request)
    assert status == 200 and answer["status"] == "success", answer
    return answer["result"]


def refused(words, path, **request):
    assert ask(path, request) == (400, {"status": "error", "result": {"validate_error": words}}), ask(path, request)


def create(**more):
    return ok("create", **{"shop_id": "SANDBOXSHOP", "amount": 20, "order_id": "A-1"} | more)


def period(days=0):
    today = datetime.now(timezone.utc)
    return {"start": (today - timedelta(1)).strftime("%d.%m.%Y"), "end": (today + timedelta(days)).strftime("%d.%m.%Y")}


@case("a postback: signed for its invoice, for five minutes, with a new token each time")
def _():
    invoice = service.books.find(create()["uuid"])
    tokens = [postbacks.fields_of(invoice, "the secret")["token"] for _ in range(2)]
    assert tokens[0] != tokens[1]
    for token in tokens:
        header, claims = (json.loads(base64.urlsafe_b64decode(part + "==")) for part in token.split(".")[:2])
        assert header == {"typ": "JWT", "alg": "HS256"} and claims["id"] == invoice.uuid, (header, claims)
        assert 290 < claims["exp"] - time.time() <= 300, claims


@case("no key, a wrong key, and the SECRET KEY are refused")
def _():
    for key in ("", "Token nonsense", "Token the secret", f"Bearer {service.api_key}"):
        assert ask("create", {}, key) == (400, {"status": "error", "result": {"authorization": "Unauthorized request."}}), key


@case("create: the documented members")
def _():
    invoice = create()
    assert set(invoice) == SAMPLE | {"link", "order_id", "fiat_currency", "invoice_id"}, set(invoice) ^ SAMPLE
    assert set(invoice["currency"]) == COIN and set(invoice["currency"]["network"]) == {"code", "id", "icon", "fullname"}
    assert invoice["status"] == "created" and invoice["invoice_id"] is None and invoice["order_id"] == "A-1"
    assert re.fullmatch("INV-[A-Z0-9]{8}", invoice["uuid"]) and invoice["link"].startswith("http")


@case("create: times are UTC without a zone, and expire after a day or as asked")
def _():
    for asked, hours in ((None, 24), ({"hours": 2, "minutes": 30}, 2.5)):
        invoice = create(add_fields={"time_to_pay": asked})
        made, end = (datetime.strptime(invoice[name], "%Y-%m-%d %H:%M:%S.%f") for name in ("created", "expiry_date"))
        assert end - made == timedelta(hours=hours) and abs(made - datetime.now(timezone.utc).replace(tzinfo=None)) < timedelta(
            seconds=30
        )


@case("create: a price in rubles, a coin that is chosen")
def _():
    invoice = create(amount="1600", currency="RUB", add_fields={"cryptocurrency": "BTC"})
    assert (invoice["amount_usd"], invoice["amount_in_fiat"], invoice["fiat_currency"]) == (20.0, 1600.0, "RUB")
    assert invoice["currency"]["fullcode"] == "BTC" and invoice["amount_to_pay"] == 0.0002
    assert create(add_fields={"available_currencies": ["TON", "BTC"]})["currency"]["fullcode"] == "TON"


@case("create: missing and wrong members")
def _():
    refused("shop_id is required", "create", amount=1)
    refused("Shop is not found", "create", shop_id="other", amount=1)
    refused("amount is required", "create", shop_id="SANDBOXSHOP")
    for amount in (0, -1, "x", "NaN", "1e99"):
        refused("amount is invalid", "create", shop_id="SANDBOXSHOP", amount=amount)
    refused("currency is invalid", "create", shop_id="SANDBOXSHOP", amount=1, currency="ZZZ")
    refused("currency is invalid", "create", shop_id="SANDBOXSHOP", amount=1, add_fields={"cryptocurrency": "DOGE"})
    refused("currency is invalid", "create", shop_id="SANDBOXSHOP", amount=1, currency={})
    for wrong, words in (
        ("x", "add_fields is invalid"),
        (7, "add_fields is invalid"),
        ({"cryptocurrency": []}, "cryptocurrency is invalid"),
        ({"available_currencies": 7}, "available_currencies is invalid"),
        ({"available_currencies": ["DOGE"]}, "currency is invalid"),
        ({"time_to_pay": "x"}, "time_to_pay is invalid"),
        ({"time_to_pay": {"hours": 0}}, "time_to_pay is invalid"),
        ({"time_to_pay": {"hours": -1}}, "hours is invalid"),
        ({"time_to_pay": {"hours": 10**12}}, "time_to_pay is invalid"),
    ):
        refused(words, "create", shop_id="SANDBOXSHOP", amount=1, add_fields=wrong)
    refused("order_id is invalid", "create", shop_id="SANDBOXSHOP", amount=1, order_id="x" * 256)
    for raw in (b"", b"nonsense", b"[1]"):
        assert ask("create", raw=raw) == (400, {"status": "error", "result": {"validate_error": "Invalid JSON"}})


@case("info: with and without INV-, unknown ones left out, at most 100")
def _():
    uuid = create()["uuid"]
    found = ok("merchant/info", uuids=[uuid, uuid.removeprefix("INV-"), "INV-UNKNOWN0"])
    assert [one["uuid"] for one in found] == [uuid, uuid] and set(found[0]) == SAMPLE | {"order_id"}
    refused("uuids is required", "merchant/info")
    refused("uuids: at most 100", "merchant/info", uuids=[uuid] * 101)


@case("list: the default is 10, offset and limit, and no fraction in expiry_date")
def _():
    made = [create()["uuid"] for _ in range(12)]
    assert len(ok("merchant/list", **period())) == 10
    everything = ok("merchant/list", **period(), limit=100)
    assert [one["uuid"] for one in everything][-12:] == made and re.fullmatch(r"[-\d]+ [:\d]+", everything[0]["expiry_date"])
    assert ok("merchant/list", **period(), offset=len(everything) - 1, limit=5)[0]["uuid"] == made[-1]
    assert ok("merchant/list", start="01.01.2020", end="02.01.2020") == []
    refused("limit: at most 100", "merchant/list", **period(), limit=101)
    refused("start is required", "merchant/list", end="01.01.2026")
    refused("start and end are dates: dd.mm.yyyy", "merchant/list", start="2026-01-01", end="2026-01-02")


@case("canceled: only while created")
def _():
    uuid = create()["uuid"]
    assert ok("merchant/canceled", uuid=uuid) == ["ok"]
    assert ok("merchant/info", uuids=[uuid])[0]["status"] == "canceled"
    refused("Invoice is not created", "merchant/canceled", uuid=uuid)
    refused("Invoice is not created", "merchant/canceled", uuid="INV-UNKNOWN0")
    refused("uuid is required", "merchant/canceled")


@case("statistics: counts and dollars by status")
def _():
    before = ok("merchant/statistics", **period())
    names = {"all", "created", "paid", "overpaid", "partial", "canceled"}
    assert set(before) == {"count", "amount"} and set(before["count"]) == set(before["amount"]) == names
    service.run("overpaid", service.books.find(create(amount=7)["uuid"]))
    after = ok("merchant/statistics", **period())
    assert after["count"]["overpaid"] == before["count"]["overpaid"] + 1
    assert after["amount"]["overpaid"] == before["amount"]["overpaid"] + 7


@case("static/create: currency, address, and a uuid of 32 characters")
def _():
    wallet = ok("static/create", shop_id="SANDBOXSHOP", currency="USDT_TRC20", identify="customer 7")
    assert (
        set(wallet) == {"currency", "address", "uuid"}
        and len(wallet["uuid"]) == 32
        and wallet["currency"]["fullcode"] == "USDT_TRC20"
    )
    refused("identify is required", "static/create", shop_id="SANDBOXSHOP", currency="USDT_TRC20")
    refused("currency is invalid", "static/create", shop_id="SANDBOXSHOP", identify="x")


@case("a payment shows in info: partial, paid, overpaid, a test")
def _():
    for fault, status, confirmed, test in (
        ("underpaid", "partial", "success", False),
        ("honest", "paid", "success", False),
        ("overpaid", "overpaid", "success", False),
        ("test_mode", "paid", "success", True),
    ):
        uuid = create()["uuid"]
        service.run(fault, service.books.find(uuid))
        found = ok("merchant/info", uuids=[uuid])[0]
        assert (found["status"], found["invoice_status"], found["test_mode"]) == (status, confirmed, test), found
        assert len(found["tx_list"]) == 1 and found["amount_paid"] > 0


@case("the service's own pages: a list, a checkout with a QR code and the address as text, and buttons")
def _():
    invoice = create(order_id="<b>&")
    html = urllib.request.urlopen(invoice["link"]).read().decode()
    assert "<svg" in html and invoice["address"] in html and "<b>&" not in html and 'value="twice_at_once"' in html
    assert invoice["uuid"] in urllib.request.urlopen(service.base_url).read().decode()


@case("a page obeys no other site, and no foreign name that leads to it")
def _():
    link = create()["link"]
    for headers in ({"Origin": "http://evil.example"}, {"Host": "evil.example"}):
        try:
            urllib.request.urlopen(urllib.request.Request(link, b"fault=honest", headers))
            raise AssertionError(headers)
        except HTTPError as answer:
            assert answer.code == 403, headers
