"""POST /postback[/<project>]: hands the raw body to cc_receive() and answers what it says. Parses nothing, knows no secret."""
import logging
import os

import psycopg
from flask import Flask, abort, request
from psycopg_pool import ConnectionPool
from werkzeug.exceptions import HTTPException
from werkzeug.routing import Map

WORDS = {404: "Not found", 405: "Method not allowed", 413: "Body too large", 415: "Unsupported content encoding"}

app = Flask(__name__, static_folder=None)
app.url_map = Map(merge_slashes=False)
# Two attempts of two seconds: an answer within 5 seconds, whatever the database does. The next request starts abandoned attempts
# again.
pool = ConnectionPool(os.environ.get("DATABASE_URL", ""), timeout=2, reconnect_timeout=2, kwargs={"autocommit": True, "connect_timeout": 2})
logging.getLogger("psycopg.pool").disabled = True  # its warnings may quote the connection string


def receive(*postback):
    with pool.connection() as db:  # no transaction around it: committed when this returns
        return db.execute("SELECT http_status, response::text FROM cc_receive(%b, %s, %s)", postback).fetchone()


@app.post("/postback", provide_automatic_options=False)
@app.post("/postback/<project>", provide_automatic_options=False)
def postback(project="default"):
    if "\0" in project:
        abort(404)  # no text for the database
    if request.headers.get("Content-Encoding", "identity") != "identity":
        abort(415)
    body = request.stream.read(2**20 + 1)  # 1 MiB is the limit. Not get_data(), which has no limit for a chunked body
    if len(body) > 2**20:
        abort(413)
    if len(body) < (request.content_length or 0):
        abort(400)  # the client broke off; gunicorn does not say so
    try:
        status, response = receive(body, request.headers.get("Content-Type"), project)
    except psycopg.Error:  # once more, not over a connection from before a restart. Repeating a postback does no harm
        pool.check()
        status, response = receive(body, request.headers.get("Content-Type"), project)
    return app.response_class(response, status, mimetype="application/json")


@app.errorhandler(psycopg.Error)
def unavailable(error):
    app.logger.error("no answer from the database: %s %s", type(error).__name__, error.sqlstate)  # its message may quote the postback
    return {"error": "Service unavailable"}, 503, {"Retry-After": "5"}


@app.errorhandler(HTTPException)
def refuse(error):
    return {"error": WORDS.get(error.code, "Bad request")}, error.code, [header for header in error.get_headers() if header[0] == "Allow"]


if __name__ == "__main__":
    app.run(os.environ.get("HOST", "127.0.0.1"), int(os.environ.get("PORT", "8000")), threaded=True)
