"""The expected results of a history of deliveries, settings, faults and operator commands, by the contract alone.

The model does not know how the product works. It replays committed rows in the order of decisions, and says whether the contract
allows each step. That order is observed, not guessed: setup.sql logs each version of each row under a sequence number, while the
delivery still holds the lock of its invoice. Where the contract allows several outcomes, the model allows each of them. It goes
on with the observed outcome.
"""
import collections
from dataclasses import dataclass
from decimal import Decimal
from typing import NamedTuple, Optional


class Content(NamedTuple):
    """The fields of a postback, without its invoice and token. None: absent."""
    amount: str = "10"
    status: str = "success"
    currency: str = "BNB"
    order: Optional[str] = "own"                # "own": of this invoice only; "shared": of all invoices; None
    form: bool = False
    payment_status: Optional[str] = "paid"      # the members of invoice_info; a form has none
    invoice_status: object = "success"
    is_test: Optional[bool] = False
    amount_paid: Optional[str] = "10"
    amount_to_pay: Optional[str] = "10"


def form(**said):
    return Content(form=True, payment_status=None, invoice_status=None, is_test=None, amount_paid=None, amount_to_pay=None, **said)


CONTENTS = {
    "paid": Content(),
    "paid form": form(),
    "partial": Content(amount="4", payment_status="partial", amount_paid="4"),
    "raised": Content(amount="1000", payment_status="overpaid", amount_paid="1000"),
    "raised form": form(amount="1000"),
    "canceled": Content(amount="1000", status="canceled", payment_status="canceled", invoice_status="canceled", amount_paid="0"),
    "canceled, nothing": Content(amount="0", status="canceled", payment_status="canceled", invoice_status="canceled", amount_paid="0"),
    "not confirmed": Content(payment_status="created", invoice_status="created", amount_paid="0"),
    "other order": Content(order="shared"),
    "other order form": form(order="shared"),
    "no order": Content(order=None),
    "no order form": form(order=None),
    "test": Content(is_test=True),
    "test, no order": Content(is_test=True, order=None),
    "other currency": Content(currency="ETH"),
    "odd status": Content(invoice_status=["success"]),
}


class Token(NamedTuple):
    name: str
    exp: int            # seconds after a time in the future; below -1,000,000: expired
    bound: bool         # names its invoice
    key: str            # which secret signed it


class Message(NamedTuple):
    project: str
    invoice: str
    content: str        # a name in CONTENTS
    token: Token

    @property
    def said(self):
        return CONTENTS[self.content]

    @property
    def order(self):
        return {"own": f"O-{self.invoice}", "shared": f"X-{self.invoice[:-1]}", None: None}[self.said.order]


@dataclass
class Delivery:
    """A message in transit, and the observations about it."""
    message: Message
    isolation: str = "read committed"
    statement: object = None            # deliveries of one statement have the same one
    interrupted: bool = False           # a timeout was set, or somebody canceled: pending is possible
    seconds: float = 0                  # until the answer
    may_fail: bool = False              # a fault existed at some time since its transaction began
    must_fail: bool = False             # a fault existed all that time
    answer: Optional[str] = None        # state, reason or HTTP status; None: no answer
    committed: Optional[bool] = False   # None: unknown, because the connection was lost


@dataclass
class Row:
    """A row of cc_inbox: its last version in the log."""
    id: int
    message: Message
    outcome: str        # a state; "pending" only if decided, else "undecided"; "rejected: reason"
    received_at: str
    xid: int            # of the transaction that wrote this version


SETTINGS = {"keys": ["first"], "apply": "immediate", "require_order_id": False, "accept_test_payments": False}
ORDER_PRICE, ORDER_CURRENCY = Decimal(10), "BNB"
EXPIRED = -1_000_000
OPEN = ("undecided", "pending", "failed")           # rows that cc_apply must settle
HTTP = {"rejected: unknown_project": 404, "rejected: bad_signature": 401, "rejected: token_expired": 401, "rejected: missing_order_id": 400,
        "rejected: token_reused": 409}              # of all others 200
