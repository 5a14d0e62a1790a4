"""The page in a real browser: each fault by its button, the page after it, and the outcome of the order."""
import urllib.parse
import urllib.request
from functools import cache

import postbacks
import sending
from browser import Page, start_page
from collect import Cases
from faults import FAULTS
from scenario import matches
from selenium.webdriver.common.keys import Keys
from words import WORDS

case = CASES = Cases()


@cache
def world():
    service, database, url = start_page()
    page = Page(url)
    page.open(lang="en")
    return service, database, page


def cases():
    try:
        yield from CASES
    finally:
        world()[2].chrome.quit()


def press(name):
    """Places an order, and presses the button of a fault."""
    service, database, page = world()
    order = page.place_order()
    page.click(f"#fault-{name}")
    return order, page, database


def add(name, fault):
    @case(f"the button {WORDS[f'fault.{name}'][0]}: {', '.join(fault.inbox) or 'nothing arrives'}; {fault.order}")
    def _():
        order, page, database = press(name)
        page.wait(
            lambda: len(page.inbox()) == len(fault.inbox) and page.texts("#service .log li")[:1] != ["Nothing yet."], "the rows"
        )
        page.wait(
            lambda: matches(page.inbox(), fault.inbox) and page.text("#order-state") == fault.order,
            f"{fault.inbox} {fault.order}",
        )
        found = database.order(order)
        assert (found.paid_at is not None, found.parcels) == ((True, 1) if fault.order == "paid" else (False, 0)), found
        assert found.deposits == (3 if fault.order == "credited" else 0)
        page.wait(lambda: page.texts("#story mark")[-len(page.inbox()) - 1 :] == [*page.inbox(), fault.order], "the story")
        assert WORDS[f"does.{name}"][0] in page.text("#story p")


for one, its in FAULTS.items():
    if one != "again":
        add(one, its)


@case("the summary says in a line what happened, and why")
def _():
    for name, words in (
        ("honest", "paid, once"),
        ("underpaid", "Less was paid"),
        ("lost", "the database does not know"),
        ("forged", "by an attacker"),
        ("test_mode", "It is a test"),
        ("static_wallet", "balance is credited"),
        ("broken_trigger", "trigger failed"),
    ):
        _, page, _ = press(name)
        page.wait(lambda: words in page.text("#summary"), f"{name}: {words}")


@case("a failed postback is fixed by a button: it fixes the trigger and calls cc_apply")
def _():
    order, page, database = press("broken_trigger")
    page.wait(lambda: page.inbox() == ["failed"], "failed")
    assert "stocktaking" in page.text(".error") and "SELECT cc_apply();" in page.text(".remedy pre")
    page.click(".remedy button")
    page.wait(lambda: page.text("#order-state") == "paid" and page.inbox() == ["applied"], "paid")
    assert database.order(order).parcels == 1 and "cc_apply: 1" in page.text("#service .log")


REMEDIES = (
    ("lost", "cc_import", "paid"),
    ("expired", "cc_reverify", "paid"),
    ("wrong_secret", "cc_reverify", "paid"),
    ("stolen", "cc_accept", "paid"),
    ("another_order", "cc_accept", "paid"),
    ("another_order", "UPDATE", "paid"),
)


@case("a stuck postback comes with the command that settles it, and its button settles it")
def _():
    _, database, page = world()
    for name, statement, state in REMEDIES:
        order, _, _ = press(name)
        page.wait(lambda: len(page.inbox()) == len(FAULTS[name].inbox), f"{name}: all of it has arrived")
        page.wait(lambda: statement in "".join(page.texts(".remedy pre")), statement)
        run_remedy(page, statement)
        page.wait(
            lambda: page.text("#order-state") == state and "Run in the database" in page.text("#service .log"), f"{name} {state}"
        )
        assert database.order(order).parcels == 1, (name, statement)


@case("of a conflict a person chooses: it is wrong, and all stays as it is; or it is right, and the invoice follows it")
def _():
    _, database, page = world()
    for statement, state, invoice_order in (("UPDATE", "duplicate", ""), ("cc_accept", "applied", "-B")):
        order, _, _ = press("another_order")
        page.wait(lambda: page.inbox() == ["applied", "conflict"], "a conflict")
        assert len(page.texts(".remedy")) == 2, page.texts(".remedy")
        run_remedy(page, statement)
        page.wait(lambda: page.inbox() == ["applied", state], state)
        found = database.order(order)
        assert database.value("SELECT order_id FROM cc_invoice WHERE invoice_id = %s", found.invoice_id) == order + invoice_order
        assert not page.texts(".remedy") and found.parcels == 1


