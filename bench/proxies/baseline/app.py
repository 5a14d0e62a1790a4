"""The documented way: token, fields and SQL in the web tier. What proxies/flask is measured against."""
import os

import jwt
import psycopg
from flask import Flask, abort, request
from psycopg_pool import ConnectionPool

SECRET = os.environ["SECRET"]
STORE = """INSERT INTO baseline (invoice_id, order_id, status, amount_crypto, currency, info) VALUES (%s, %s, %s, %s, %s, %s)
           ON CONFLICT (invoice_id) DO NOTHING"""

app = Flask(__name__)
pool = ConnectionPool(os.environ.get("DATABASE_URL", ""), timeout=2, kwargs={"autocommit": True})


@app.post("/postback")
def postback():
    body = request.get_json()
    try:
        jwt.decode(body["token"], SECRET, algorithms=["HS256"], options={"require": ["exp"]})
    except jwt.InvalidTokenError:
        abort(401)
    with pool.connection() as db:
        db.execute(STORE, (body["invoice_id"], body["order_id"], body["status"], body["amount_crypto"], body["currency"],
                           psycopg.types.json.Jsonb(body["invoice_info"])))
    return {"message": "Postback received"}
