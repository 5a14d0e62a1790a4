"""A day of two shops: at its end their books and the service's agree to the cent, and cc_health reports no problem."""
import copy
import os
from collections import Counter
from functools import cache

from collect import Cases
from day import HOURS, ORDERS, Day, stories
from faults import FAULTS
from invoices import Invoice

case = CASES = Cases()
SEED = int(os.environ.get("CC_SEED", 14))
WALLET = "CUSTOMER-"


def cases():
    yield f"the day comes to its end; CC_SEED={SEED}", this_day().run
    try:
        yield from CASES
    finally:
        this_day().put_back(os.environ["CC_SECRET"])


@cache
def this_day():
    return Day(SEED)


def the_day():
    assert this_day().is_over, "the day did not come to its end"
    return this_day()


def invoices(day):
    """Returns the service's books: (project, invoice) of every invoice that was requested or paid."""
    return [(name, invoice) for name, project in day.projects.items() for invoice in project.service.books.all()]


# --- The result by the service's books -------------------------------------------------------------------------------------------


def owed(books):
    """Returns the orders whose goods the shop owes, with the amount paid: the whole price, confirmed, no test."""
    return {invoice.order_id: invoice.to_pay for _, invoice in books if invoice.is_due and not is_deposit(invoice)}


def credit(books):
    """Returns the customers' balances: (amount, deposits) by customer and coin."""
    found = {}
    for _, invoice in books:
        if invoice.is_due and is_deposit(invoice):
            amount, deposits = found.get((invoice.order_id, invoice.coin.code), (0, 0))
            found[invoice.order_id, invoice.coin.code] = amount + invoice.paid, deposits + 1
    return found


def ledger(books):
    """Returns a line per invoice: order, coin, the amount paid in it and in USD, whether that counts, and the status."""
    return {(project, invoice.uuid): ledger_line(invoice) for project, invoice in books}


def ledger_line(invoice: Invoice):
    counts = invoice.confirmed and not invoice.test_mode
    return invoice.order_id, invoice.coin.code, invoice.paid, invoice.usd(invoice.paid), counts, invoice.status


def is_deposit(invoice):
    return invoice.order_id.startswith(WALLET)


# --- The result in the database --------------------------------------------------------------------------------------------------


def shipped(database):
    rows = database.rows(
        "SELECT id, amount, (SELECT count(*) FROM parcels WHERE order_id = id) AS parcels FROM orders WHERE paid_at IS NOT NULL"
    )
    assert all(row.parcels == 1 for row in rows), [row for row in rows if row.parcels != 1]
    assert database.value("SELECT count(*) FROM parcels") == len(rows), "a parcel was sent for an order that is open"
    return {row.id: row.amount for row in rows}


def balances(database):
    rows = database.rows("SELECT customer, currency, amount, deposits FROM balances")
    return {(row.customer, row.currency): (row.amount, row.deposits) for row in rows}


def kept(database):
    rows = database.rows(
        """SELECT project, invoice_id, order_id, currency, coalesce(amount_paid, 0) AS paid, coalesce(amount_paid_usd, 0) AS usd,
                  paid_at IS NOT NULL AS counts, payment_status AS status, amount_crypto
             FROM cc_invoice"""
    )
    assert all(row.amount_crypto == row.paid for row in rows if row.counts), "the signed amount is not what was paid"
    return {
        (row.project, row.invoice_id): (row.order_id, row.currency, row.paid, row.usd, row.counts, row.status) for row in rows
    }


def differences(expected, found):
    return [
        (key, expected.get(key), found.get(key)) for key in expected.keys() | found.keys() if expected.get(key) != found.get(key)
    ]


def agree(day, books):
    """Returns the differences between the service's books and the shops'."""
    database = day.database
    return (
        differences(owed(books), shipped(database))
        + differences(credit(books), balances(database))
        + differences(ledger(books), kept(database))
    )


# --- The cases -------------------------------------------------------------------------------------------------------------------


@case("200 orders of two projects: each fault in each format, and everything that was sent arrived and was answered")
def _():
    day, told = the_day(), stories(SEED)
    assert len(told) == ORDERS == sum(number for _, number in HOURS)
    happened = {(story.project, story.fault, story.format) for story in told}
    assert happened == {
        (project, fault.name, format)
        for project in day.projects
        for fault in FAULTS.values()
        for format in fault.formats
        if fault.name != "again"
    }
    assert day.database.value("SELECT count(*) FROM cc_inbox") == day.sent > ORDERS
    assert set(day.statuses) == {200, 400, 401, 409, None}, day.statuses  # None: the service hung up


@case("while the secret was wrong cc_health said so, of that project alone; while the trigger was broken it said so of both")
def _():
    heard = the_day().operator.heard
    assert ("default", "bad_signature") in heard["a new SECRET KEY"], heard
    assert ("second", "bad_signature") not in heard["a new SECRET KEY"], heard
    assert {("default", "failed"), ("second", "failed")} <= heard["a broken trigger"], heard
    assert {("default", "conflict"), ("second", "conflict")} <= set().union(*heard.values()), heard


@case("the operator needed each command")
def _():
    did = the_day().operator.did
    assert all(did[command] > 0 for command in ("cc_reverify", "cc_work", "cc_accept", "declined", "cc_import")), did


@case("each order is paid and sent once if the service was paid for it, and no other is; books and shops agree to the cent")
def _():
    day = the_day()
    books = invoices(day)
    assert len(owed(books)) > ORDERS / 3 and len(credit(books)) >= 4
    assert not agree(day, books), agree(day, books)


@case("a cent too little, an order too many, another coin and a missing invoice would be noticed")
def _():
    day = the_day()
    for tamper in (
        lambda invoice: setattr(invoice, "paid", invoice.paid + invoice.to_pay / invoice.amount_usd / 100),
        lambda invoice: setattr(invoice, "order_id", "ORDER-0"),
        lambda invoice: setattr(invoice, "confirmed", False),
        lambda invoice: setattr(invoice, "test_mode", True),
        lambda invoice: setattr(invoice, "uuid", "UNKNOWN0"),
    ):
        books = copy.deepcopy(invoices(day))
        tamper(next(invoice for _, invoice in books if invoice.is_due))
        assert agree(day, books)


@case("nothing waits, nothing is overdue, and only forged postbacks are still rejected")
def _():
    day = the_day()
    database = day.database
    assert not database.rows("SELECT id, state, error FROM cc_inbox WHERE state IN ('pending', 'failed', 'conflict')")
    assert not [row for name in day.projects for row in database.rows("SELECT cc_overdue('0 seconds', project => %s)", name)]
    left = Counter(row.reason for row in database.rows("SELECT reason FROM cc_inbox WHERE state = 'rejected'"))
    told = Counter(story.fault for story in stories(SEED))
    # The fault "wrong secret" signs with a new key each time, which nobody keeps. The API told about those payments.
    assert left["bad_signature"] == told["forged"] + told["wrong_secret"], left
    assert left["invalid_json"] == told["markup"] and left["token_reused"] == told["raised"], left
    assert (
        set(left) <= {"bad_signature", "invalid_json", "token_reused", "token_expired"}
        and left["token_expired"] <= told["expired"]
    )


@case("cc_health says nothing")
def _():
    assert the_day().operator.problems() == []
