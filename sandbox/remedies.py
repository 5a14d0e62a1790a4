"""Remedies for a stuck postback: statements that the page shows, and a button runs."""
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Remedy:
    name: str
    statements: tuple  # as they are shown
    values: dict = field(default_factory=dict)  # values of the parameters :name, which are not shown

    @property
    def shown(self):
        return "\n".join(self.statements)


def for_row(database, row, order, invoice, new_key):
    """Returns the remedies for this row of the inbox. A person chooses among several."""
    if row.state in ("pending", "failed"):
        repair = (
            [database.spell("DELETE FROM stocktaking\n WHERE order_id = {order};", order=order.id)] if order.is_broken else []
        )
        return (Remedy("cc_apply", (*repair, "SELECT cc_apply();")),)
    if row.state == "conflict":
        return decline(row), accept(row, reassign="order_id" in (row.error or ""))
    if row.reason == "token_reused" and invoice and invoice.is_due and not order.paid_at:
        return (accept(row),)
    if row.reason == "bad_signature" and new_key:
        return (Remedy("cc_reverify", (ADMIT_KEY, "SELECT * FROM cc_reverify();"), {"new_key": new_key}),)
    if row.reason == "token_expired":
        return (Remedy("cc_reverify", ("SELECT * FROM cc_reverify(leeway => '10 minutes');",)),)
    if row.reason in ("bad_signature", "token_not_yet_valid", "unknown_project", "missing_order_id"):
        return (Remedy("cc_reverify", ("SELECT * FROM cc_reverify();",)),)
    return ()


def decline(row):
    return Remedy("decline", (f"UPDATE cc_inbox SET state = 'duplicate'\n WHERE id = {row.id} AND state = 'conflict';",))


def accept(row, reassign=False):
    return Remedy("cc_accept", (f"SELECT cc_accept({row.id}{', reassign => true' if reassign else ''});",))


ADMIT_KEY = """UPDATE cc_project SET previous_secret = :new_key, previous_secret_until = now() + interval '1 hour'
 WHERE name = 'default';"""


def for_order(invoice, rows, api):
    """Returns the remedy for a payment that the service knows, and the database does not: the API's answer."""
    if invoice and invoice.status != "created" and not any(row.state in ("applied", "pending", "failed") for row in rows):
        answer = {"answer": lambda: api.ask("merchant/info", uuids=[invoice.uuid])}
        return Remedy("cc_import", ("SELECT * FROM cc_import(:answer);",), answer)


def carry_out(database, remedy):
    """Runs the statements one by one; returns the result of the last one."""
    values = {name: value() if callable(value) else value for name, value in remedy.values.items()}
    said = ""
    for statement in remedy.statements:
        given = {name: value for name, value in values.items() if f":{name}" in statement}
        with database.pool.connection() as connection:
            cursor = connection.execute(with_places(statement, given), given or None)
            rows = cursor.fetchall() if cursor.description else [[cursor.statusmessage]]
            said = "; ".join(", ".join(map(str, row)) for row in rows)
    return said


def with_places(statement, given):
    """Turns psql's :name into psycopg's %(name)s. It is untyped, so the function's own type applies."""
    for name in given:
        statement = statement.replace(f":{name}", f"%({name})s")
    return statement
