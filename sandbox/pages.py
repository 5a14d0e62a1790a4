"""The service's own pages: its invoices, and for each invoice a checkout with a button for every fault."""
from flask import Blueprint, abort, redirect, render_template, request, url_for

from api import make_api
from faults import FAULTS
from web import new_app


def make_app(service, host="127.0.0.1"):
    """Makes the service alone: its API and its pages."""
    app = new_app(host)
    app.register_blueprint(make_api(service))
    app.register_blueprint(make_pages(service))
    return app


def make_pages(service):
    pages = Blueprint("pages", __name__)

    @pages.app_context_processor
    def shared():
        return {"service": service, "fault_groups": groups()}

    @pages.get("/")
    def index():
        return render_template("invoices.html", invoices=reversed(service.books.all()))

    @pages.get("/pay/<uuid>")
    def pay(uuid):
        return render_template("pay.html", invoice=service.books.find(uuid) or abort(404))

    @pages.post("/pay/<uuid>")
    def run(uuid):
        invoice = service.books.find(uuid) or abort(404)
        fault = FAULTS.get(request.form.get("fault")) or abort(400)
        service.start(fault.name, invoice, chosen_format())
        return redirect(url_for("pages.pay", uuid=uuid), 303)

    return pages


def chosen_format():
    return "form" if request.form.get("format") == "form" else "json"


def groups():
    """Returns the faults by the heading of their buttons."""
    found = {}
    for fault in FAULTS.values():
        found.setdefault(fault.kind, []).append(fault)
    return found
