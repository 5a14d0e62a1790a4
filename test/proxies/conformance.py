#!/usr/bin/python3
"""The same HTTP cases against every proxy: conformance.py NAME=URL...

Started by test/proxies/run, with the database stopped. PG* connect to it as its superuser, PGDATA names its files.
"""
import base64
import collections
import concurrent.futures
import contextlib
import functools
import glob
import hashlib
import hmac
import http.client
import itertools
import json
import os
import socket
import ssl
import subprocess
import sys
import threading
import time
import urllib.parse

import psycopg

LIMIT = 1024 * 1024
JSON, FORM = "application/json", "application/x-www-form-urlencoded"
RECEIVED = {"message": "Postback received"}
SECRETS = {"default": "secret-of-default", "shop": "secret-of-shop", "zwei Läden": "secret-of-both", "strict": "secret-of-strict"}
MARK = "ORDER-of-a-customer"  # is in every body, so it must not be in any log
PASSWORD = os.environ["PROXY_PASSWORD"]
UNSEEN = {MARK, PASSWORD, *SECRETS.values(), "Traceback", "\n    at ", "Stack trace"}  # each new token is added

# --- The database ----------------------------------------------------------------------------------------------------------


@functools.cache
def database():
    return psycopg.connect(autocommit=True)


def sql(query, *arguments):
    """Returns all rows, over one connection, which reconnects after a restart."""
    try:
        cursor = database().execute(query, arguments)
    except psycopg.OperationalError:
        database.cache_clear()
        cursor = database().execute(query, arguments)
    return cursor.fetchall() if cursor.description else None


def pg_ctl(*arguments):
    subprocess.run(["pg_ctl", "--silent", *arguments], check=True, stdout=subprocess.DEVNULL)


def is_running():
    return subprocess.run(["pg_ctl", "status"], stdout=subprocess.DEVNULL).returncode == 0


def start():
    if not is_running():
        pg_ctl("start", "--wait", "--log", os.environ["PGHOST"] + "/log")


def sample(invoice, project="default", content_type=JSON, **more):
    """Returns a body as the service would send it, signed with the project's secret."""
    values = {"invoice_id": invoice, "order_id": MARK, **more}
    named = "".join(f", {name} => %s" for name in values)
    body = sql(f"SELECT cc_sample_postback(%s, %s{named})", SECRETS[project], content_type, *values.values())[0][0].encode()
    UNSEEN.add(token_of(body))
    return body


def token_of(body):
    """Returns the token's signature, the secret part of the token."""
    return body.decode().split("eyJ", 1)[1].split('"')[0].split("&")[0].split(".")[2]


def token(claims, secret=SECRETS["default"]):
    return sql("SELECT cc_sign_token(%s::jsonb, %s)", json.dumps(claims), secret)[0][0]


def altered(invoice, **changes):
    """Returns a genuine body with other fields; None removes a field."""
    fields = json.loads(sample(invoice))
    fields.update(changes)
    return json.dumps({name: value for name, value in fields.items() if value is not None}).encode()


def told(body, content_type, project="default"):
    """Returns the answer of cc_receive() to this body, without a proxy, and rolls back."""
    with psycopg.connect() as db:
        row = db.execute("SELECT http_status, response FROM cc_receive(%b::bytea, %s, %s)", (body, content_type, project)).fetchone()
        db.rollback()
    return row


Row = collections.namedtuple("Row", "project state reason content_type body")


def newest(count=1):
    rows = sql("SELECT project, state, reason, content_type, coalesce(raw, convert_to(body, 'UTF8'))"
               " FROM cc_inbox ORDER BY id DESC LIMIT %s", count)
    return [Row(*row) for row in rows]


def rows():
    return sql("SELECT count(*) FROM cc_inbox")[0][0]


def wait_until(condition, seconds=10):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, f"not after {seconds} s"
        time.sleep(0.01)


# --- HTTP ------------------------------------------------------------------------------------------------------------------

Answer = collections.namedtuple("Answer", "status headers body seconds")
TLS = ssl.create_default_context(cafile=os.environ.get("CURL_CA_BUNDLE"))


