"""Code shared by all pages: the language, allowed origins, and the content that a page may load."""
from datetime import datetime
from urllib.parse import urlsplit

import segno
from flask import Flask, abort, request
from markupsafe import Markup
from werkzeug.serving import WSGIRequestHandler, make_server

import words

LOOPBACK = {"127.0.0.1", "localhost", "::1"}
HEADERS = {
    # Only our own files, and no inline script or style: the content of a postback cannot become either.
    "Content-Security-Policy": "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; connect-src 'self'; "
    "form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cache-Control": "no-store",
}


def new_app(host="127.0.0.1"):
    app = Flask("sandbox", root_path=__file__.rpartition("/")[0])
    app.jinja_env.trim_blocks = app.jinja_env.lstrip_blocks = True
    app.before_request(lambda: check_origin({host} | LOOPBACK))
    app.after_request(add_headers)
    app.context_processor(lambda: {"t": say, "language": language(), "languages": words.LANGUAGES, "qr": qr})
    app.add_template_filter(amount)
    app.add_template_filter(moment)
    return app


class Handler(WSGIRequestHandler):
    disable_nagle_algorithm = True  # an answer of two packets would take 40 ms

    def log(self, *message):
        pass


def server_for(app, host, port):
    """Returns a server that listens already; serve_forever() serves."""
    return make_server(host, port, app, threaded=True, request_handler=Handler)


def check_origin(hosts):
    """Refuses forms of other sites, and foreign host names that resolve to this machine. The API has its key."""
    if request.path.startswith("/v2/"):
        return
    origin = request.headers.get("Origin")
    if urlsplit("//" + request.host).hostname not in hosts or (origin and urlsplit(origin).netloc != request.host):
        abort(403)


def add_headers(response):
    response.headers.update(HEADERS)
    if request.args.get("lang") in words.LANGUAGES:
        response.set_cookie("lang", request.args["lang"], samesite="Strict", httponly=True)
    return response


def language():
    for wish in (request.args.get("lang"), request.cookies.get("lang"), request.accept_languages.best_match(words.LANGUAGES)):
        if wish in words.LANGUAGES:
            return wish
    return "en"


def say(key):
    return words.say(language(), key)


def qr(text):
    return Markup(segno.make(text, micro=False).svg_inline(scale=4, border=2, light="#fff", omitsize=True))


def moment(time):
    """Returns the time, with the date if it is not today."""
    is_today = time.date() == datetime.now(time.tzinfo).date()
    return time.strftime("%H:%M:%S.%f")[:-3] if is_today else time.strftime("%Y-%m-%d %H:%M")


def amount(number):
    """Formats a decimal without an exponent and without trailing zeros."""
    return f"{number.normalize():f}"
