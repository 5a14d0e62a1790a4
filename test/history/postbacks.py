"""Bodies as the service would send them, signed here without the product's code."""
import base64
import hashlib
import hmac
import json
import time
import urllib.parse

from model import EXPIRED

AHEAD = int(time.time()) + 10 * 86400       # where the model's exp begins
LONG_AGO = 1_600_000_000 - EXPIRED


def secret_of(project, key):
    return f"{project}-{key}"


def base64url(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def token_of(message):
    token = message.token
    exp = token.exp + (LONG_AGO if token.exp < EXPIRED else AHEAD)
    claims = {"id": message.invoice if token.bound else 13, "exp": exp, "name": token.name}
    parts = ".".join(base64url(json.dumps(part).encode()) for part in ({"typ": "JWT", "alg": "HS256"}, claims))
    signature = hmac.digest(secret_of(message.project, token.key).encode(), parts.encode(), hashlib.sha256)
    return f"{parts}.{base64url(signature)}"


def body_of(message):
    said = message.said
    fields = {"status": said.status, "invoice_id": message.invoice, "amount_crypto": said.amount, "currency": said.currency,
              "order_id": message.order, "token": token_of(message)}
    if said.form:
        return urllib.parse.urlencode({name: value for name, value in fields.items() if value is not None}) + "&invoice_info=uuid"
    info = {"uuid": f"INV-{message.invoice}", "status": said.payment_status, "invoice_status": said.invoice_status,
            "test_mode": said.is_test, "amount_paid": said.amount_paid, "amount_to_pay": said.amount_to_pay}
    return json.dumps(fields | {"invoice_info": info})


def content_type_of(message, number):
    """Marks each delivery by a parameter of its content type, because any body may be sent."""
    return ("application/x-www-form-urlencoded" if message.said.form else "application/json") + f"; n={number}"