REVERIFIABLE = tuple(f"rejected: {reason}" for reason in ("bad_signature", "token_expired", "token_not_yet_valid", "unknown_project",
    "missing_order_id"))
ACCEPTABLE = ("conflict", "rejected: token_reused")
HELD = ("applied", "pending", "conflict")           # the content of such a row has arrived
SPENDING = ("applied", "duplicate", "conflict", "failed", "pending", "rejected: missing_order_id")
AMOUNTS = ("amount_paid", "amount_to_pay")
STATUS = ("status", "invoice_status", "payment_status", "is_test")


def outcome_of(row):
    if row["state"] == "rejected":
        return f"rejected: {row['reason']}"
    return "undecided" if row["state"] == "pending" and row["token_digest"] is None else row["state"]


def rank(status, invoice_status, payment_status):
    """Orders the states that can have the same exp by the progress of the invoice."""
    if status == "success" and invoice_status in (None, "success"):
        return 4
    return 2 if "canceled" in (status, invoice_status, payment_status) else 0


def word_of(outcome):
    return "pending" if outcome == "undecided" else outcome.removeprefix("rejected: ")


def number_of(data):
    """Returns the number of a delivery from its content type."""
    return data["content_type"].rpartition("n=")[2]


def number(text):
    return None if text is None else Decimal(text)


