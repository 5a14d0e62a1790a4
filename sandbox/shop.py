"""The demo shop: takes orders, and lets the service make an invoice for each. Postbacks go to the database, not to the shop."""
import http.client
import json
from decimal import Decimal
from urllib.parse import urlsplit

COINS = ("USDT_TRC20", "USDT_TON", "BTC", "ETH", "TON", "TRX", "LTC", "SOL", "BNB")
FIAT = ("USD", "RUB")


class Api:
    """The part of the service's API that a shop needs. Only the base URL differs from the real one."""

    def __init__(self, base_url, api_key):
        self.base_url, self.api_key = base_url, api_key

    def ask(self, path, **request):
        """Returns the unchanged answer, as cc_import expects it."""
        base = urlsplit(self.base_url)
        connection = http.client.HTTPConnection(base.hostname, base.port, timeout=20)
        headers = {"Authorization": f"Token {self.api_key}", "Content-Type": "application/json"}
        connection.request("POST", f"/v2/invoice/{path}", json.dumps(request), headers)
        answer = connection.getresponse().read().decode()
        connection.close()
        return answer

    def call(self, path, **request):
        return result_of(self.ask(path, **request))


def result_of(answer):
    answer = json.loads(answer, parse_float=Decimal)
    if answer["status"] != "success":
        raise RuntimeError(f"the service refused: {answer['result']}")
    return answer["result"]


class Shop:
    def __init__(self, database, api, shop_id, project="default"):
        self.database, self.api, self.shop_id, self.project = database, api, shop_id, project

    def place_order(self, price, fiat, coin):
        """Stores the service's amount as the order's price in the coin: the trigger compares with it."""
        order = self.database.value("INSERT INTO orders (price, fiat) VALUES (%s, %s) RETURNING id", price, fiat)
        answer = self.api.ask(
            "create", shop_id=self.shop_id, amount=str(price), currency=fiat, order_id=order, add_fields={"cryptocurrency": coin}
        )
        invoice = result_of(answer)
        self.database.run("SELECT cc_import(%s, %s)", answer, self.project)  # from now on the database expects this payment
        self.database.run(
            "UPDATE orders SET invoice_id = %s, amount = %s, currency = %s WHERE id = %s",
            invoice["uuid"].removeprefix("INV-"),
            invoice["amount_to_pay"],
            invoice["currency"]["fullcode"],
            order,
        )
        return order

    def same_again(self, order):
        """Places another order of the same goods."""
        return self.place_order(order.price, order.fiat, order.currency)

    def break_trigger(self, order):
        self.database.run("INSERT INTO stocktaking VALUES (%s) ON CONFLICT DO NOTHING", order)
