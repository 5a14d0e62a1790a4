"""The service's books: invoices, static wallets, and their payments."""
import secrets
import string
import threading
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from decimal import Decimal

from currencies import CENT, FIAT, Coin


def utc_now():
    return datetime.now(timezone.utc).replace(tzinfo=None)


def spell_time(time):
    return time and time.isoformat(" ", "microseconds")


def new_uuid():
    return "".join(secrets.choice(string.ascii_uppercase + string.digits) for _ in range(8))


def new_address(coin):
    """Returns an address that is visibly not real, so nobody sends money there."""
    return f"SANDBOX{coin.network}{secrets.token_hex(13)}"


@dataclass
class Invoice:
    coin: Coin
    amount_usd: Decimal
    order_id: str | None = None
    fiat: str = "USD"
    test_mode: bool = False
    uuid: str = field(default_factory=new_uuid)  # without INV-
    address: str = ""
    to_pay: Decimal = Decimal(0)
    created: datetime = field(default_factory=utc_now)
    lifetime: timedelta = timedelta(days=1)
    status: str = "created"  # created, partial, paid, overpaid, canceled
    confirmed: bool = False
    finished: datetime | None = None
    paid: Decimal = Decimal(0)
    transactions: list = field(default_factory=list)

    def __post_init__(self):
        self.address = self.address or new_address(self.coin)
        self.to_pay = self.to_pay or self.coin.amount(self.amount_usd)

    @property
    def expires(self):
        return self.created + self.lifetime

    def pay(self, amount):
        """Adds money. The service does not announce that."""
        self.paid += amount
        self.transactions.append("0x" + secrets.token_hex(32))
        self.status = "partial" if self.paid < self.to_pay else "paid" if self.paid == self.to_pay else "overpaid"

    def confirm(self):
        """Makes the invoice a success, for any amount paid. A postback announces this."""
        self.confirmed = True
        self.finished = utc_now()

    @property
    def is_due(self):
        """Tells whether the shop owes the goods: the whole price was paid, and confirmed."""
        return self.confirmed and not self.test_mode and self.paid >= self.to_pay

    def cancel(self):
        self.status = "canceled"

    def usd(self, amount):
        return (amount * self.amount_usd / self.to_pay).quantize(CENT)

    def info(self):
        """Returns the documented invoice_info. Numbers are floats, as in the service."""
        missing = max(self.to_pay - self.paid, Decimal(0)) if self.paid else Decimal(0)
        fee = (self.paid * CENT).quantize(Decimal("0.00000001"))
        return {
            "uuid": "INV-" + self.uuid,
            "created": spell_time(self.created),
            "address": self.address,
            "currency": self.coin.as_json(),
            "date_finished": spell_time(self.finished),
            "expiry_date": spell_time(self.expires),
            "side_commission": "client",
            "type_payments": "crypto",
            "amount": float(self.to_pay),
            "amount_": float(self.to_pay),
            "status": self.status,
            "invoice_status": "success" if self.confirmed else "canceled" if self.status == "canceled" else "created",
            "is_email_required": False,
            "project": {"id": 1, "name": "Sandbox", "fail": "", "success": "", "logo": ""},
            "tx_list": list(self.transactions),
            "amount_in_crypto": None,
            "amount_in_fiat": float((self.amount_usd / FIAT.get(self.fiat, 1)).quantize(CENT)),
            "amount_usd": float(self.amount_usd),
            "amount_to_pay": float(self.to_pay),
            "amount_to_pay_usd": float(self.amount_usd),
            "amount_paid": float(self.paid),
            "amount_paid_usd": float(self.usd(self.paid)),
            "fee": 0,
            "fee_usd": 0,
            "service_fee": float(fee),
            "service_fee_usd": float(self.usd(fee)),
            "received": float(self.paid - fee),
            "received_usd": float(self.usd(self.paid - fee)),
            "to_surcharge": float(missing),
            "to_surcharge_usd": float(self.usd(missing)),
            "total_rub": 0,
            "step": 3 if self.confirmed else 1,
            "test_mode": self.test_mode,
            "type": "up",
            "aml_enabled": False,
            "aml_side": "merchant",
            "aml_checks": [],
            "links_invoice": None,
        }


@dataclass
class Wallet:
    coin: Coin
    identify: str
    uuid: str = field(default_factory=lambda: secrets.token_hex(16))
    address: str = ""

    def __post_init__(self):
        self.address = self.address or new_address(self.coin)

    def deposit(self, usd):
        """Makes a separate invoice for each deposit; the customer's identifier is its order_id."""
        return Invoice(self.coin, usd, order_id=self.identify, address=self.address)


class Books:
    """All invoices by their uuid, in the order of creation."""

    def __init__(self):
        self._lock = threading.Lock()
        self._invoices = {}
        self.wallets = {}

    def add(self, invoice):
        with self._lock:
            self._invoices[invoice.uuid] = invoice
        return invoice

    def find(self, uuid):
        return self._invoices.get(str(uuid).removeprefix("INV-"))

    def all(self):
        with self._lock:
            return list(self._invoices.values())

    def between(self, start, end):
        return [invoice for invoice in self.all() if start <= invoice.created.date() <= end]
