-- A merchant's own solution in PL/Python with PyJWT.
CREATE EXTENSION plpython3u;

CREATE TYPE pyjwt_postback AS (
    verified boolean, status text, invoice_id text, amount_crypto numeric, currency text, order_id text,
    token_expires_at timestamptz, claims jsonb, payload jsonb
);

-- The samples are of the past: exp is compared here and not by PyJWT, which knows only the current time.
CREATE FUNCTION pyjwt_verify(body text, secret text, at double precision) RETURNS pyjwt_postback
    LANGUAGE plpython3u IMMUTABLE
AS $$
import datetime, decimal, json, jwt
try:
    postback = json.loads(body, parse_float=decimal.Decimal)
    claims = jwt.decode(postback.pop("token"), secret, algorithms=["HS256"], options={"verify_exp": False, "require": ["exp"]})
    invoice_id = postback["invoice_id"].removeprefix("INV-")
    if claims["exp"] <= at or claims["id"] != invoice_id:
        return {**dict.fromkeys("status invoice_id amount_crypto currency order_id token_expires_at claims payload".split()),
                "verified": False}
    return {"verified": True, "status": postback["status"], "invoice_id": invoice_id,
            "amount_crypto": postback["amount_crypto"], "currency": postback["currency"], "order_id": postback["order_id"],
            "token_expires_at": datetime.datetime.fromtimestamp(claims["exp"], datetime.timezone.utc).isoformat(),
            "claims": json.dumps(claims), "payload": json.dumps(postback, default=float)}
except Exception:
    return {**dict.fromkeys("status invoice_id amount_crypto currency order_id token_expires_at claims payload".split()),
            "verified": False}
$$;