class Proxy:
    def __init__(self, name, url):
        self.name, self.url = name, urllib.parse.urlsplit(url)
        self.inexact = name == "webhook"  # which can answer only 200 and 500
        self.remarks = set()

    def connect(self, timeout=30):
        connection = socket.create_connection((self.url.hostname, self.url.port), timeout)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return TLS.wrap_socket(connection, server_hostname=self.url.hostname) if self.url.scheme == "https" else connection

    def head(self, length, *, path="/postback", method="POST", content_type=JSON, headers=(), project=None):
        if project is not None:
            path += "/" + urllib.parse.quote(project)
        lines = [f"{method} {path} HTTP/1.1", "Host: localhost", *headers]
        lines += [] if content_type is None else [f"Content-Type: {content_type}"]
        lines += ["Transfer-Encoding: chunked"] if length is None else [f"Content-Length: {length}"]
        return "\r\n".join(lines + ["", ""]).encode("latin-1")

    def read(self, connection, method="POST", began=None):
        response = http.client.HTTPResponse(connection, method=method)
        response.begin()
        body = response.read()
        for word in (PASSWORD, os.environ["PGHOST"], "Traceback", "Exception", "node_modules", ".php"):
            assert word not in body.decode("latin-1"), f"the answer gives away {word}"
        return Answer(response.status, response.headers, body, time.monotonic() - (began or time.monotonic()))

    def post(self, body=b"", *, patient=True, **request):
        """Posts, and repeats as often as the answer says to retry later, as a client should."""
        while (answer := self.post_once(body, **request)).status == 429 and patient:
            time.sleep(0.05)
        return answer

    def post_once(self, body, *, chunked=False, connection=None, **request):
        began = time.monotonic()
        with connection and contextlib.nullcontext(connection) or self.connect() as connection:
            with contextlib.suppress(BrokenPipeError, ConnectionResetError):  # the proxy stopped reading; its answer can be read
                connection.sendall(self.head(None if chunked else len(body), **request) + (in_chunks(body) if chunked else body))
            return self.read(connection, request.get("method", "POST"), began)

    def check(self, answer, status, words):
        """Checks the status and the JSON of the answer."""
        if self.inexact and status != 200:
            self.remarks.add(f"500, not {status}")
            status = 500
        assert answer.status == status, f"{answer.status} {answer.body[:200]}, not {status} {words}"
        kind = answer.headers.get("Content-Type", "")
        assert kind.split(";")[0] == JSON, f"Content-Type {kind}"
        assert json.loads(answer.body) == words, f"{answer.body[:200]}, not {words}"

    def check_unavailable(self, answer):
        assert answer.seconds <= 5, f"answered after {answer.seconds:.1f} s"
        self.check(answer, 503, {"error": "Service unavailable"})
        if not self.inexact:
            assert answer.headers.get("Retry-After"), "no Retry-After"

    def until_received(self, seconds=10):
        """Posts until a postback is accepted; each answer before must be a clean 503."""
        end = time.monotonic() + seconds
        while True:
            answer = self.post(sample(invoice()))
            if answer.status == 200:
                return
            self.check_unavailable(answer)
            assert time.monotonic() < end, f"still {answer.status} after {seconds} s"


def in_chunks(body):
    sizes = itertools.cycle((1, 7, 4096, 65536))
    chunks, at = [], 0
    while at < len(body):
        piece = body[at:at + next(sizes)]
        at += len(piece)
        chunks.append(b"%x\r\n%b\r\n" % (len(piece), piece))
    return b"".join(chunks) + b"0\r\n\r\n"


numbers = itertools.count(1)


def invoice():
    return f"T{next(numbers):07d}"


# --- The cases -------------------------------------------------------------------------------------------------------------

CASES = []  # (name, function, context manager that changes the database for it)


def case(name, around=contextlib.nullcontext):
    def add(function):
        CASES.append((name, function, around))
        return function
    return add


class Skip(Exception):
    pass


@contextlib.contextmanager
def stopped():
    if is_running():
        pg_ctl("stop", "--mode=fast")
    yield
    start()


@case("started before the database: 503", stopped)
def _(p):
    p.check_unavailable(p.post(b"{}"))


@case("… and 200 once it is there")
def _(p):
    p.until_received()


@case("honest JSON")
def _(p):
    body = sample(invoice())
    p.check(p.post(body), 200, RECEIVED)
    assert newest() == [Row("default", "applied", None, JSON, body)], newest()


@case("honest form")
def _(p):
    body = sample(invoice(), content_type=FORM)
    p.check(p.post(body, content_type=FORM), 200, RECEIVED)
    assert newest() == [Row("default", "applied", None, FORM, body)], newest()


