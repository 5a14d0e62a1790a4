#!/usr/bin/python3
"""The simulated service as a separate program: its API, a checkout, and faults on demand.

    sandbox/service.py --postback-url http://localhost:8000/postback
    sandbox/service.py --fault twice_at_once --order ORDER_1 --amount-usd 20 --postback-url http://localhost:8000/postback

The first command serves the API (http://127.0.0.1:8200/v2/invoice/create ...) and pages with a button for each fault. The second
command needs no API: it makes an invoice for this order, runs the fault, shows requests and answers, and ends. The SECRET KEY
comes from the variable CC_SECRET, from --secret, or from standard input.
"""
import argparse
import os
import secrets
import sys
import threading
from collections import deque
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

import postbacks
import sending
from currencies import COINS, usd_of
from faults import FAULTS, Run
from invoices import Books, Invoice

SERVED = [name for name, fault in FAULTS.items() if not fault.breaks_shop]


@dataclass(frozen=True)
class Event:
    at: datetime
    fault: str
    kind: str  # payment, request, answer, waiting, lost ...
    what: object


class Service:
    """One project of one merchant: its keys, its settings, its books, and the requests so far."""

    def __init__(
        self,
        postback_url,
        secret,
        *,
        api_key=None,
        shop_id="SANDBOXSHOP",
        format="json",
        pace=5.0,
        insecure=False,
        test_mode=False,
    ):
        self.postback_url, self.secret, self.shop_id = postback_url, secret, shop_id
        # A JWT, like the service's own API KEY. The SECRET KEY is not a JWT; people confuse them.
        self.api_key = api_key or postbacks.sign_token({"id": 1, "type": "project"}, secrets.token_hex(18))
        self.format, self.pace, self.insecure, self.test_mode = format, pace, insecure, test_mode
        self._new_keys = {}  # by invoice: the key of the fault "wrong_secret"
        self.base_url = ""
        self.books = Books()
        self.running = 0
        self._events = {}

    def link(self, invoice):
        return f"{self.base_url}/pay/{invoice.uuid}"

    def run(self, fault, invoice, format=None, tell=None):
        """Runs a fault to its end; returns the answers."""
        fault = FAULTS[fault]
        format = format or self.format
        run = Run(
            invoice,
            self.postback_url,
            self.secret,
            format if format in fault.formats else "json",
            self.pace,
            self.insecure,
            tell=lambda kind, what: (tell or self.note)(invoice, fault.name, kind, what),
            keep=self.books.add,
        )
        fault.run(run)
        return run.answers

    def start(self, fault, invoice, format=None):
        """Runs a fault in the background."""
        self.running += 1

        def work():
            try:
                self.run(fault, invoice, format)
            finally:
                self.running -= 1

        threading.Thread(target=work, daemon=True).start()

    def note(self, invoice, fault, kind, what):
        if kind == "new key":
            self._new_keys[invoice.uuid] = what
        self._events.setdefault(invoice.uuid, deque(maxlen=100)).append(Event(datetime.now(), fault, kind, what))

    def new_key_of(self, uuid):
        return self._new_keys.get(uuid)

    def events(self, invoice):
        """Returns the events of this invoice, the newest first."""
        return list(reversed(self._events.get(invoice.uuid, ())))


# --- The program -------------------------------------------------------------------------------------------------------------


def arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--postback-url", required=True, type=sending.http_url, metavar="URL", help="URL where the shop receives postbacks"
    )
    parser.add_argument("--secret", metavar="KEY", help="the project's SECRET KEY; better in the variable CC_SECRET")
    parser.add_argument("--api-key", metavar="KEY", help="API KEY that the shop must send in Authorization (default: a new one)")
    parser.add_argument("--shop-id", metavar="ID", default="SANDBOXSHOP", help="(%(default)s)")
    parser.add_argument("--format", choices=postbacks.CONTENT_TYPES, default="json", help="of the postbacks (%(default)s)")
    parser.add_argument("--pace", type=float, default=5, metavar="SECONDS", help="delay of the faults late and slow (%(default)s)")
    parser.add_argument("--test-mode", action="store_true", help="new invoices are tests, as in a new project")
    parser.add_argument("--insecure", action="store_true", help="accept any certificate of the shop")
    parser.add_argument("--host", default="127.0.0.1", help="(%(default)s)")
    parser.add_argument("--port", type=int, default=8200, help="(%(default)s)")
    once = parser.add_argument_group("one fault, without serving anything")
    once.add_argument("--fault", choices=SERVED, metavar="NAME", help=", ".join(SERVED))
    once.add_argument("--order", metavar="ID", default="ORDER-1", help="order_id (%(default)s)")
    once.add_argument("--amount-usd", type=dollars, metavar="N", default=Decimal(20), help="the price (%(default)s)")
    once.add_argument("--coin", choices=COINS, metavar="CODE", default="USDT_TRC20", help="(%(default)s)")
    return parser.parse_args()


def dollars(text):
    return usd_of(text)


def read_secret(given):
    secret = given or os.environ.get("CC_SECRET") or sys.stdin.readline().rstrip("\n")
    return secret or sys.exit("The SECRET KEY is missing: set CC_SECRET.")


def main():
    given = arguments()
    service = Service(
        given.postback_url,
        read_secret(given.secret),
        api_key=given.api_key,
        shop_id=given.shop_id,
        format=given.format,
        pace=given.pace,
        insecure=given.insecure,
        test_mode=given.test_mode,
    )
    if given.fault:
        show(service, given.fault, Invoice(COINS[given.coin], given.amount_usd, given.order))
    else:
        serve(service, given.host, given.port)


def show(service, fault, invoice):
    answers = service.run(fault, invoice, tell=lambda invoice, fault, kind, what: print(spelled(kind, what), flush=True))
    sys.exit(any(answer.status is None and answer.text for answer in answers))


def spelled(kind, what):
    if kind == "request":
        return f"POST {len(what.encode())} bytes"
    if kind == "answer":
        return f"→ {what.status or 'no answer'} {what.words}"
    return f"{kind} {what}" if kind != "new key" else kind


def serve(service, host, port):
    from pages import make_app  # sending a postback does not need Flask
    from web import server_for

    service.base_url = f"http://{host}:{port}"
    server = server_for(make_app(service, host), host, port)
    print(
        f"API      {service.base_url}/v2/invoice/\nPages    {service.base_url}/\n"
        f"API KEY  {service.api_key}\nshop_id  {service.shop_id}",
        flush=True,
    )
    server.serve_forever()


if __name__ == "__main__":
    main()
