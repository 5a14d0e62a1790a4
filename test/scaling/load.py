"""Deliveries by several clients until SIGTERM: load.py RESULT

Each sends a postback until it is answered with 200, as a patient client of the service would, and some twice. RESULT has what was
answered with 200, and how often each project's call ended in an error.
"""
import collections
import itertools
import json
import os
import random
import signal
import sys
import threading
import time

import psycopg

from world import DEFERRED, PROJECTS, connect, deliver, proxy, secret_of

ended = threading.Event()
answered, errors, wrong = [], collections.Counter(), []


def client(number):
    random.seed(number)
    router = None
    with connect("warehouse") as signer:
        for n in itertools.count():
            if ended.is_set():
                return
            project, invoice = random.choice(PROJECTS + DEFERRED), f"{os.getpid()}X{number}X{n}"
            body = signer.execute("SELECT cc_sample_postback(%s, 'application/json', %s, %s)",
                                  (secret_of(project), invoice, f"ORDER-{invoice}")).fetchone()[0].encode()
            times = 2 if random.random() < 0.1 else 1
            while times:
                try:
                    router = router or proxy()
                    status, _ = deliver(router, project, body)
                except psycopg.Error as error:
                    errors[project] += 1
                    if isinstance(error, psycopg.OperationalError) and router and router.broken:
                        router = None
                    time.sleep(0.02)
                    continue
                times -= 1
                if status != 200:
                    wrong.append((project, invoice, status))
            answered.append((project, invoice))


signal.signal(signal.SIGTERM, lambda *_: ended.set())
clients = [threading.Thread(target=client, args=(n,)) for n in range(6)]
for thread in clients:
    thread.start()
for thread in clients:
    thread.join()
with open(sys.argv[1], "w") as result:
    json.dump({"answered": answered, "errors": errors, "wrong": wrong}, result)
