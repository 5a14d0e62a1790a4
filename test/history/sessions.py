"""Sessions that can wait, driven by one thread: it sends statements, and sees which sessions answer and which wait for a lock."""
import json
import select
import time
from decimal import Decimal

import psycopg
from psycopg import pq

from model import outcome_of
from postbacks import body_of, content_type_of, secret_of

FATAL = (pq.ExecStatus.FATAL_ERROR, pq.ExecStatus.BAD_RESPONSE)
MERCHANT = "merchant"


def quote(text):
    return "NULL" if text is None else "'" + str(text).replace("'", "''") + "'"


def connect(**options):
    return psycopg.connect(autocommit=True, **options)


class Session:
    """A connection; knows its transaction's deliveries, and which of them are committed."""

    def __init__(self, name):
        self.name = name
        self.open()

    def open(self):
        self.connection = pq.PGconn.connect(f"user={MERCHANT} dbname=history application_name={self.name}".encode())
        if self.connection.status != pq.ConnStatus.OK:
            raise psycopg.OperationalError(self.connection.error_message.decode())
        self.pid = self.connection.backend_pid
        self.busy = False
        self.isolation = "read committed"
        self.has_timeout = self.was_cancelled = False
        self.under_way = []         # deliveries of its current statement
        self.forget()

    def forget(self):
        self.transaction = []       # deliveries, and the names of savepoints between them
        self.faults_before = set()  # invoices with a fault at some time in this transaction
        self.began = 0

    def close(self):
        self.connection.finish()

    @property
    def in_transaction(self):
        return self.connection.transaction_status not in (pq.TransactionStatus.IDLE, pq.TransactionStatus.UNKNOWN)

    def send(self, sql, step):
        self.step, self.results, self.busy, self.sent = step, [], True, time.monotonic()
        self.connection.send_query(sql.encode())

    def poll(self):
        """Tells whether the answer has arrived."""
        try:
            self.connection.consume_input()
            while not self.connection.is_busy():
                result = self.connection.get_result()
                if result is None:
                    self.busy = False
                    return True
                self.results.append(result)
        except psycopg.OperationalError:
            self.busy = False
            return True
        return False

    @property
    def is_lost(self):
        return self.connection.status != pq.ConnStatus.OK

    @property
    def error(self):
        """Returns SQLSTATE and message, or None."""
        for result in self.results:
            if result.status in FATAL:
                state = (result.error_field(pq.DiagnosticField.SQLSTATE) or b"08006").decode()
                return state, (result.error_field(pq.DiagnosticField.MESSAGE_PRIMARY) or b"").decode()
        return ("08006", "connection lost") if self.is_lost else None

    @property
    def rows(self):
        result = self.results[-1]
        return [(result.get_value(i, 0) or b"").decode() for i in range(result.ntuples)] if self.results else []

    @property
    def tag(self):
        return (self.results[-1].command_status or b"").decode() if self.results else ""


def deliver_sql(deliveries, via):
    """Sends deliveries: [(number, message)]."""
    rows = [(quote(m.project), quote(body_of(m)), quote(content_type_of(m, number))) for number, m in deliveries]
    if via != "insert":
        (project, body, content_type), = rows
        body = f"{body}::text" if via == "receive" else f"convert_to({body}, 'UTF8')"
        return f"SELECT http_status FROM cc_receive({body}, {content_type}, {project})"
    values = ",\n       ".join(f"({', '.join(row)})" for row in rows)
    return f"INSERT INTO cc_inbox (project, body, content_type)\nVALUES {values}\nRETURNING coalesce(reason, state)"


class World:
    """The cluster: at most eight sessions, and one that watches them."""

    def __init__(self, sessions=8, reset=True):
        self.admin = connect(user="postgres", dbname="history")
        self.owner = connect(user=MERCHANT, dbname="history")
        self.owner.execute("SET lock_timeout = '1s'")
        self.sessions = [Session(f"s{i + 1}") for i in range(sessions)]
        self.has = {name for name, in self.admin.execute("SELECT proname FROM pg_proc WHERE proname LIKE 'cc\\_%'")}
        self.number = 0
        if reset:
            self.reset()

    def close(self):
        for session in self.sessions:
            session.close()
        self.admin.close()
        self.owner.close()

    def reset(self):
        self.admin.execute("TRUNCATE cc_inbox, cc_invoice, orders, fault, history_log")
        for project in "default", "second":
            self.admin.execute("UPDATE cc_project SET secret = %s, previous_secret = NULL, previous_secret_until = NULL,"
                               " apply = 'immediate', require_order_id = false, "
                               "accept_test_payments = false WHERE name = %s", (secret_of(project, "first"), project))

    # --- Waiting ---

    def waiting(self):
        """Returns processes that wait for a lock, or have slept for long because they request a lock repeatedly."""
        return {pid for pid, in self.admin.execute(
            "SELECT pid FROM pg_locks WHERE NOT granted UNION ALL "
            "SELECT pid FROM pg_stat_activity WHERE wait_event_type = 'Extension' AND clock_timestamp() - query_start > '50 ms'")}

    def quiesce(self, done, stuck=False, at_once=False):
        """Waits until each busy session has answered or waits for a lock; if all are stuck, until one has answered.

        at_once: does not wait. Calls done(session) for each answer."""
        deadline = time.monotonic() + 60
        while busy := [s for s in self.sessions if s.busy]:
            ready = [s for s in busy if s.poll()]
            for session in ready:
                done(session)
            if at_once or ready and stuck:
                return
            if ready:
                continue
            # Sessions that do not wait answer within this time.
            if not select.select([s.connection.socket for s in busy], [], [], 0.002)[0] and not stuck:
                waiting = self.waiting()
                if all(s.pid in waiting and not select.select([s.connection.socket], [], [], 0)[0] for s in busy):
                    return
            if time.monotonic() > deadline:
                raise TimeoutError(f"no answer within 60 s: {[(s.name, s.step) for s in busy]}")

    # --- The final state ---

    def observe(self, since, prefix):
        """Returns the log, the inbox's outcomes, the invoices, and the paid orders."""
        log = [(what, pid, json.loads(data, parse_float=Decimal, parse_int=Decimal) | {"xid": int(xid), "snapshot": snapshot})
               for what, pid, data, xid, snapshot in self.admin.execute(
            "SELECT what, pid, data::text, xid::text, snapshot::text FROM history_log WHERE seq > %s ORDER BY seq", (since,))]
        inbox = {row["id"]: outcome_of(row) for row in self.read("to_jsonb(i) - 'body' - 'raw' FROM cc_inbox i WHERE content_type LIKE %s",
            f"%n={prefix}%")}
        invoices = {(row["project"], row["invoice_id"]): row for row in self.read("to_jsonb(i) FROM cc_invoice i WHERE invoice_id LIKE %s",
            prefix + "%")}
        orders = dict(self.admin.execute("SELECT id, paid_at IS NOT NULL FROM orders WHERE id LIKE %s", (f"_-{prefix}%",)).fetchall())
        return log, inbox, invoices, orders

    def read(self, expression_and_rest, *arguments):
        expression, rest = expression_and_rest.split(" FROM ", 1)
        for value, in self.admin.execute(f"SELECT ({expression})::text FROM {rest}", arguments):
            yield json.loads(value, parse_float=Decimal, parse_int=Decimal)

    def log(self, what, **data):
        self.owner.execute("INSERT INTO history_log (what, data) VALUES (%s, %s)", (what, json.dumps(data)))
