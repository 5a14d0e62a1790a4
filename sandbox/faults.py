"""The faults of a notification. Each is a function over a Run that pays the invoice, and sends something about it.

`order` is the expected outcome of the order: "paid", "open", or "credited" for a wallet. `inbox` has the expected outcome of each
postback, in any order: its state, or the reason of its rejection. "*" stands for any accepted postback.
"""
import secrets
import time
from dataclasses import dataclass, field
from decimal import Decimal

import postbacks
import sending
from invoices import Invoice, Wallet

FAULTS = {}


@dataclass(frozen=True)
class Fault:
    name: str
    run: callable
    kind: str  # the heading of its button
    order: str
    inbox: tuple
    formats: tuple = ("json", "form")
    breaks_shop: bool = False  # its cause is in the shop: the page breaks the order trigger first


def fault(kind, order, *inbox, **more):
    def add(run):
        FAULTS[run.__name__] = Fault(run.__name__, run, kind, order, inbox, **more)
        return run

    return add


@dataclass
class Run:
    """A run of one fault on one invoice. It calls `tell` for every step."""

    invoice: Invoice
    url: str
    secret: str
    format: str = "json"
    pace: float = 5  # seconds of "late" and "slow"
    insecure: bool = False
    tell: callable = lambda *event: None
    keep: callable = lambda invoice: None  # enters another invoice into the books
    answers: list = field(default_factory=list)

    def pay(self, share=1, invoice=None):
        """Pays this share of the price, and confirms it."""
        self.receive(share, invoice)
        (invoice or self.invoice).confirm()

    def receive(self, share=1, invoice=None):
        invoice = invoice or self.invoice
        amount = invoice.to_pay * Decimal(str(share))
        invoice.pay(amount)
        self.tell("payment", f"{amount.normalize():f} {invoice.coin.code}")

    def postback(self, *, secret=None, invoice=None, lifetime=postbacks.LIFETIME, **changes):
        fields = postbacks.fields_of(invoice or self.invoice, secret or self.secret, lifetime, **changes)
        return postbacks.encode(fields, self.format)

    def send(self, body, **how):
        self.tell("request", body.decode())
        self.note(sending.send(self.url, body, postbacks.CONTENT_TYPES[self.format], insecure=self.insecure, **how))

    def send_at_once(self, body, times):
        self.tell("request", body.decode())
        for answer in sending.send_at_once(times, self.url, body, postbacks.CONTENT_TYPES[self.format], insecure=self.insecure):
            self.note(answer)

    def note(self, answer):
        self.answers.append(answer)
        self.tell("answer", answer)

    def wait(self):
        self.tell("waiting", f"{self.pace:g}")
        time.sleep(self.pace)


# --- No fault ----------------------------------------------------------------------------------------------------------------


@fault("honest", "paid", "applied")
def honest(run):
    run.pay()
    run.send(run.postback())


@fault("honest", "paid", "applied")
def again(run):
    """The dashboard's button "send again": a new token, and no payment."""
    if run.invoice.confirmed:
        run.send(run.postback())
    else:
        run.tell("unannounced", "")


# --- How it arrives ----------------------------------------------------------------------------------------------------------


@fault("delivery", "paid", "applied")
def late(run):
    run.pay()
    body = run.postback()
    run.wait()
    run.send(body)


@fault("delivery", "paid", "applied")
def slow(run):
    run.pay()
    run.send(run.postback(), seconds=run.pace)


@fault("delivery", "paid", "applied", "duplicate")
def twice_at_once(run):
    run.pay()
    run.send_at_once(run.postback(), 2)


@fault("delivery", "paid", "applied", "duplicate")
def twice_later(run):
    run.pay()
    run.send(run.postback())
    run.send(run.postback())


@fault("delivery", "paid", "applied", "duplicate")
def no_answer(run):
    """The service gets no answer, and sends again. The first postback did arrive."""
    run.pay()
    run.send(run.postback(), hang_up=True)
    run.send(run.postback())


@fault("delivery", "paid", "applied", "*")
def out_of_order(run):
    """A payment in two parts: the postback of the first part arrives last."""
    run.pay("0.6")
    first = run.postback()
    run.pay("0.4")
    run.send(run.postback())
    run.send(first)