@case("the same again: a duplicate")
def _(p):
    body = sample(invoice())
    p.check(p.post(body), 200, RECEIVED)
    p.check(p.post(body), 200, RECEIVED)
    assert [row.state for row in newest(2)] == ["duplicate", "applied"], newest(2)


@case("project by path")
def _(p):
    body = sample(invoice(), "shop")
    p.check(p.post(body, project="shop"), 200, RECEIVED)
    assert newest() == [Row("shop", "applied", None, JSON, body)], newest()
    p.check(p.post(sample(invoice()), project="shop"), 401, {"error": "Invalid token"})
    p.check(p.post(sample(invoice(), "shop"), path="/postback/shop?a=b"), 200, RECEIVED)
    if not p.inexact:  # webhook has its projects in hooks.yaml
        p.check(p.post(sample(invoice()), project="default"), 200, RECEIVED)


@case("project with a space and an umlaut")
def _(p):
    if p.inexact:
        raise Skip("projects are named in hooks.yaml")
    p.check(p.post(sample(invoice(), "zwei Läden"), project="zwei Läden"), 200, RECEIVED)
    assert newest()[0].project == "zwei Läden"


def refused(reason, status, body, content_type=JSON, project="default"):
    @case(f"{status} {reason}")
    def _(p):
        if p.inexact and project not in ("default", "shop"):
            raise Skip("projects are named in hooks.yaml")
        made = body() if callable(body) else body
        status_told, words = told(made, content_type, project)
        assert status_told == status, f"cc_receive() says {status_told} {words}"
        p.check(p.post(made, content_type=content_type, project=None if project == "default" else project), status, words)
        row = newest()[0]
        assert (row.state, row.reason, row.body) == ("rejected", reason, made), row


def jws(header, claims, secret=SECRETS["default"]):
    def part(value):
        return base64.urlsafe_b64encode(value).rstrip(b"=").decode()
    signed = part(json.dumps(header).encode()) + "." + part(json.dumps(claims).encode())
    return signed + "." + part(hmac.digest(secret.encode(), signed.encode(), hashlib.sha256))


def reused():
    honest = sample(invoice())
    sql("SELECT FROM cc_receive(%b::bytea, %s)", honest, JSON)
    return honest.replace(b"0.000113", b"9.000113")


FUTURE = int(time.time()) + 240
refused("empty_body", 400, b"")
refused("empty_body", 400, b" \r\n\t")
refused("unsupported_content_type", 415, lambda: sample(invoice()), "text/plain")
refused("unsupported_content_type", 415, b"--x\r\n\r\n--x--", "multipart/form-data; boundary=x")
refused("invalid_json", 400, b'{"status":')
refused("invalid_json", 400, b'{"a":"\xff\xfe"}')
refused("invalid_form", 400, b"status=%zz", FORM)
refused("duplicate_field", 400, b'{"status":"a","status":"b"}')
refused("missing_invoice_id", 400, lambda: altered(invoice(), invoice_id=None))
refused("invalid_field", 400, lambda: altered(invoice(), currency=7))
refused("invalid_amount", 400, lambda: altered(invoice(), amount_crypto="1e"))
refused("missing_order_id", 400, lambda: sample(invoice(), "strict", order_id=None), project="strict")
refused("missing_token", 401, lambda: altered(invoice(), token=None))
refused("malformed_token", 401, lambda: altered(invoice(), token="a.b"))
refused("unsupported_algorithm", 401, lambda: altered(invoice(), token=jws({"alg": "none"}, {"exp": FUTURE})))
refused("bad_signature", 401, lambda: altered(invoice(), token=token({"exp": FUTURE}, "another secret")))
refused("invalid_claims", 401, lambda: altered(invoice(), token=token({"id": 13})))
refused("token_not_yet_valid", 401, lambda: altered(invoice(), token=token({"exp": FUTURE, "nbf": FUTURE - 1})))
refused("token_expired", 401, lambda: altered(invoice(), token=token({"exp": 1631786426})))
refused("invoice_mismatch", 401, lambda: altered(invoice(), token=token({"exp": FUTURE, "id": "ANOTHER"})))
refused("token_reused", 409, reused)
refused("unknown_project", 404, lambda: sample(invoice()), project="nobody")


