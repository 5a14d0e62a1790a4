#!/usr/bin/python3
"""The sandbox: the shop, the service and the database's view of both, on one page. script/sandbox starts it.

CC_POSTBACK_URL is the target of postbacks, CC_SECRET signs them, and PORT is the port of the page. PG* name the database.
"""
import os
import threading
from decimal import Decimal

import psycopg
from flask import Blueprint, abort, redirect, render_template, request, url_for

import remedies
from api import make_api
from currencies import usd_of
from database import Database
from faults import FAULTS
from pages import chosen_format, make_pages
from service import Service
from shop import COINS, FIAT, Api, Shop
from web import new_app, server_for
from words import WORDS


class View:
    """The content of the page for one order."""

    def __init__(self, database, service, api, id):
        self.order = order = id and database.order(id)
        if not order:
            return
        self.invoice = service.books.find(order.invoice_id)
        self.rows = database.inbox(order)
        self.timeline = database.timeline(order)
        self.explained = {row.id: database.explanation(row) for row in self.rows}
        self.why = {row.id: why(row, order) for row in self.rows}
        new_key = service.new_key_of(order.invoice_id)
        self.remedies = {row.id: remedies.for_row(database, row, order, self.invoice, new_key) for row in self.rows}
        self.remedy = remedies.for_order(self.invoice, self.rows, api)

    @property
    def summary(self):
        if not self.order:
            return "none"
        if self.order.paid_at:
            return "paid" if self.order.parcels == 1 else "twice"
        if self.order.deposits:
            return "credited"
        if self.remedy:
            return "lost"
        return "open" if self.rows else "waiting"

    @property
    def waits(self):
        """Tells whether this order has an unsettled postback."""
        return self.order and any(row.state in ("pending", "failed", "conflict") for row in self.rows)

    def find_remedy(self, place):
        """Returns a remedy by its place: "order", or its row and name."""
        if place == "order":
            return self.remedy
        places = {f"{row}-{remedy.name}": remedy for row, found in self.remedies.items() for remedy in found}
        return places.get(place)


def why(row, order):
    """Returns the key of the sentence that explains the state of a row."""
    if row.state == "rejected":
        return row.reason if f"why.{row.reason}" in WORDS else "rejected"
    if row.state != "applied":
        return row.state
    if row.is_test:
        return "applied.test"
    if (row.order_id or "").startswith("CUSTOMER-"):
        return "applied.credited"
    return "applied.paid" if order.paid_at else "applied.under"


def make_page(service, database, shop):
    page = Blueprint("sandbox", __name__)

    @page.get("/")
    def show():
        orders = database.orders()
        view = View(database, service, shop.api, chosen() or (orders[0].id if orders else None))
        return render_template(
            "sandbox.html", view=view, orders=orders, coins=COINS, fiat=FIAT, health=database.health(), columns=True
        )

    @page.post("/")
    def act():
        form = request.form
        if "fault" in form:
            return go(press(current(), form["fault"]))
        if "remedy" in form:
            return go(fix(current(), form["remedy"]))
        fiat, coin = one_of(FIAT, form.get("fiat")), one_of(COINS, form.get("coin"))
        return go(shop.place_order(price(form.get("price"), fiat), fiat, coin))

    def current():
        newest = database.orders(1) or abort(404)
        return database.order(chosen() or newest[0].id) or abort(404)

    def press(order, name):
        """Runs a fault. If this order has money already, takes a new order: one story per order."""
        fault = FAULTS.get(name) or abort(400)
        if name != "again" and is_used(order):
            order = database.order(shop.same_again(order))
        if fault.breaks_shop:
            shop.break_trigger(order.id)
        service.start(name, service.books.find(order.invoice_id) or abort(404), chosen_format())
        return order.id

    def is_used(order):
        invoice = service.books.find(order.invoice_id)
        return not invoice or invoice.status != "created" or order.deposits

    def fix(order, place):
        view = View(database, service, shop.api, order.id)
        remedy = view.find_remedy(place) or abort(409)
        try:
            said = remedies.carry_out(database, remedy)
        except psycopg.Error as error:
            said = str(error)
        service.note(view.invoice, remedy.name, "remedy", f"{remedy.name}: {said}")
        return order.id

    return page


def chosen():
    order = request.args.get("order", "")
    return abort(400) if "\0" in order else order  # PostgreSQL's text has no NUL


def go(order):
    return redirect(url_for("sandbox.show", order=order), 303)


def one_of(choices, chosen):
    return chosen if chosen in choices else abort(400)


def price(text, fiat):
    try:
        return Decimal(text) if usd_of(text, fiat) <= 1_000_000 else abort(400)
    except ValueError:
        abort(400)


def make_sandbox(service, database):
    """Makes one program of all parts. The shop still uses the API, over HTTP."""
    shop = Shop(database, Api(service.base_url, service.api_key), service.shop_id)
    app = new_app()
    app.register_blueprint(make_api(service))
    app.register_blueprint(
        make_page(service, database, shop)
    )  # takes precedence over the service's own list of invoices at the same URL
    app.register_blueprint(make_pages(service))
    return app, shop


def main():
    port = int(os.environ["PORT"])
    service = Service(os.environ["CC_POSTBACK_URL"], os.environ["CC_SECRET"], pace=float(os.environ.get("CC_PACE", 5)))
    service.base_url = f"http://127.0.0.1:{port}"
    app, shop = make_sandbox(service, Database())
    server = server_for(app, "127.0.0.1", port)
    threading.Thread(target=shop.place_order, args=(20, "USD", "USDT_TRC20")).start()  # the page needs a first order
    server.serve_forever()


if __name__ == "__main__":
    main()