def run_remedy(page, function):
    script = """[...document.querySelectorAll('.remedy')].find(one => one.innerText.includes(arguments[0]))
        .querySelector('button').click()"""
    page.run(script, function)


@case("forged first, then paid: the same order; after that a fault takes a new one")
def _():
    order, page, _ = press("forged")
    page.wait(lambda: page.inbox() == ["bad_signature"], "forged")
    page.click("#fault-honest")
    page.wait(lambda: page.inbox() == ["bad_signature", "applied"] and page.text("#order-state") == "paid", "paid")
    page.click("#fault-underpaid")
    page.wait(lambda: page.text("#shop h3").split()[0] != order and page.inbox() == ["applied"], "another order")
    assert page.text("#order-state") == "open" and page.chrome.current_url.endswith(page.text("#shop h3").split()[0])


@case("postbacks as a form")
def _():
    _, _, page = world()
    page.place_order("1600", "RUB", "BTC")
    assert "0.0002 BTC" in page.text(".checkout") and "SANDBOXBTC" in page.text(".checkout code")
    assert page.run("return document.querySelector('.checkout svg').getBoundingClientRect().width") > 100
    page.click("input[value=form]")
    page.click("#fault-honest")
    page.wait(lambda: page.text("#order-state") == "paid" and "application/x-www-form-urlencoded" in page.text(".row"), "a form")
    page.click("input[value=json]")


@case("the SQL that explains a row, and the body, stay open while the page renews itself")
def _():
    order, page, _ = press("raised")
    page.wait(lambda: page.inbox() == ["applied", "token_reused"], "raised")
    for details in ("explain", "body"):
        page.click(f".row details[id^={details}] summary")
    page.click("#fault-again")  # changes the section
    page.wait(lambda: len(page.inbox()) == 3, "the third row")
    opened = page.texts(".row details[open]")
    assert len(opened) == 2 and "cc_verify_postback" in opened[0] and order in opened[1], opened


@case("what arrives is shown, and never run")
def _():
    _, page, _ = press("markup")
    page.wait(lambda: page.inbox() == ["invalid_json"], "markup")
    page.click(".row details[id^=body] summary")
    page.wait(lambda: "<script>document.title" in page.text(".row details[open] pre"), "the body as text")
    assert page.chrome.title == "The payment service in a box" and not page.run(
        "return document.querySelectorAll('main script, main img').length"
    )


@case("a hostile postback is shown and never run, whatever field has the script: body, header, error, project, health")
def _():
    service, database, page = world()
    script = '"><script>document.title="taken over"</script><img src=x onerror="document.title=1">'
    order = page.place_order()
    invoice = service.books.find(database.order(order).invoice_id)
    fields = postbacks.fields_of(invoice, service.secret)
    told = {name: f"{order}{script}" for name in ("status", "currency", "order_id")}
    info = {name: script for name in fields["invoice_info"]}
    for how in (
        {"body": postbacks.encode(fields | told | {"invoice_info": info}, "json")},
        {
            "body": postbacks.encode(fields | {"invoice_id": script}, "form"),
            "content_type": f"application/x-www-form-urlencoded; {script}",
        },
        {"body": postbacks.encode(fields | told, "json"), "path": "/" + urllib.parse.quote("<img src=x onerror=alert(1)>")},
        {"body": f"{order}{script}".encode(), "content_type": script},
    ):
        sending.send(service.postback_url + how.get("path", ""), how["body"], how.get("content_type", "application/json"))
    page.wait(lambda: "conflict" in page.inbox() and "unknown_project" in page.inbox(), "the hostile rows")
    page.run("document.querySelectorAll('details').forEach(one => one.open = true)")
    shown = page.text("#database")
    for part in (
        f'order_id is "{order}", the postback says "{order}"><script>',
        "unknown_project: ",
        "'<img src=x onerror=alert(1)>'",
    ):
        assert part in shown, (part, shown)
    assert page.chrome.title == "The payment service in a box"
    assert not page.run("return document.querySelectorAll('main script, main img').length")
    database.run("DELETE FROM cc_inbox WHERE reason = 'unknown_project'")


