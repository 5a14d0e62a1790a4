"""Plays a history, a list of events (session, action, ...); session -1 is the operator. Then drains, and lets the model judge."""
import time

from model import Delivery, judge
from postbacks import secret_of
from sessions import deliver_sql, quote

BEGIN = "BEGIN ISOLATION LEVEL {}; SELECT 1"           # with its snapshot
OPERATOR = -1
DRAIN = 20                                              # calls of cc_apply at most

# Commands of an operator; {prefix} belongs to the history, {n} is a number. Commands that the extension lacks are skipped.
COMMANDS = {
    "reverify": ("cc_reverify", "SELECT count(*) FROM cc_reverify()"),
    "accept": ("cc_accept",
               "SELECT cc_accept(id) FROM (SELECT id FROM cc_inbox WHERE (state = 'conflict' OR reason = 'token_reused')"
                            " AND content_type LIKE '%n={prefix}%' ORDER BY id OFFSET {n} LIMIT 1) AS wrong"),
    "reassign": ("cc_accept",
        "SELECT cc_accept(id, true) FROM (SELECT id FROM cc_inbox WHERE state = 'conflict' AND content_type LIKE '%n={prefix}%'"
                              " ORDER BY id OFFSET {n} LIMIT 1) AS wrong"),
    "purge": ("cc_purge", "SELECT cc_purge('1 day')"),
}
# Without waiting for a session that reads such a row again, and itself waits.
AGE = ("UPDATE cc_inbox SET received_at = received_at - interval '2 days' WHERE id IN (SELECT id FROM cc_inbox"
       " WHERE content_type LIKE '%n={prefix}%' AND state IN ('applied', 'duplicate', 'rejected') FOR UPDATE SKIP LOCKED)")