BYTES = {
    "all 256 bytes": bytes(range(256)) * 3,
    "invalid UTF-8": b'{"order_id":"\xff\xfe\xc3(\xed\xa0\x80"}',
    "NUL": b"status=success\0&order_id=1",
    "CR, LF, blanks at both ends": b"\r\n \t{}\n\n \r\n",
    "UTF-8": '{"order_id":"Ærø ☃ 🚀"}'.encode(),
    "+ % & = ; left as they are": b"a=%C3%A9+%2B&a=%26&=;&&invoice_info=uuid",
    "NFD, a BOM": "\ufeffe\u0301".encode(),
}
for chunked in (False, True):
    for what, content in BYTES.items():
        @case(f"byte for byte{', chunked' if chunked else ''}: {what}")
        def _(p, content=content, chunked=chunked):
            for kind in (JSON, FORM, "application/octet-stream"):
                p.check(p.post(content, content_type=kind, chunked=chunked), *told(content, kind))
                assert newest()[0][3:] == (kind, content), newest()


@case("honest, chunked")
def _(p):
    p.check(p.post(sample(invoice()), chunked=True), 200, RECEIVED)
    p.check(p.post(sample(invoice(), content_type=FORM), content_type=FORM, chunked=True), 200, RECEIVED)
    p.check(p.post(b"", chunked=True), *told(b"", JSON))
    assert [row.state for row in newest(3)] == ["rejected", "applied", "applied"], newest(3)


@case("Content-Type unchanged, or none")
def _(p):
    for kind in ("Application/JSON", 'application/json;charset="utf-8" ; x=1', "application/cloudevents+json",
        "application/json; charset=latin1", "x"):
        body = sample(invoice())
        p.check(p.post(body, content_type=kind), *told(body, kind))
        assert newest()[0][3:] == (kind, body), newest()
    for kind in (JSON, FORM):
        body = sample(invoice(), content_type=kind)
        p.check(p.post(body, content_type=None), 200, RECEIVED)
        assert newest()[0][3:] == (None, body), newest()
    p.check(p.post(b"{}", content_type="a/\xff"), *told(b"{}", "a/ÿ"))


@case("gzip: 415")
def _(p):
    before = rows()
    for encoding in ("gzip", "deflate", "br"):
        p.check(p.post(sample(invoice()), headers=[f"Content-Encoding: {encoding}"]), 415, {"error": "Unsupported content encoding"})
    assert rows() == before
    p.check(p.post(sample(invoice()), headers=["Content-Encoding: identity"]), 200, RECEIVED)


@case("1 MiB: taken")
def _(p):
    for chunked in (False, True):
        body = sample(invoice()).ljust(LIMIT)
        p.check(p.post(body, chunked=chunked), 200, RECEIVED)
        assert newest()[0] == Row("default", "applied", None, JSON, body)


@case("one byte more: 413")
def _(p):
    before = rows()
    for chunked in (False, True):
        p.check(p.post(sample(invoice()).ljust(LIMIT + 1), chunked=chunked), 413, told(bytes(LIMIT + 1), JSON)[1])
    if not p.inexact:  # webhook asks the database
        assert rows() == before


@case("16 MiB: 413, and on it goes")
def _(p):
    for chunked in (False, True):
        try:
            answer = p.post(bytes(16 * LIMIT), chunked=chunked)
        except OSError:
            continue  # a closed connection is allowed too; the answer may be lost with it
        p.check(answer, 413, {"error": "Body too large"})
    p.until_received()


@case("other methods: 405")
def _(p):
    for method in ("GET", "HEAD", "PUT", "DELETE", "PATCH", "OPTIONS"):
        answer = p.post(method=method, path="/postback/shop")
        assert answer.status == 405, f"{method}: {answer.status}"
        if p.inexact:
            p.remarks.add("405 without words")
        elif method != "HEAD":
            p.check(answer, 405, {"error": "Method not allowed"})
            assert answer.headers.get("Allow"), "no Allow"


