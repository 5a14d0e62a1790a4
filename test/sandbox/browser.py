"""Debian's Chromium on the sandbox's page, which runs in this process."""
import json
import os
import tempfile
import threading
import time

from selenium.webdriver import Chrome, ChromeOptions
from selenium.webdriver.chrome.service import Service as Driver
from selenium.webdriver.common.by import By
from selenium.webdriver.support.ui import Select

from database import Database
from page import make_sandbox
from service import Service
from web import server_for

SWITCHES = """--headless --no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking
    --disable-component-update --disable-sync --disable-dev-shm-usage --hide-scrollbars""".split()


def start_page(pace=0.3):
    """(service, database, URL)"""
    service = Service(os.environ["CC_POSTBACK_URL"], os.environ["CC_SECRET"], pace=pace)
    server = server_for(lambda *request: app(*request), "127.0.0.1", 0)
    service.base_url = f"http://127.0.0.1:{server.server_port}"
    database = Database()
    app, _ = make_sandbox(service, database)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return service, database, service.base_url


def start_chromium():
    options = ChromeOptions()
    options.binary_location = "/usr/bin/chromium"
    for switch in (*SWITCHES, "--user-data-dir=" + tempfile.mkdtemp()):
        options.add_argument(switch)
    options.set_capability("goog:loggingPrefs", {"performance": "ALL", "browser": "ALL"})
    return Chrome(service=Driver("/usr/bin/chromedriver"), options=options)


class Page:
    """A person's actions on the page, and the content that they see."""

    def __init__(self, url):
        self.url, self.chrome = url, start_chromium()
        self.size(1500, 1100)

    def open(self, **query):
        self.chrome.get(self.url + "/?" + "&".join(f"{name}={value}" for name, value in query.items()))

    def size(self, width, height):
        self.chrome.execute_cdp_cmd(
            "Emulation.setDeviceMetricsOverride", {"width": width, "height": int(height), "deviceScaleFactor": 1, "mobile": False}
        )

    def find(self, css):
        return self.chrome.find_element(By.CSS_SELECTOR, css)

    def texts(self, css):
        """Reads all texts in one call, because the page may renew itself between two calls."""
        return self.chrome.execute_script("return [...document.querySelectorAll(arguments[0])].map(one => one.innerText)", css)

    def text(self, css):
        return next(iter(self.texts(css)), "")

    def click(self, css):
        self.find(css).click()

    def run(self, script, *values):
        return self.chrome.execute_script(script, *values)

    def place_order(self, price="20", fiat="USD", coin="USDT_TRC20"):
        before = self.text("#shop h3")
        self.find("input[name=price]").clear()
        self.find("input[name=price]").send_keys(price)
        Select(self.find("select[name=fiat]")).select_by_visible_text(fiat)
        Select(self.find("select[name=coin]")).select_by_visible_text(coin)
        self.click("#place")
        self.wait(lambda: self.text("#shop h3") not in ("", before), "a new order")
        return self.text("#shop h3").split()[0]

    def wait(self, condition, what, seconds=10):
        until = time.monotonic() + seconds
        while not condition():
            assert time.monotonic() < until, f"{what}: {self.text('#summary')} {self.inbox()}"
            time.sleep(0.05)

    def inbox(self):
        """Returns each row's reason, or its state without one, in the order of arrival."""
        return self.run(
            "return [...document.querySelectorAll('.row h4')].reverse()"
            ".map(row => (row.querySelector('.reason') || row.querySelector('mark')).innerText)"
        )

    def console(self):
        return [entry["message"] for entry in self.chrome.get_log("browser")]

    def asked(self):
        """Returns the URLs of all requests so far."""
        events = (json.loads(entry["message"])["message"] for entry in self.chrome.get_log("performance"))
        return [event["params"]["request"]["url"] for event in events if event["method"] == "Network.requestWillBeSent"]

    def picture(self, file):
        self.chrome.save_screenshot(str(file))