@case("the policy forbids scripts and styles within the page, and requests elsewhere")
def _():
    _, _, page = world()
    page.console()
    assert page.run(
        """const script = document.createElement("script"); script.textContent = "window.taken = 1"; document.body.append(script);
        return window.taken === undefined"""
    )
    assert page.chrome.execute_async_script(
        """const done = arguments[0];
        fetch("http://127.0.0.1:9/").then(() => done(false), () => done(true))"""
    )
    assert page.run(
        """const image = new Image(); image.src = "http://localhost:9/x.png"; document.body.append(image); return true"""
    )
    said = page.console()
    assert sum("Content Security Policy" in line or "violates" in line for line in said) >= 3, said
    page.open()


@case("by keyboard alone: Tab reaches each button in order, Enter presses it, and it keeps the focus")
def _():
    _, _, page = world()
    page.place_order()
    page.run("document.querySelector('#place').focus()")
    reached = []
    for _ in range(60):
        page.chrome.switch_to.active_element.send_keys(Keys.TAB)
        reached.append(page.run("return document.activeElement.id"))
        if reached[-1] == "fault-broken_trigger":
            break
    assert [id for id in reached if id.startswith("fault-")] == [
        f"fault-{name}"
        for kind in dict.fromkeys(fault.kind for fault in FAULTS.values())
        for name, fault in FAULTS.items()
        if fault.kind == kind
    ], reached
    page.chrome.switch_to.active_element.send_keys(Keys.ENTER)
    page.wait(lambda: page.inbox() == ["failed"], "pressed")
    assert page.run("return document.activeElement.id") == "fault-broken_trigger"
    page.run("document.querySelector('.remedy button').focus()")
    page.chrome.switch_to.active_element.send_keys(Keys.ENTER)
    page.wait(lambda: page.text("#order-state") == "paid", "fixed")


@case("in Russian, and it stays so")
def _():
    _, _, page = world()
    page.click("nav a[lang=ru]")
    page.wait(lambda: page.run("return document.documentElement.lang") == "ru", "Russian")
    page.place_order()
    page.click("#fault-honest")
    page.wait(lambda: "Заказ оплачен, один раз." in page.text("#summary"), "paid")
    page.open()
    assert page.text("#fault-honest") == "Оплатить" and page.run("return document.documentElement.lang") == "ru"
    page.open(lang="en")


BOTH_IN_SIGHT = """
const [story, button] = [...document.querySelectorAll('#story, #fault-forged')].map(one => one.getBoundingClientRect());
return story.top >= 0 && story.bottom < button.top && button.bottom < 800;
"""


@case("on a narrow screen nothing is cut off, in each language, and the story of the order stays in sight")
def _():
    _, page, _ = press("stolen")
    page.wait(lambda: len(page.inbox()) == 2, "two rows")
    page.size(375, 800)
    try:
        for language in ("ru", "en"):
            page.open(lang=language)
            page.run("document.querySelectorAll('details').forEach(one => one.open = true)")
            wide, high, cut = page.run(NARROW)
            assert wide <= 375 and high > 800 and not cut, (language, wide, high, cut)
        page.find("#fault-forged").send_keys(Keys.ENTER)
        page.wait(lambda: page.inbox() == ["bad_signature"], "forged")
        # The page scrolls smoothly to the button that has the focus
        page.wait(lambda: page.run(BOTH_IN_SIGHT), "the story and the button in sight")
        page.chrome.get(page.find("#service p a").get_attribute("href"))
        assert page.run(NARROW_ALONE) <= 375
    finally:
        page.size(1500, 1100)
        page.open()


NARROW_ALONE = "return document.documentElement.scrollWidth"
# The width of the page, the top of the database's part, and the elements that extend beyond the window.
NARROW = """
const cut = [...document.querySelectorAll("body *")].filter(one => one.getBoundingClientRect().right > innerWidth + 1);
return [document.documentElement.scrollWidth, document.querySelector("#database").getBoundingClientRect().top,
        cut.map(one => one.outerHTML.slice(0, 80))]"""


