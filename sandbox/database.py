"""The database's view of an order, read as the owner of the tables."""
from psycopg import sql
from psycopg.rows import namedtuple_row
from psycopg_pool import ConnectionPool

# Only the body of an unverified postback has its claims.
CLAIMS = "(strpos(body, %(order)s) > 0 OR strpos(body, %(invoice)s) > 0)"


class Database:
    """The database that libpq's variables name."""

    def __init__(self):
        self.pool = ConnectionPool(
            "", min_size=1, max_size=8, kwargs={"autocommit": True, "row_factory": namedtuple_row}, open=True
        )

    def run(self, query, *values):
        with self.pool.connection() as connection:
            return connection.execute(query, values or None)

    def rows(self, query, *values, **named):
        with self.pool.connection() as connection:
            return connection.execute(query, named or values or None).fetchall()

    def row(self, query, *values):
        return next(iter(self.rows(query, *values)), None)

    def value(self, query, *values):
        found = self.row(query, *values)
        return found and found[0]

    def spell(self, query, **values):
        """Returns a statement with its values filled in, to show and run."""
        with self.pool.connection() as connection:
            literals = {name: sql.Literal(value) for name, value in values.items()}
            return sql.SQL(query).format(**literals).as_string(connection)

    # --- Content of the page ---------------------------------------------------------------------------------------------

    def orders(self, limit=8):
        return self.rows("SELECT id, price, fiat, paid_at FROM orders ORDER BY length(id) DESC, id DESC LIMIT %s", limit)

    def order(self, order):
        """Returns the order, the number of its parcels, and the balance of its customer's static wallet."""
        return self.row(
            """
            SELECT o.*, (SELECT count(*) FROM parcels WHERE order_id = o.id) AS parcels,
                   b.customer, b.amount AS balance, b.currency AS balance_currency, coalesce(b.deposits, 0) AS deposits,
                   EXISTS (SELECT FROM stocktaking WHERE order_id = o.id) AS is_broken
              FROM orders AS o LEFT JOIN balances AS b ON b.customer = 'CUSTOMER-' || o.id
             WHERE o.id = %s""",
            order,
        )

    def inbox(self, order):
        """Returns the order's postbacks, the newest first, each with the current state of its invoice."""
        return self.rows(
            f"""
            SELECT p.id, p.received_at, p.content_type, p.body, p.state, p.reason, p.error, p.attempts, p.invoice_id,
                   coalesce(i.is_test, false) AS is_test, i.order_id
              FROM cc_inbox AS p LEFT JOIN cc_invoice AS i USING (project, invoice_id)
             WHERE {CLAIMS} ORDER BY p.id DESC LIMIT 50""",
            order=order.id,
            invoice=order.invoice_id or order.id,
        )

    def timeline(self, order):
        return self.rows("SELECT at, event, detail FROM cc_timeline(%s) ORDER BY at DESC LIMIT 50", order.customer or order.id)

    def health(self):
        """Returns the problems that cc_health reports."""
        return [row.problem for row in self.rows("SELECT problem FROM cc_health() WHERE problem IS NOT NULL")]

    def explanation(self, row):
        """Returns the statement that shows why a row of the inbox has its state, and its result."""
        query = self.spell({"rejected": VERDICT, "failed": ATTEMPTS, "pending": ATTEMPTS}.get(row.state, COMPARISON), id=row.id)
        with self.pool.connection() as connection:
            cursor = connection.execute(query)
            return query, [column.name for column in cursor.description], cursor.fetchall()


VERDICT = """SELECT v.verified, v.reason, p.received_at, v.payload ->> 'order_id' AS claims_order
  FROM cc_inbox AS p JOIN cc_project AS s ON s.name = p.project,
       cc_verify_postback(p.body, p.content_type, s.secret, p.received_at) AS v
 WHERE p.id = {id};"""

ATTEMPTS = """SELECT state, attempts, error, token_expires_at
  FROM cc_inbox WHERE id = {id};"""

COMPARISON = """SELECT i.order_id, i.amount_crypto, o.amount AS price, i.currency, i.payment, i.is_test, i.paid_at
  FROM cc_inbox AS p JOIN cc_invoice AS i USING (project, invoice_id) LEFT JOIN orders AS o ON o.id = i.order_id
 WHERE p.id = {id};"""