@case("other paths: 404")
def _(p):
    before = rows()
    body = sample(invoice())
    for path in ("/", "/post", "/postback/", "/postback/shop/x", "/postbacks", "/postback//shop", "/Postback",
                 "/postback/%00", "/postback/default%00", "/postback/%ff", "/postback/..%2f"):
        answer = p.post(body, path=path)
        if p.inexact:
            p.remarks.add("says 200 to /, 404 to others, without words")
            assert answer.status == {"/": 200, "/postback//shop": 301, "/postback/..%2f": 301}.get(path, 404), f"{path}: {answer.status}"
            continue
        assert 400 <= answer.status < 500, f"{path}: {answer.status}"
        if "%00" not in path:  # a web server may refuse this path itself
            assert isinstance(json.loads(answer.body)["error"], str), f"{path}: {answer.body}"
    assert not sql("SELECT FROM cc_inbox WHERE state <> 'rejected' AND body = %s", body.decode()), rows() - before


@case("two slashes first: 404")
def _(p):
    answer = p.post(sample(invoice()), path="//postback")
    if p.name in ("flask", "gunicorn"):
        p.remarks.add("takes // for /")
        assert answer.status == 200, answer.status
    else:
        assert answer.status == (301 if p.inexact else 404), answer.status


@case("keep-alive")
def _(p):
    connection, opened = p.connect(), 1
    for body, status, words in [(sample(invoice()), 200, RECEIVED), (b"{", *told(b"{", JSON))] * 10:
        answer = p.post(body, connection=connection)
        p.check(answer, status, words)
        if answer.headers.get("Connection", "").lower() == "close":
            connection, opened = p.connect(), opened + 1
    connection.close()
    if opened > 1:
        assert p.name in ("flask", "php", "apache"), f"{opened} connections"
        p.remarks.add("closes after a refusal" if opened == 11 else "closes each connection")


@case("a request inside a refused body is none")
def _(p):
    hidden = sample(invoice())
    hidden = p.head(len(hidden)) + hidden
    before = rows()
    connection = p.connect()
    answer = p.post(hidden, headers=["Content-Encoding: gzip"], connection=connection)
    p.check(answer, 415, {"error": "Unsupported content encoding"})
    with contextlib.suppress(OSError, http.client.HTTPException):  # closed is allowed; an answer must be to this request
        if answer.headers.get("Connection", "").lower() != "close":
            assert p.post(method="GET", connection=connection).status == 405
        connection.shutdown(socket.SHUT_WR)
        while connection.recv(65536):  # until the server is done with the connection
            pass
    connection.close()
    assert rows() == before


@case("a body that breaks off is none")
def _(p):
    for kind in (JSON, FORM):
        body = sample(invoice(), content_type=kind)
        before = rows()
        cut = body.index(b"eyJ") + 60
        connection = p.connect()
        connection.sendall(p.head(len(body), content_type=kind) + body[:cut])
        connection.close()
        p.check(p.post(body, content_type=kind), 200, RECEIVED)
        if p.inexact:  # webhook hands over both, each in a process of its own
            wait_until(lambda: rows() - before == 2)
            assert sorted(row.state for row in newest(2)) == ["applied", "rejected"], newest(2)
            p.remarks.add("hands over a body that broke off; it is rejected")
        else:
            assert newest()[0].state == "applied" and rows() - before == 1, newest(2)


@case("slow clients hold nobody up")
def _(p):
    slow = []
    for _ in range(4):
        body = sample(invoice())
        connection = p.connect()
        connection.sendall(p.head(len(body)) + body[:100])
        slow.append((connection, body[100:]))
    for _ in range(5):
        answer = p.post(sample(invoice()))
        p.check(answer, 200, RECEIVED)
        assert answer.seconds < 5, f"{answer.seconds:.1f} s"
    for connection, rest in slow:
        for byte in rest[:50]:
            connection.sendall(bytes([byte]))
        connection.sendall(rest[50:])
        p.check(p.read(connection), 200, RECEIVED)
        connection.close()


@case("a client that stands still is let go")
def _(p):
    if p.name != "nginx":
        raise Skip("the work of a server in front")
    with p.connect(timeout=15) as connection:
        connection.sendall(p.head(1000) + b"{")
        assert b"200" not in connection.recv(100)  # returns when nginx closes the connection; otherwise the timeout raises


@case("50 at once: one applied, 49 duplicates")
def _(p):
    name = invoice()
    body = sample(name)
    ready = threading.Barrier(50)

    def deliver(_):
        connection = p.connect(60)
        ready.wait()
        return p.post(body, connection=connection)
    with concurrent.futures.ThreadPoolExecutor(50) as pool:
        for answer in pool.map(deliver, range(50)):
            p.check(answer, 200, RECEIVED)
    states = collections.Counter(row.state for row in newest(50))
    assert states == {"applied": 1, "duplicate": 49}, states
    assert sql("SELECT count(*) FROM paid WHERE invoice_id = %s", name)[0][0] == 1