@fault("delivery", "open")
def lost(run):
    run.pay()
    run.tell("lost", "")


# --- How much is paid --------------------------------------------------------------------------------------------------------


@fault("amount", "open", "applied")
def underpaid(run):
    """The project automatically confirms partly paid invoices."""
    run.pay("0.6")
    run.send(run.postback())


@fault("amount", "paid", "applied")
def overpaid(run):
    run.pay("1.5")
    run.send(run.postback())


@fault("amount", "paid", "applied", "applied")
def topped_up(run):
    run.pay("0.6")
    run.send(run.postback())
    run.pay("0.4")
    run.send(run.postback())


@fault("amount", "open", "applied")
def by_hand(run):
    """Nothing is sent for a partly paid invoice, until a person confirms it."""
    run.receive("0.6")
    run.tell("unannounced", "")
    run.invoice.confirm()
    run.tell("confirmed", "")
    run.send(run.postback())


@fault("amount", "credited", "applied", "applied", "applied")
def static_wallet(run):
    """Three payments to one address. Each is a separate invoice, and all have the customer's identifier as order_id."""
    wallet = Wallet(run.invoice.coin, f"CUSTOMER-{run.invoice.order_id}")
    for share in ("0.5", "0.3", "0.2"):
        deposit = wallet.deposit(run.invoice.amount_usd * Decimal(share))
        run.keep(deposit)
        run.pay(invoice=deposit)
        run.send(run.postback(invoice=deposit))


# --- Who sends it ------------------------------------------------------------------------------------------------------------


@fault("attack", "open", "bad_signature")
def forged(run):
    """A stranger claims a payment that did not happen."""
    run.send(run.postback(secret=secrets.token_hex(18), amount_crypto=float(run.invoice.to_pay)))


@fault("attack", "open", "applied", "token_reused")
def raised(run, share="0.1"):
    """A tenth is paid. Somebody sends the same token with ten times the amount."""
    run.pay(share)
    fields = postbacks.fields_of(run.invoice, run.secret)
    run.send(postbacks.encode(fields, run.format))
    run.send(postbacks.encode(fields | {"amount_crypto": fields["amount_crypto"] * 10}, run.format))


@fault("attack", "paid", "applied", "conflict")
def another_order(run):
    """The invoice pays its order. A second postback of it, correctly signed, names another order."""
    run.pay()
    run.send(run.postback())
    run.send(run.postback(order_id=f"{run.invoice.order_id}-B"))


@fault("attack", "open", "*", "token_reused")
def stolen(run):
    """A thief reads the token in transit, and uses it first, for their own order."""
    run.pay()
    fields = postbacks.fields_of(run.invoice, run.secret)
    run.send(postbacks.encode(fields | {"order_id": f"{run.invoice.order_id}-T"}, run.format))
    run.send(postbacks.encode(fields, run.format))


@fault("attack", "open", "invalid_json", formats=("json",))
def markup(run):
    """A script instead of JSON, for anyone who views the body."""
    script = '<script>document.title = "taken over"</script> <img src=x onerror=alert(1)>'
    run.send(f'{{"invoice_id": "{run.invoice.uuid}", {script}'.encode())


# --- How it is set up --------------------------------------------------------------------------------------------------------


@fault("setup", "open", "token_expired")
def expired(run):
    """The postback was in transit for six minutes, or a clock is wrong."""
    run.pay()
    run.send(run.postback(lifetime=-60))


@fault("setup", "open", "bad_signature")
def wrong_secret(run):
    """The project has a new SECRET KEY, and the database does not know it yet."""
    run.pay()
    key = secrets.token_hex(18)
    run.tell("new key", key)
    run.send(run.postback(secret=key))


@fault("setup", "open", "applied", formats=("json",))
def test_mode(run):
    """A form cannot say that it is a test, and would count as paid."""
    run.invoice.test_mode = True
    run.pay()
    run.send(run.postback())


@fault("setup", "open", "failed", breaks_shop=True)
def broken_trigger(run):
    """The postback is correct. The shop's own trigger fails."""
    run.pay()
    run.send(run.postback())