class Model:
    def __init__(self, deliveries):
        self.deliveries = deliveries                # by the number that its content type carries
        self.own_invoices = {delivery.message.invoice for delivery in deliveries.values()}
        self.settings = collections.defaultdict(lambda: dict(SETTINGS))
        self.rows = {}                              # by id
        self.row_of = collections.defaultdict(list)  # ids by number of delivery
        self.answers = {}                           # by number of delivery: its first outcome
        self.spent = {}                             # (project, token): id of the row that spends it
        self.purged = set()                         # ids
        self.digests = {}                           # the product's digest of a token or content: the model's name
        self.invoices = {}                          # (project, invoice): its last version in the log, as judged
        # Versions in the log that no row of the inbox explains yet, by invoice and arrival
        self.fresh = collections.defaultdict(list)
        self.arriving = {}                          # by process: the delivery that it is deciding
        self.fired = collections.Counter()
        self.marked = collections.Counter()         # orders, as the log has them
        self.payable = set()                        # orders that must be marked
        self.faults = set()                         # invoices whose trigger failed at some time
        self.deadlocked = set()                     # statements in which there was a deadlock
        self.draining = False                       # no other session is active, no fault exists
        self.settled = 0                            # rows settled since then
        self.commands = set()                       # of operators in this history: reverify, accept, reassign, purge
        self.problems = []

    def wrong(self, what):
        self.problems.append(what)

    # --- The log, entry by entry ---

    def replay(self, log):
        for what, self.pid, data in log:
            getattr(self, f"log_{what}")(data)

    def log_setting(self, data):
        self.settings[data["project"]][data["name"]] = data["value"]

    def log_fault(self, data):
        self.faults.add((data["project"], data["invoice"]))

    def log_settled(self, data):
        if data["count"] != self.settled:
            self.wrong(f"cc_apply returned {data['count']} in all, and settled {self.settled}")

    def log_drain(self, _):
        self.draining = True

    def log_command(self, data):
        self.commands.add(data["name"])

    def log_deleted(self, data):
        if number_of(data) not in self.deliveries:  # of an earlier history: cc_purge deletes all old rows
            return
        row = self.rows.pop(data["id"], None)
        if row is None or "purge" not in self.commands or row.id in self.spent.values() or row.outcome in OPEN + ("applied", "conflict"):
            self.wrong(f"row {data['id']} ({row}) is gone")
        else:
            self.purged.add(row.id)

    def log_arrival(self, data):
        self.arriving[self.pid] = number_of(data)

    def log_invoice(self, version):
        if version["invoice_id"] in self.own_invoices:
            self.fresh[version["project"], version["invoice_id"], self.arriving.get(self.pid)].append(version)

    def log_fired(self, data):
        if data["invoice_id"] in self.own_invoices:
            self.fired[data["project"], data["invoice_id"]] += 1

    def log_marked(self, data):
        self.marked[data["id"]] += 1

    def log_inbox(self, data):
        name = number_of(data)
        if name not in self.deliveries:             # of an earlier history: cc_reverify judges all rejected rows
            self.settled += self.draining and outcome_of(data) not in OPEN
            return
        delivery = self.deliveries[name]
        message, observed = delivery.message, outcome_of(data)
        key, token = (message.project, message.invoice), (message.project, message.token.name)
        known = self.rows.get(data["id"])
        row = Row(data["id"], message, observed, data["received_at"], data["xid"])
        about = f"delivery {name} ({message.content} of {message.invoice}, token {message.token.name})"
        if known is None:
            self.row_of[name].append(row.id)
            self.answers[name] = observed
            self.arriving.pop(self.pid, None)       # all rows of its statement have been decided
        elif known.outcome == observed and observed not in OPEN:
            self.check_proof(about, row, data, token)
            return                                  # it was settled before, and still is
        versions = self.fresh.pop((*key, name if known is None else None), [])
        if "40P01" in (data["error"] or ""):
            self.deadlocked.add(delivery.statement)
        self.snapshot = data["snapshot"] if delivery.isolation != "read committed" and known is None else None
        allowed = self.allowed(row, delivery, known, data["error"] or "")
        if observed not in allowed:
            before = "" if known is None else f" after {known.outcome}"
            self.wrong(f"{about}: {observed}{before}, allowed: {', '.join(sorted(allowed))}; error: {data['error']}")
        self.rows[row.id] = row
        self.settled += self.draining and observed not in OPEN
        if observed in SPENDING:
            self.spent.setdefault(token, row.id)
        self.check_proof(about, row, data, token)
        if observed == "applied":
            self.check_invoice(about, row, key, versions, accepted=known is not None and known.outcome in ACCEPTABLE)
        elif versions:
            self.wrong(f"{about}: {observed}, and changed the invoice")
        if observed in ("failed", "undecided", "conflict") and not data["error"]:
            self.wrong(f"{about}: {observed} without a word in error")

    # --- The allowed outcomes of a row ---

    def refusal(self, message):
        """Returns the outcome by verification alone."""
        if message.project not in ("default", "second"):
            return "unknown_project"
        if message.token.key not in self.settings[message.project]["keys"]:
            return "bad_signature"
        return "token_expired" if message.token.exp < EXPIRED else None

    def allowed(self, row, delivery, known, error):
        message = row.message
        if known is None and self.refusal(message):
            return {f"rejected: {self.refusal(message)}"}
        if known is not None and known.outcome not in OPEN:
            accepted = {"applied"} if "accept" in self.commands and known.outcome in ACCEPTABLE else set()
            if accepted and (message.project, message.invoice) in self.faults:
                accepted.add("failed")
            if "reverify" not in self.commands or known.outcome not in REVERIFIABLE or self.refusal(message):
                return {known.outcome} | accepted
        allowed = self.decisions(row, message, known)
        if "applied" in allowed:
            faults = self.applying(message)
            allowed = allowed - {"applied"} | faults
            has_failed = delivery.may_fail if known is None else (message.project, message.invoice) in self.faults
            if "applied" in faults and not self.draining and has_failed:
                allowed.add("failed")
            if known is None and delivery.must_fail and self.changes(message):
                allowed.discard("applied")
            invoice = self.invoices.get((message.project, message.invoice))
            if invoice and self.is_hidden(invoice["xid"], row):
                allowed -= {"applied", "conflict"}
        if error.startswith("40001") and not self.draining and (known is not None or delivery.isolation != "read committed"):
            allowed.add("failed")                   # PostgreSQL's own error, before or after the decision
        if self.may_wait(delivery, known):
            # The row could not be settled now, but its token may be spent, and then stays spent.
            if known is None or known.outcome == "undecided" or known.outcome in REVERIFIABLE:
                allowed.add("undecided")
            if self.spent.get((message.project, message.token.name), row.id) == row.id:
                allowed.add("pending")
            if known is not None:
                allowed.add(known.outcome)
        return allowed

    def may_wait(self, delivery, known):
        """Tells whether there can be a reason not to settle it now."""
        return not self.draining and (known is not None or delivery.isolation != "read committed" or delivery.interrupted
            or delivery.seconds > 2.9
                                      or delivery.statement in self.deadlocked)

    def is_hidden(self, xid, row):
        """Tells whether the snapshot of a strict isolation level misses that transaction's changes: then the row must wait."""
        if self.snapshot is None or xid == row.xid:
            return False
        _, end, running = self.snapshot.split(":")
        return xid >= int(end) or str(xid) in running.split(",")

    def decisions(self, row, message, known):
        settings = self.settings[message.project]
        missing = settings["require_order_id"] and message.order is None and not message.said.is_test
        refused = {"rejected: missing_order_id"} if missing else set()
        spender = self.rows.get(self.spent.get((message.project, message.token.name)))
        if spender is not None and spender.id != row.id:
            if self.is_hidden(spender.xid, row):
                return set()
            if spender.message[:3] != message[:3]:
                # A failed row without its token is one that a person accepted: again for a person
                return {"conflict" if known is not None and known.outcome == "failed" else "rejected: token_reused"} | refused
            if spender.outcome == "rejected: missing_order_id":
                return {spender.outcome}
            return {"duplicate"}
        others = [r for r in self.rows.values() if r.message[:3] == message[:3] and r.id != row.id]
        same = {r.outcome for r in others}
        if same.intersection(HELD):
            is_seen = any(r.outcome in HELD and not self.is_hidden(r.xid, row) for r in others)
            return ({"duplicate"} if is_seen else set()) | refused
        maybe = {"duplicate"} if "undecided" in same else set()     # the contract leaves open whether an undecided row counts
        if refused:
            return refused | maybe
        if known is None and settings["apply"] == "deferred":
            return {"pending"} | maybe
        return {"applied"} | maybe

    # --- Invoices ---

    def pays(self, message, invoice):
        said = message.said
        is_test = said.is_test if said.is_test is not None else invoice and invoice["is_test"]
        return (said.status == "success" and said.invoice_status in (None, "success")
                and (not is_test or self.settings[message.project]["accept_test_payments"]))

    def applying(self, message):
        """Returns applied, conflict, or both."""
        invoice, said = self.invoices.get((message.project, message.invoice)), message.said
        if invoice is None:
            return {"applied"}
        if message.order and invoice["order_id"] and message.order != invoice["order_id"]:
            return {"conflict"}
        if invoice["paid_at"] and (said.currency != invoice["currency"] or number(said.amount) < invoice["amount_crypto"]):
            # A newer canceled changes status columns only: it may or may not count as a contradiction.
            return {"conflict"} if self.pays(message, invoice) else {"conflict", "applied"}
        return {"applied"}

    def changes(self, message):
        """Tells whether applying must write the invoice, and so fire the merchant's triggers."""
        invoice = self.invoices.get((message.project, message.invoice))
        return invoice is None or not invoice["paid_at"] and self.pays(message, invoice)

    def expected(self, row, invoice):
        """Returns the invoice after this row: for each column the values that the contract allows."""
        message, said = row.message, row.message.said
        exp = message.token.exp
        text = said.invoice_status if isinstance(said.invoice_status, str) else None
        given = {"status": said.status, "invoice_status": text, "payment_status": said.payment_status, "is_test": said.is_test}
        money = {"amount_crypto": number(said.amount), "currency": said.currency,
                 "amount_paid": number(said.amount_paid), "amount_to_pay": number(said.amount_to_pay)}
        if invoice is None:
            want = {column: {value} for column, value in (given | money).items()}
            want["order_id"] = {message.order}
            want["paid_at"] = {row.received_at if self.pays(message, None) else None}
            return want, exp
        newest = invoice["exp"]
        newer = {exp > newest}
        if exp == newest:
            ranks = rank(said.status, text, said.payment_status), rank(*(invoice[c] for c in STATUS[:3]))
            newer = {ranks[0] > ranks[1]} if ranks[0] != ranks[1] else {True, False}
        def merged(column, value, choices):
            """Returns the newer value; an unknown value never replaces a known one."""
            old = invoice[column]
            return {(old if old is not None else value) if not is_newer else (value if value is not None else old) for is_newer in choices}

        want = {column: merged(column, value, newer) for column, value in given.items()}
        want["order_id"] = {invoice["order_id"] or message.order}
        pays = self.pays(message, invoice)
        want["paid_at"] = {invoice["paid_at"] or (row.received_at if pays else None)}
        if invoice["paid_at"] or pays:              # is_test of the payment, or of the newest postback
            want["is_test"] |= {invoice["is_test"], said.is_test if pays else None} - ({None} if invoice["is_test"] is not None else set())
        for column, value in money.items():
            if invoice["paid_at"] and not (pays and exp >= invoice["paid_exp"]):
                # The amounts of a paid invoice come from one postback that says paid. Amounts that it lacks may be added.
                want[column] = {invoice[column]} if invoice[column] is not None else {None, value}
            elif pays and not invoice["paid_at"]:
                # The amounts come from the paying postback. Amounts that it lacks are kept, or become unknown.
                want[column] = {value} if value is not None else {None, invoice[column]}
            elif pays and newer == {False}:
                # Newer than the paying postback, older than another, such as a canceled: the contract allows both readings.
                want[column] = merged(column, value, {True, False}) | {invoice[column]}
            else:
                want[column] = merged(column, value, newer)
        return want, max(exp, newest)

    def check_invoice(self, about, row, key, versions, accepted):
        invoice = self.invoices.get(key)
        if not versions and invoice is None:
            return self.wrong(f"{about}: applied, and there is no invoice")
        now = dict(versions[-1]) if versions else dict(invoice)
        want, now["exp"] = self.expected(row, invoice)
        if accepted:                                # a person confirmed it: the invoice takes its values
            self.follow(about, row, invoice, now, want)
        for column, values in want.items():
            if now[column] not in values:
                self.wrong(f"{about}: {column} of the invoice is {now[column]}, allowed: {' or '.join(map(str, values))}; "
                           f"it was {invoice and invoice[column]}")
        paid, owed = now["amount_paid"], now["amount_to_pay"]
        payment = None if paid is None or owed is None else "under" if paid < owed else "over" if paid > owed else "exact"
        if now["payment"] != payment:
            self.wrong(f"{about}: payment is {now['payment']}, but {paid} of {owed} is paid")
        now["paid_exp"] = invoice["paid_exp"] if invoice and invoice["paid_at"] else row.message.token.exp if now["paid_at"] else None
        self.invoices[key] = now
        if now["paid_at"] and now["order_id"] and now["currency"] == ORDER_CURRENCY and now["amount_crypto"] >= ORDER_PRICE:
            self.payable.add(now["order_id"])

    def follow(self, about, row, invoice, now, want):
        """Allows the changes to an invoice that only a person may make."""
        said = row.message.said
        given = {"status": said.status, "order_id": row.message.order, "invoice_status": said.invoice_status,
                 "payment_status": said.payment_status}
        if not (invoice and invoice["paid_at"]) or self.pays(row.message, invoice):
            given |= {"amount_crypto": number(said.amount), "currency": said.currency, "is_test": said.is_test,
                      "amount_paid": number(said.amount_paid), "amount_to_pay": number(said.amount_to_pay)}
        for column, value in given.items():
            if not isinstance(value, list):
                want[column] = {value, invoice and invoice[column]}
        if (invoice and invoice["paid_at"] and now["order_id"] != invoice["order_id"] and invoice["order_id"]
                and "reassign" not in self.commands):
            self.wrong(f"{about}: accepted, and the paid invoice has another order without reassign")

    # --- Digests ---

    def check_proof(self, about, row, data, token):
        spends = self.spent.get(token) == row.id
        if spends != (data["token_digest"] is not None):
            how = 'spends its token without' if spends else 'does not spend its token, but has'
            self.wrong(f"{about}: {row.outcome}, {how} token_digest")
        verified = not row.outcome.startswith("rejected") or row.outcome == "rejected: missing_order_id"
        if verified and not (data["content_digest"] and data["token_expires_at"]):
            self.wrong(f"{about}: {row.outcome} without its proof")
        if not verified and "token_reused" not in row.outcome and (data["content_digest"] or data["token_digest"]
            or data["token_expires_at"]):
            self.wrong(f"{about}: {row.outcome}, and carries a proof")
        for digest, means in (data["token_digest"], token), (data["content_digest"], row.message[1:3]):
            if digest is not None and self.digests.setdefault(digest, means) != means:
                self.wrong(f"{about}: one digest for {means} and {self.digests[digest]}")

    # --- The end ---

    def end(self, inbox, invoices, orders):
        """Judges the state after the drain.

        inbox: {id: (state, reason)}; invoices: {(project, invoice): row}; orders: {id: marked}.
        """
        for name, delivery in self.deliveries.items():
            ids, outcome = self.row_of[name], self.answers.get(name)
            if outcome and delivery.committed and delivery.answer not in (str(HTTP.get(outcome, 200)), word_of(outcome)):
                self.wrong(f"delivery {name}: answered {delivery.answer}, and was {outcome}")
            if self.purged.intersection(ids):
                continue
            if len(ids) > 1 or delivery.committed is False and ids or delivery.committed and not ids:
                self.wrong(f"delivery {name}: answered {delivery.answer}, committed: {delivery.committed}, but {len(ids)} rows")
        if set(inbox) != set(self.rows):
            self.wrong(f"rows of the inbox: {sorted(inbox)}, in the log: {sorted(self.rows)}")
        for id, row in self.rows.items():
            if id in inbox and inbox[id] != row.outcome:
                self.wrong(f"row {id}: {inbox[id]}, in the log {row.outcome}")
            if row.outcome in OPEN:
                self.wrong(f"row {id} ({row.message.content} of {row.message.invoice}): still {row.outcome}")
            # A project can begin to require order_id while a row waits. cc_reverify() finds that row again.
            if row.outcome == "duplicate" and not any(
                    r.outcome in ("applied", "conflict", "rejected: missing_order_id") and r.message[:3] == row.message[:3]
                    for r in self.rows.values()):
                self.wrong(f"row {id} ({row.message.content} of {row.message.invoice}): a duplicate of nothing")
        for key, versions in self.fresh.items():
            self.wrong(f"invoice {key} changed without a row of the inbox: {versions[-1]}")
        if set(invoices) != set(self.invoices):
            self.wrong(f"invoices: {sorted(invoices)}, by the log: {sorted(self.invoices)}")
        for key, invoice in self.invoices.items():
            for column in ("order_id", "amount_crypto", "currency", "paid_at", *STATUS):
                if key in invoices and invoices[key][column] != invoice[column]:
                    self.wrong(f"invoice {key}: {column} is {invoices[key][column]}, in the log {invoice[column]}")
            if self.fired[key] != bool(invoice["paid_at"]):
                self.wrong(f"invoice {key}: paid trigger fired {self.fired[key]} times, paid_at is {invoice['paid_at']}")
        for key in set(self.fired) - set(self.invoices):
            self.wrong(f"invoice {key}: paid trigger fired, and there is no invoice")
        for id, is_marked in orders.items():
            if self.marked[id] != is_marked or is_marked != (id in self.payable):
                self.wrong(f"order {id}: marked {self.marked[id]} times, is {'' if is_marked else 'not '}paid, "
                           f"must {'' if id in self.payable else 'not '}be")
        return self.problems


def judge(deliveries, log, inbox, invoices, orders):
    """Returns all problems."""
    model = Model(deliveries)
    model.replay(log)
    return model.end(inbox, invoices, orders)