@contextlib.contextmanager
def restarted():
    pg_ctl("restart", "--mode=fast", "--wait")
    yield


@case("restarted while idle: 200 at once", restarted)
def _(p):
    for _ in range(8):
        p.check(p.post(sample(invoice())), 200, RECEIVED)


@case("killed in the middle")
def _(p):
    stop, enough = threading.Event(), threading.Semaphore(0)
    bodies = [(name := invoice(), sample(name)) for _ in range(250)]
    endless, received, refused_once = itertools.cycle(bodies), [], threading.Event()  # known ones again, if the stop takes its time
    back = threading.Event()

    def deliver():
        for name, body in endless:
            answer = p.post(body)
            if answer.status == 200:
                received.append(name)
                enough.release()
            else:
                p.check_unavailable(answer)
                refused_once.set()
                back.wait(20)
            if stop.is_set():
                return
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        senders = [pool.submit(deliver) for _ in range(8)]
        try:
            for _ in range(40):
                assert enough.acquire(timeout=30), "too slow"
            pg_ctl("stop", "--mode=immediate")
            assert refused_once.wait(20), "nobody has noticed"
            start()
            back.set()
            while enough.acquire(blocking=False):
                pass
            for _ in range(40):
                assert enough.acquire(timeout=30), "does not come back"
        finally:
            stop.set()
            start()
            back.set()
    for sender in senders:
        sender.result()
    lost = set(received) - {row[0] for row in sql("SELECT invoice_id FROM cc_inbox WHERE state IN ('applied', 'duplicate')")}
    assert not lost, f"answered with 200 and lost: {lost}"


@contextlib.contextmanager
def killed():
    pg_ctl("stop", "--mode=immediate")
    yield
    start()


for what, trouble in (("killed while idle: 503", killed), ("down: 503 within 5 seconds", stopped)):
    @case(what, trouble)
    def _(p):
        for _ in range(2):
            p.check_unavailable(p.post(b"{}"))

    @case("… and back")
    def _(p):
        p.until_received()


@contextlib.contextmanager
def read_only():
    def switch(to):
        sql(f"ALTER SYSTEM SET default_transaction_read_only = {to}")
        sql("SELECT pg_reload_conf()")
        while psycopg.connect(autocommit=True).execute("SHOW default_transaction_read_only").fetchone()[0] != to:
            pass
    switch("on")
    yield
    switch("off")


@case("read-only: 503", read_only)
def _(p):
    p.check_unavailable(p.post(b"{}"))


@case("… and back")
def _(p):
    p.until_received()


@contextlib.contextmanager
def an_error_at_times():
    sql("CREATE SEQUENCE errors_left MINVALUE -1000 MAXVALUE 1000 START 0 INCREMENT -1")
    sql('''CREATE FUNCTION raise_at_times() RETURNS trigger LANGUAGE plpgsql AS
           $$BEGIN IF nextval('errors_left') > 0 THEN RAISE 'not now'; END IF; RETURN NULL; END$$''')
    sql("CREATE TRIGGER raise_at_times BEFORE INSERT ON cc_inbox EXECUTE FUNCTION raise_at_times()")
    yield
    sql("DROP TRIGGER raise_at_times ON cc_inbox")
    sql("DROP FUNCTION raise_at_times")
    sql("DROP SEQUENCE errors_left")


@case("an error, and none at once after: 200", an_error_at_times)
def _(p):
    for _ in range(8):
        sql("SELECT setval('errors_left', 2)")
        answer = p.post(sample(invoice()))
        if answer.status == 200 or sql("SELECT last_value FROM errors_left") == [(0,)]:
            break  # otherwise a worker used a connection from before the restart for one of its two attempts
    p.check(answer, 200, RECEIVED)
    sql("SELECT setval('errors_left', 3)")
    p.check_unavailable(p.post(sample(invoice())))
    p.check(p.post(sample(invoice())), 200, RECEIVED)