class Player:
    def __init__(self, world):
        self.world = world

    def play(self, events, record=None):
        """Returns all problems. record: a list that gets the SQL as (session, statement)."""
        self.start(record)
        for event in events:
            self.event(event)
            self.world.quiesce(self.done, at_once=self.is_parallel)
            self.pump()
        return self.judge()

    def start(self, record=None):
        world = self.world
        world.number += 1
        if world.number % 50 == 0:
            world.reset()
        # Each history has its own invoices, tokens and numbers, so earlier rows can stay.
        self.prefix, self.record = f"h{world.number}-", record
        self.deliveries, self.problems, self.faults, self.settings = {}, [], {}, set()
        self.sessions = world.sessions
        self.queues = {s: [] for s in self.sessions}
        self.cancelled, self.is_parallel = set(), False
        self.since, = world.admin.execute("SELECT nextval('history_seq')").fetchone()
        orders = ", ".join(f"('{id}')" for id in [f"O-{self.prefix}{i}" for i in "ABC"] + [f"X-{self.prefix}"])
        self.operate(f"INSERT INTO orders VALUES {orders}")

    def judge(self):
        self.finish()
        self.drain()
        self.observed = self.world.observe(self.since, self.prefix)
        problems = self.problems + judge(self.deliveries, *self.observed)
        self.clean(bool(problems))
        return problems

    # --- Events ---

    def event(self, event):
        index, what, *arguments = event
        if index == OPERATOR:
            getattr(self, "do_" + what)(*arguments)
        else:
            self.queues[self.sessions[index]].append((what, arguments))
            self.pump()

    def pump(self):
        """Sends its next statement to each free session."""
        for session, queue in self.queues.items():
            while queue and not session.busy:
                what, arguments = queue.pop(0)
                sql = self.sql_of(session, what, *arguments)
                if sql is not None:
                    self.send(session, sql, what)

    def send(self, session, sql, what):
        if self.record is not None:
            self.record.append((session.name, sql))
        session.send(sql, what)

    def sql_of(self, session, what, *arguments):
        """Returns None if the event makes no sense now."""
        session.under_way = []
        if what == "begin":
            if session.in_transaction:
                return None
            session.forget()
            session.isolation, = arguments
            return BEGIN.format(session.isolation)
        if what in ("commit", "rollback"):
            return what.upper() if session.in_transaction else None
        if what == "savepoint":
            if not session.in_transaction:
                return None
            session.transaction.append("savepoint")
            return "SAVEPOINT s"
        if what == "rollback to":
            return "ROLLBACK TO s" if session.in_transaction and "savepoint" in session.transaction else None
        if what == "deliver":
            return self.deliver(session, *arguments)
        if what == "timeout":
            session.has_timeout = True
            return "SET {} = '{}ms'".format(*arguments)
        if what == "row lock":
            if not session.in_transaction:
                return None
            if isinstance(arguments[0], int):
                return f"SELECT FROM hot WHERE id = {arguments[0]} FOR UPDATE"
            return f"SELECT FROM cc_invoice WHERE invoice_id = {quote(self.prefix + arguments[0])} FOR UPDATE"
        if what == "apply":
            if session.in_transaction and session.isolation != "read committed":
                return None
            return "SELECT cc_apply({})".format(*arguments)
        if what == "command":
            return self.command(session, *arguments)
        raise ValueError(what)

    def deliver(self, session, messages, via):
        if not session.in_transaction:
            session.forget()
            session.isolation = "read committed"
        statement = f"{session.name} {len(self.deliveries)}"
        for message in messages:
            message = message._replace(invoice=self.prefix + message.invoice,
                token=message.token._replace(name=self.prefix + message.token.name))
            key = message.project, message.invoice
            is_failing = self.faults.get(key) in ("fail", "late")
            delivery = Delivery(message, session.isolation, interrupted=session.has_timeout or session.was_cancelled, statement=statement,
                                may_fail=is_failing or key in session.faults_before,
                                must_fail=is_failing and session.isolation == "read committed")
            number = f"{self.prefix}{len(self.deliveries) + 1}"
            self.deliveries[number] = delivery
            session.under_way.append(delivery)
            session.transaction.append(number)
        return deliver_sql([(n, self.deliveries[n].message) for n in session.transaction[-len(messages):]], via)

    def command(self, session, name, n):
        function, sql = COMMANDS[name]
        if function not in self.world.has or session.in_transaction:
            return None
        if name == "purge":
            self.operate(AGE.format(prefix=self.prefix))
        for logged in {name, "accept" if name == "reassign" else name}:
            self.world.log("command", name=logged)
        return sql.format(prefix=self.prefix, n=n)

    def do_parallel(self):
        """From here on sessions work concurrently: no event waits for the previous one."""
        self.is_parallel = True

    def do_fault(self, project, invoice, kind):
        key = project, self.prefix + invoice
        for session in self.sessions:
            if session.in_transaction or session.busy:
                session.faults_before |= {key, *self.faults}
                for delivery in session.under_way:
                    if session.busy and (delivery.message.project, delivery.message.invoice) == key:
                        delivery.may_fail, delivery.must_fail = True, False
        if kind in ("fail", "late"):
            self.world.log("fault", project=project, invoice=key[1])
        if kind is None:
            self.faults.pop(key, None)
            self.operate("DELETE FROM fault WHERE project = {} AND invoice_id = {}".format(*map(quote, key)))
        else:
            self.faults[key] = kind
            self.operate("INSERT INTO fault VALUES ({0}, {1}, {2})"
                         " ON CONFLICT (project, invoice_id) DO UPDATE SET kind = {2}".format(*map(quote, (*key, kind))))

    def do_setting(self, project, name, value):
        if any(s.busy for s in self.sessions):
            return                                  # a waiting session may have read the project already
        assign = f"{name} = {quote(value)}"
        if name == "keys":
            secrets = [secret_of(project, key) for key in value]
            assign = (f"secret = {quote(secrets[0])}, previous_secret = {quote(secrets[1])},"
                      " previous_secret_until = now() + interval '1 hour'"
                      if len(secrets) > 1 else f"secret = {quote(secrets[0])}, previous_secret = NULL, previous_secret_until = NULL")
        self.settings.add(project)
        self.operate(f"UPDATE cc_project SET {assign} WHERE name = {quote(project)}")
        self.world.log("setting", project=project, name=name, value=value)

    def do_cancel(self, index):
        self.signal("pg_cancel_backend", index)

    def do_terminate(self, index):
        self.signal("pg_terminate_backend", index)

    def signal(self, function, index):
        session = self.sessions[index]
        self.cancelled.add(session)
        session.was_cancelled = True
        for delivery in session.under_way:
            delivery.interrupted = True
        if self.record is not None:
            self.record.append(("operator", f"SELECT {function}(pid) FROM pg_stat_activity WHERE application_name = '{session.name}'"))
        self.world.admin.execute(f"SELECT {function}(%s)", (session.pid,))
        if not session.busy:
            time.sleep(0.001)

    def operate(self, sql):
        if self.record is not None:
            self.record.append(("operator", sql))
        self.world.owner.execute(sql)

    # --- Answers ---

    def done(self, session):
        what, error = session.step, session.error
        session.was_cancelled = False
        for delivery in session.under_way:
            delivery.seconds = time.monotonic() - session.sent
        if error and not self.is_expected(session, what, error[0]):
            self.problems.append(f"{session.name}: {what} in {session.isolation} ended in {error[0]}: {error[1]}")
        if session.is_lost:
            self.end(session, None)
            session.close()
            session.open()
            return
        if what == "deliver" and not error:
            for delivery, answer in zip(session.under_way, session.rows):
                delivery.answer = answer
        elif what == "savepoint" and error and session.transaction:
            session.transaction.pop()
        elif what == "rollback to" and not error:
            while session.transaction[-1] != "savepoint":
                number = session.transaction.pop()
                if number in self.deliveries:
                    self.deliveries[number].committed = False
        if not session.in_transaction:
            self.end(session, not error and session.tag != "ROLLBACK")

    def end(self, session, committed):
        for number in session.transaction:
            if number in self.deliveries:
                self.deliveries[number].committed = committed
        session.forget()

    def is_expected(self, session, what, state):
        if state in ("57P01", "08006"):
            return session in self.cancelled
        if state == "57014":
            return session in self.cancelled or session.has_timeout
        if state == "40001":
            return session.isolation == "serializable" or what == "row lock"
        if what == "command":
            return state in ("55000", "55P03", "40P01")
        return state == "25P02" or what == "row lock" and state in ("40P01", "55P03")

    # --- The end ---

    def finish(self):
        """Commits open transactions where possible, until no session is active."""
        while True:
            self.world.quiesce(self.done)
            self.pump()
            if any(self.queues.values()) and any(not s.busy and self.queues[s] for s in self.sessions):
                continue
            idle = [s for s in self.sessions if s.in_transaction and not s.busy and not self.queues[s]]
            if idle:
                idle[0].under_way = []
                self.send(idle[0], "COMMIT", "commit")
            elif any(s.busy for s in self.sessions):
                self.world.quiesce(self.done, stuck=True)
            elif not any(self.queues.values()):
                return

    def drain(self):
        world = self.world
        for session in self.sessions:
            session.under_way = []
            if session.has_timeout or session in self.cancelled:
                session.send("RESET ALL", "reset")
                world.quiesce(self.done)
                session.has_timeout = False
                if session.error:                   # a cancel arrived late
                    session.send("RESET ALL", "reset")
                    world.quiesce(self.done)
        self.cancelled = set()
        if self.faults:
            self.operate("DELETE FROM fault")
        world.log("drain")
        try:
            if "cc_work" in world.has and world.number % 2:
                self.operate("CALL cc_work()")
            settled = 0
            for _ in range(DRAIN):
                now, = world.owner.execute("SELECT cc_apply(1000)").fetchone()
                settled += now
                if not now:
                    break
            else:
                self.problems.append(f"cc_apply settles something even at the call number {DRAIN}")
            if "cc_work" not in world.has or world.number % 2 == 0:
                world.log("settled", count=settled)
        except Exception as error:
            self.problems.append(f"cc_apply, alone and without a fault: {error}")

    def clean(self, is_broken):
        if is_broken:
            self.world.reset()
        for project in self.settings:
            self.world.admin.execute("UPDATE cc_project SET secret = %s, previous_secret = NULL, previous_secret_until = NULL,"
                                     " apply = 'immediate', "
                                     "require_order_id = false, accept_test_payments = false WHERE name = %s", (secret_of(project, "first"),
                                         project))