@case("all text can be read, light and dark: a contrast of 4.5 at least")
def _():
    _, page, _ = press("broken_trigger")
    page.wait(lambda: page.inbox() == ["failed"], "failed")
    for scheme in ("light", "dark"):
        page.chrome.execute_cdp_cmd(
            "Emulation.setEmulatedMedia", {"features": [{"name": "prefers-color-scheme", "value": scheme}]}
        )
        weak = page.run(CONTRAST)
        assert not weak, (scheme, weak)
    page.chrome.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": []})


CONTRAST = """
const numbers = color => color.match(/[\\d.]+/g).map(Number);
const light = ([r, g, b]) => [r, g, b].map(v => v / 255).map(v => v <= .03928 ? v / 12.92 : ((v + .055) / 1.055) ** 2.4)
    .reduce((sum, v, i) => sum + v * [.2126, .7152, .0722][i], 0);
const behind = one => { for (; one; one = one.parentElement) {
    const color = numbers(getComputedStyle(one).backgroundColor);
    if (color.length === 3 || color[3] > 0) return color; } return [255, 255, 255]; };
const weak = [];
for (const one of document.querySelectorAll("body *")) {
    if (one.closest("[disabled], svg")) continue;
    if (![...one.childNodes].some(node => node.nodeType === 3 && node.textContent.trim())) continue;
    const [a, b] = [light(numbers(getComputedStyle(one).color)), light(behind(one))];
    const ratio = (Math.max(a, b) + .05) / (Math.min(a, b) + .05);
    if (ratio < 4.5) weak.push([one.tagName, one.className, one.innerText.slice(0, 20), ratio.toFixed(2)]);
}
return weak;"""


@case("every control has a name, and every word is there in both languages")
def _():
    _, _, page = world()
    nameless = page.run(
        """return [...document.querySelectorAll("input, select, button, a")]
        .filter(one => !(one.labels?.length || one.innerText.trim())).map(one => one.outerHTML)"""
    )
    assert not nameless, nameless
    needed = [f"{kind}.{name}" for name in FAULTS for kind in ("fault", "does")] + [
        f"kind.{fault.kind}" for fault in FAULTS.values()
    ]
    assert not [key for key in needed if key not in WORDS]
    assert all(english and russian for english, russian in WORDS.values())


@case("without scripts the buttons work as well")
def _():
    service, database, page = world()
    with urllib.request.urlopen(page.url, b"price=5&fiat=USD&coin=TON") as answer:
        order = answer.url.partition("order=")[2]
    urllib.request.urlopen(f"{page.url}/?order={order}", b"fault=honest").close()
    page.wait(lambda: database.order(order).paid_at, "paid")
    assert "The order is paid, once." in urllib.request.urlopen(f"{page.url}/?order={order}").read().decode()


@case("what nobody can mean is refused: an unknown fault, coin or price, another site's form")
def _():
    _, _, page = world()
    for data, headers, *path in (
        (None, {}, "/?order=%00"),
        (b"fault=honest", {}, "/?order=%00"),
        (b"fault=honest", {}, "/?order=ORDER-0"),
        (b"fault=nonsense", {}),
        (b"price=-1&fiat=USD&coin=TON", {}),
        (b"price=NaN&fiat=USD&coin=TON", {}),
        (b"price=&fiat=USD&coin=TON", {}),
        (b"fiat=USD&coin=TON", {}),
        (b"price=0.01&fiat=RUB&coin=TON", {}),
        (b"price=1000001&fiat=USD&coin=TON", {}),
        (b"price=1&fiat=USD&coin=DOGE", {}),
        (b"remedy=99999", {}),
        (b"fault=honest", {"Origin": "http://evil.example"}),
    ):
        try:
            urllib.request.urlopen(urllib.request.Request(page.url + "".join(path), data, headers))
            raise AssertionError((data, path))
        except urllib.error.HTTPError as answer:
            assert 400 <= answer.code < 500, (data, answer.code)


@case("no request left the machine")
def _():
    _, _, page = world()
    # The browser's own pages are chrome: and chrome-untrusted:. The policy refused port 9 above.
    own = (page.url, "data:", "chrome:", "chrome-untrusted:", "http://127.0.0.1:9/", "http://localhost:9/")
    foreign = [url for url in page.asked() if not url.startswith(own)]
    assert not foreign, foreign