@contextlib.contextmanager
def no_connection_left():
    sql("ALTER ROLE filler LOGIN") if sql("SELECT FROM pg_roles WHERE rolname = 'filler'") else sql("CREATE ROLE filler LOGIN")
    held = []
    while True:
        try:
            held.append(psycopg.connect(user="filler"))
        except psycopg.OperationalError:
            if not sql("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'postback_proxy'"):
                break
    yield
    for connection in held:
        connection.close()


@case("out of connections: 503", no_connection_left)
def _(p):
    p.check_unavailable(p.post(b"{}"))


@case("… and back")
def _(p):
    p.until_received()


@case("too many requests: 429")
def _(p):
    if p.name != "nginx":
        raise Skip("the work of a server in front")
    with p.connect() as connection:
        for _ in range(1000):
            answer = p.post(b"{", connection=connection, patient=False)
            if answer.status != 400:
                break
    p.check(answer, 429, {"error": "Too many requests"})
    assert answer.headers.get("Retry-After"), "no Retry-After"


@case("script/send-postback")
def _(p):
    url = p.url.geturl() + "/postback/shop"
    for options in ("", "--format form --secret", "--forged --secret", "--expired --format form", "--replay",
        "--replay --format form --secret"):
        command = ["script/send-postback", "--project", "shop", "--order", MARK, "--amount", "12.25", "--currency", "USDT_TRC20",
            *options.split()]
        run = subprocess.run([*command, url], input=SECRETS["shop"] + "\n", capture_output=True, text=True)
        assert run.returncode == 0, f"{command}: {run.stdout[-500:]}{run.stderr}"
        sent = newest()[0].body.decode()
        assert token_of(newest()[0].body) not in run.stdout + run.stderr and SECRETS["shop"] not in run.stdout + run.stderr
        assert MARK in run.stdout and "USDT_TRC20" in sent and ("122.5" if "--replay" in options else "12.25") in sent, sent


@case("the role can do nothing else")
def _(p):
    tables = [row[0] for row in sql("""SELECT oid::regclass::text FROM pg_class WHERE relkind IN ('r', 'v') AND relname LIKE 'cc%%'
        AND has_any_column_privilege('postback_proxy', oid, 'SELECT, INSERT, UPDATE, REFERENCES')""")]
    assert not tables, tables
    users = sql("SELECT DISTINCT usename FROM pg_stat_activity WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()")
    assert users == [("postback_proxy",)] or p.inexact and not users, users  # webhook keeps no connection


@case("no token, secret or body in its log")
def _(p):
    folder = os.environ["CC_WORKSPACE"] + "/log/"
    logs = glob.glob(f"{folder}{p.name}*.log") + ([folder + "php-fpm.log"] if p.name in ("nginx", "apache") else [])
    assert logs, "no log"
    for log in [*logs, os.environ["PGHOST"] + "/log"]:
        with open(log, encoding="latin-1") as file:
            text = file.read()
        found = [word for word in UNSEEN if word in text]
        assert not found, f"{os.path.basename(log)}: {found[0]!r}"


# --- Running and reporting -------------------------------------------------------------------------------------------------


def main():
    proxies = [Proxy(*argument.split("=", 1)) for argument in sys.argv[1:]]
    wide = max(len(name) for name, _, _ in CASES)
    print(" " * wide, *(f"{p.name:>8}" for p in proxies), flush=True)
    passed, failures, skips, remarks = 0, [], collections.defaultdict(list), collections.defaultdict(set)
    for name, function, around in CASES:
        cells, began = [], time.monotonic()
        with around():
            for p in proxies:
                p.remarks.clear()
                try:
                    function(p)
                    passed += 1
                    cells.append("ok *" if p.remarks else "ok")
                    for remark in p.remarks:
                        remarks[f"{p.name}: {remark}"].add(name)
                except Skip as skip:
                    skips[f"{name}: {skip}"].append(p.name)
                    cells.append("-")
                except Exception as error:
                    failures.append(f"{p.name}: {name}: {type(error).__name__}: {error}")
                    cells.append("FAILED")
        print(f"{name:{wide}}", *(f"{cell:>8}" for cell in cells), f"{time.monotonic() - began:6.1f} s", flush=True)
    print()
    for remark, cases in remarks.items():
        print(f"* {remark} ({len(cases)} cases)")
    for skip, names in skips.items():
        print(f"- {skip} ({', '.join(names)})")
    for failure in failures:
        print(f"FAILED {failure}")
    print(f"{passed} passed, {len(failures)} failed")
    return 1 if failures else 0


sys.exit(main())
