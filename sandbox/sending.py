"""Sends a request body to a URL, correctly or with a fault, and returns the answer. Needs only Python."""
import http.client
import json
import os
import ssl
import threading
import time
import urllib.parse
from dataclasses import dataclass


@dataclass(frozen=True)
class Answer:
    status: int | None  # None: there was no answer
    text: str

    @property
    def words(self):
        """Returns the message in the JSON of the answer, or its first line."""
        try:
            found = json.loads(self.text)
            return str(found.get("message") or found.get("error") or self.text)
        except (ValueError, AttributeError):
            return self.text.partition("\n")[0]


def http_url(url):
    """Returns the URL if a request can be sent there. Raises ValueError otherwise."""
    parts = urllib.parse.urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.port == 0:
        raise ValueError(f"{url} is no URL of http or https")
    return url


def connect(url, insecure=False, timeout=30):
    parts = urllib.parse.urlsplit(url)
    if parts.scheme == "https":
        return http.client.HTTPSConnection(parts.hostname, parts.port, timeout=timeout, context=trust(insecure))
    return http.client.HTTPConnection(parts.hostname, parts.port, timeout=timeout)


def trust(insecure):
    """Trusts the machine's certificates, or those of CURL_CA_BUNDLE, as curl does."""
    return ssl._create_unverified_context() if insecure else ssl.create_default_context(cafile=os.environ.get("CURL_CA_BUNDLE"))


def send(url, body, content_type, *, seconds=0, hang_up=False, insecure=False):
    """Sends one POST. `seconds`: the time that the body takes to arrive. `hang_up`: does not wait for the answer."""
    connection = connect(url, insecure)
    try:
        parts = urllib.parse.urlsplit(url)
        connection.putrequest(
            "POST", urllib.parse.urlunsplit(("", "", parts.path or "/", parts.query, "")), skip_accept_encoding=True
        )
        connection.putheader("Content-Type", content_type)
        connection.putheader("Content-Length", str(len(body)))
        connection.endheaders()
        for piece in pieces(body, 20 if seconds else 1):
            connection.send(piece)
            time.sleep(seconds / 20)
        if hang_up:
            return Answer(None, "")
        response = connection.getresponse()
        return Answer(response.status, response.read(65536).decode("utf-8", "replace"))
    except (OSError, http.client.HTTPException) as problem:
        return Answer(None, f"{type(problem).__name__}: {problem}")
    finally:
        connection.close()


def send_at_once(times, *arguments, **options):
    """Sends the same request on several connections at the same time."""
    start, answers = threading.Barrier(times), [None] * times

    def one(place):
        start.wait()
        answers[place] = send(*arguments, **options)

    threads = [threading.Thread(target=one, args=(place,)) for place in range(times)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return answers


def pieces(body, count):
    size = max(1, -(-len(body) // count))
    return [body[start : start + size] for start in range(0, len(body), size)]
