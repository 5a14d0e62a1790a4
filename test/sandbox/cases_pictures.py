"""The pictures of README: docs/sandbox-en.png and docs/sandbox-ru.png."""
from pathlib import Path

from browser import Page, start_page

DOCS = Path("docs")


def cases():
    yield "the page in both languages", draw


def draw():
    _, _, url = start_page()
    page = Page(url)
    page.open(lang="en")
    for fault, rows in (("honest", 1), ("static_wallet", 3), ("twice_at_once", 2), ("raised", 2), ("broken_trigger", 1)):
        page.place_order()
        page.click(f"#fault-{fault}")
        page.wait(lambda: len(page.inbox()) == rows, fault)
    page.run("document.activeElement.blur()")
    for language in ("en", "ru"):
        page.open(lang=language)
        page.click(".row details[id^=explain] summary")
        page.size(1440, 900)
        page.run("document.querySelectorAll('.row details[id^=explain]').forEach(one => one.open = true); scrollTo(0, 0)")
        page.size(1440, page.run("return document.querySelector('main').getBoundingClientRect().bottom + 8"))
        page.picture(DOCS / f"sandbox-{language}.png")
    page.chrome.quit()
