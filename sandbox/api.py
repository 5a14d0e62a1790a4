"""The service's API, version 2, as its documentation describes it. A shop uses it by changing the base URL in its own code."""
from datetime import datetime, timedelta
from decimal import Decimal

from flask import Blueprint, jsonify, request

from currencies import COINS, FIAT, find_coin, usd_of
from invoices import Invoice, Wallet

DEFAULT_COIN = "USDT_TRC20"
LONGEST = 60 * 24 * 365  # minutes
STATUSES = ("created", "paid", "overpaid", "partial", "canceled")


class Refused(Exception):
    """An error of the caller, in the service's words."""


def refuse(words):
    raise Refused(words)


def make_api(service):
    api = Blueprint("api", __name__, url_prefix="/v2/invoice")

    @api.before_request
    def check_key():
        if request.headers.get("Authorization") != f"Token {service.api_key}":
            return error({"authorization": "Unauthorized request."})

    @api.errorhandler(Refused)
    def refused(problem):
        return error({"validate_error": str(problem)})

    @api.post("/create")
    def create():
        given = body()
        check_shop(given)
        more = given.get("add_fields") or {}
        if not isinstance(more, dict):
            raise Refused("add_fields is invalid")
        fiat = fiat_code(given)
        invoice = service.books.add(
            Invoice(
                coin=chosen_coin(more),
                amount_usd=price(given.get("amount"), fiat),
                fiat=fiat,
                order_id=text(given, "order_id"),
                lifetime=time_to_pay(more.get("time_to_pay")),
                test_mode=service.test_mode,
            )
        )
        return success(
            described(invoice) | {"link": service.link(invoice), "fiat_currency": fiat, "invoice_id": None, "status": "created"}
        )

    @api.post("/merchant/info")
    def info():
        uuids = body().get("uuids")
        if not isinstance(uuids, list) or not uuids:
            raise Refused("uuids is required")
        if len(uuids) > 100:
            raise Refused("uuids: at most 100")
        return success([described(invoice) for invoice in map(service.books.find, uuids) if invoice])

    @api.post("/merchant/list")
    def list_invoices():
        given = body()
        offset, limit = whole(given, "offset", 0), whole(given, "limit", 10)
        if limit > 100:
            raise Refused("limit: at most 100")
        found = service.books.between(*period(given))[offset : offset + limit]
        return success([described(invoice) | {"expiry_date": invoice.expires.isoformat(" ", "seconds")} for invoice in found])

    @api.post("/merchant/canceled")
    def cancel():
        uuid = body().get("uuid")
        if not uuid:
            raise Refused("uuid is required")
        invoice = service.books.find(uuid)
        if not invoice or invoice.status != "created":
            raise Refused("Invoice is not created")
        invoice.cancel()
        return success(["ok"])

    @api.post("/merchant/statistics")
    def statistics():
        found = service.books.between(*period(body()))
        groups = {"all": found} | {status: [invoice for invoice in found if invoice.status == status] for status in STATUSES}
        return success(
            {
                "count": {name: len(group) for name, group in groups.items()},
                "amount": {
                    name: float(sum((invoice.amount_usd for invoice in group), Decimal(0))) for name, group in groups.items()
                },
            }
        )

    @api.post("/static/create")
    def create_wallet():
        given = body()
        check_shop(given)
        identify = text(given, "identify")
        if not identify:
            raise Refused("identify is required")
        wallet = Wallet(coin(text(given, "currency")), identify)
        service.books.wallets[wallet.uuid] = wallet
        return success({"currency": wallet.coin.as_json(), "address": wallet.address, "uuid": wallet.uuid})

    def check_shop(given):
        if not given.get("shop_id"):
            raise Refused("shop_id is required")
        if given["shop_id"] != service.shop_id:
            raise Refused("Shop is not found")

    return api


def described(invoice):
    return invoice.info() | {"order_id": invoice.order_id}


def success(result):
    return jsonify(status="success", result=result)


def error(result):
    return jsonify(status="error", result=result), 400


def body():
    given = request.get_json(silent=True) if request.is_json else request.form.to_dict()
    if not isinstance(given, dict):
        raise Refused("Invalid JSON")
    return given


def text(given, name):
    value = given.get(name)
    if value is not None and (isinstance(value, (dict, list, bool)) or len(str(value)) > 255):
        raise Refused(f"{name} is invalid")
    return None if value in (None, "") else str(value)


def fiat_code(given):
    code = text(given, "currency") or "USD"
    return code if code in FIAT else refuse("currency is invalid")


def chosen_coin(more):
    """Returns the given coin, or the first available one."""
    available = more.get("available_currencies") or []
    if not isinstance(available, list):
        raise Refused("available_currencies is invalid")
    return coin(text(more, "cryptocurrency") or str(next(iter(available), DEFAULT_COIN)))


def coin(code):
    return find_coin(code) if code in COINS else refuse("currency is invalid")


def price(amount, fiat):
    if amount is None:
        raise Refused("amount is required")
    try:
        return usd_of(amount, fiat)
    except ValueError:
        raise Refused("amount is invalid") from None


def whole(given, name, default):
    value = given.get(name, default)
    if not str(value).isdecimal():
        raise Refused(f"{name} is invalid")
    return int(value)


def time_to_pay(given):
    given = given or {"hours": 24}
    minutes = 60 * whole(given, "hours", 0) + whole(given, "minutes", 0) if isinstance(given, dict) else 0
    if not 0 < minutes <= LONGEST:
        raise Refused("time_to_pay is invalid")
    return timedelta(minutes=minutes)


def period(given):
    """Reads two days, spelled dd.mm.yyyy; the period includes both."""
    try:
        return [datetime.strptime(given[name], "%d.%m.%Y").date() for name in ("start", "end")]
    except KeyError as missing:
        raise Refused(f"{missing.args[0]} is required") from None
    except (TypeError, ValueError):
        raise Refused("start and end are dates: dd.mm.yyyy") from None
