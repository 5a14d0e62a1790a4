"""A postback as the service makes it: its token, and its body in JSON or as a form. This module sends nothing."""
import base64
import hashlib
import hmac
import json
import time
import urllib.parse

CONTENT_TYPES = {"json": "application/json", "form": "application/x-www-form-urlencoded"}
LIFETIME = 300  # seconds


def base64url(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def sign_token(claims, secret):
    """Returns a JWT, signed with HS256."""
    signed = ".".join(
        base64url(json.dumps(part, separators=(",", ":")).encode()) for part in ({"typ": "JWT", "alg": "HS256"}, claims)
    )
    return signed + "." + base64url(hmac.new(secret.encode(), signed.encode(), hashlib.sha256).digest())


def new_token(invoice_id, secret, lifetime=LIFETIME):
    """Returns a token whose exp has fractions of a second: the service makes a new token for each notification."""
    return sign_token({"id": invoice_id, "exp": time.time() + lifetime}, secret)


def fields_of(invoice, secret, lifetime=LIFETIME, **changes):
    """Returns the fields of this invoice's postback. `changes` replace fields; the token does not cover them."""
    return {
        "status": "success",
        "invoice_id": invoice.uuid,
        "amount_crypto": float(invoice.paid),
        "currency": invoice.coin.code,
        "order_id": invoice.order_id,
        "token": new_token(invoice.uuid, secret, lifetime),
        "invoice_info": invoice.info(),
    } | changes


def encode(fields, format):
    return encode_form(fields) if format == "form" else json.dumps(fields, ensure_ascii=False).encode()


def encode_form(fields):
    """Encodes a form: null fields are omitted, and only the names of the members of invoice_info arrive."""
    pairs = [(name, value) for name, value in fields.items() if name != "invoice_info" and value is not None]
    pairs += [("invoice_info", name) for name in fields.get("invoice_info", ())]
    return urllib.parse.urlencode(pairs).encode()
