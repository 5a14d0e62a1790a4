"""Sends a request body to a URL, well or badly, and tells what was answered. Needs nothing but Python."""
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
        """What the JSON of the answer says, or else its first line."""
        try:
            found = json.loads(self.text)
            return str(found.get("message") or found.get("error") or self.text)
        except (ValueError, AttributeError):
            return self.text.partition("\n")[0]


def http_url(url):
    """The URL, if a request can be sent there. ValueError otherwise."""
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
    """The machine's certificates, or those that curl would be told of."""
    return ssl._create_unverified_context() if insecure else ssl.create_default_context(cafile=os.environ.get("CURL_CA_BUNDLE"))


def send(url, body, content_type, *, seconds=0, hang_up=False, insecure=False):
    """One POST. `seconds`: the body takes so long to arrive. `hang_up`: the answer is not waited for."""
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
    """The same request on several connections at the same moment."""
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
