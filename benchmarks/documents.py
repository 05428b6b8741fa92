"""Draws documents of ten templates whose words and numbers are random: what forms and scans of one layout look like.

``draw(template, seed)`` returns a page. Two pages of one template share its lines, boxes, labels and fonts, and differ
in every field that a person would fill in.
"""

from __future__ import annotations

import random
from collections.abc import Callable

import numpy as np
from PIL import Image, ImageDraw, ImageFont

WORDS = [
    "amber", "anchor", "apple", "bakery", "basket", "beacon", "bridge", "button", "cabin", "candle", "carbon",
    "cedar", "cellar", "chapel", "cherry", "circle", "cotton", "copper", "corner", "desert", "dinner", "eagle",
    "engine", "factory", "falcon", "field", "forest", "garden", "ginger", "glass", "grain", "granite", "harbour",
    "hazel", "hollow", "iron", "island", "jacket", "kettle", "ladder", "lantern", "leather", "lemon", "linen",
    "magnet", "maple", "marble", "market", "meadow", "mirror", "needle", "north", "olive", "orange", "oyster",
    "paper", "pepper", "pillow", "planet", "pocket", "quarry", "rabbit", "ribbon", "river", "rocket", "saddle",
    "salmon", "silver", "spring", "station", "stone", "sugar", "summer", "tablet", "temple", "timber", "tunnel",
    "valley", "velvet", "violet", "walnut", "water", "willow", "winter", "yellow", "a", "and", "at", "by", "for",
    "from", "in", "into", "of", "on", "or", "over", "the", "to", "under", "until", "was", "were", "with"
]  # fmt: skip
INK, GREY, PALE = (25, 25, 30), (120, 120, 125), (228, 232, 238)


class Page:
    """A page to draw on, with its own chance."""

    def __init__(self, seed: str, width: int, height: int, paper: tuple[int, int, int] = (255, 255, 255)) -> None:
        self.chance = random.Random(seed)
        self.image = Image.new("RGB", (width, height), paper)
        self._draw = ImageDraw.Draw(self.image)

    def text(self, x: float, y: float, text: str, size: int = 18, ink: tuple[int, int, int] = INK) -> None:
        self._draw.text((x, y), text, fill=ink, font=ImageFont.load_default(size))

    def box(self, x: int, y: int, width: int, height: int, fill: tuple[int, int, int] | None = None) -> None:
        self._draw.rectangle((x, y, x + width, y + height), fill=fill, outline=GREY)

    def line(self, x: int, y: int, width: int, height: int = 0) -> None:
        self._draw.line((x, y, x + width, y + height), fill=GREY, width=2)

    def words(self, least: int, most: int | None = None) -> str:
        return " ".join(self.chance.choices(WORDS, k=self.chance.randint(least, most or least)))

    def name(self) -> str:
        return self.words(2).title()

    def number(self, digits: int) -> str:
        return "".join(self.chance.choices("0123456789", k=digits))

    def money(self) -> str:
        return f"{self.chance.randint(1, 9_999)}.{self.number(2)}"

    def date(self) -> str:
        return f"{self.chance.randint(1, 28):02}.{self.chance.randint(1, 12):02}.{self.chance.randint(1970, 2026)}"


def _invoice(seed: str) -> Page:
    page = Page(seed, 800, 1100)
    page.text(60, 60, "INVOICE", 44)
    page.box(60, 130, 680, 4, INK)
    for y, label, value in ((160, "Invoice no.", page.number(8)), (190, "Date", page.date()), (220, "To", page.name())):
        page.text(60, y, label, 18, GREY)
        page.text(220, y, value)
    page.box(60, 280, 680, 34, PALE)
    for x, label in ((70, "Item"), (420, "Quantity"), (540, "Price"), (650, "Sum")):
        page.text(x, 288, label)
    for y in range(330, 770, 40):
        page.text(70, y, page.words(2, 3))
        page.text(440, y, page.number(2))
        page.text(540, y, page.money())
        page.text(650, y, page.money())
        page.line(60, y + 30, 680)
    page.text(540, 800, "Total", 22)
    page.text(640, 800, page.money(), 22)
    page.text(60, 1020, "Payable within 30 days without deduction. Thank you for your order.", 16, GREY)
    return page


def _letter(seed: str) -> Page:
    page = Page(seed, 800, 1100, (252, 251, 247))
    page.text(480, 70, "Office of Public Works", 22)
    page.text(480, 100, "12 Harbour Street", 16, GREY)
    for y in (180, 206, 232):
        page.text(80, y, page.name())
    page.text(580, 290, page.date())
    page.text(80, 340, "Dear Sir or Madam,")
    for y in range(390, 830, 27):
        page.text(80, y, page.words(8, 9))
    page.text(80, 880, "Yours faithfully,")
    page.text(80, 960, page.name())
    return page


def _form(seed: str) -> Page:
    page = Page(seed, 800, 1000)
    page.text(60, 40, "APPLICATION FORM", 34)
    page.text(60, 90, "Please write clearly. Fields marked with a star must be filled in.", 16, GREY)
    labels = (
        "Family name * | First names * | Date of birth | Street and number | Town | Telephone | Occupation | Employer"
    )
    for row, label in enumerate(labels.split(" | ")):
        y = 140 + row * 80
        page.text(60, y, label, 15, GREY)
        page.box(60, y + 20, 680, 40)
        page.text(72, y + 28, page.date() if "Date" in label else page.words(2, 4).title(), 22)
    for x, label in ((60, "yes"), (160, "no"), (260, "not known")):
        page.box(x, 810, 20, 20, INK if page.chance.random() < 0.5 else None)
        page.text(x + 30, 810, label)
    page.text(60, 900, "Place, date, signature", 15, GREY)
    page.line(60, 890, 680)
    page.text(70, 855, f"{page.name()}, {page.date()}", 24)
    return page


def _receipt(seed: str) -> Page:
    page = Page(seed, 420, 900, (250, 250, 248))
    page.text(110, 30, "CORNER MARKET", 26)
    page.text(120, 65, "Thank you for shopping", 16, GREY)
    for row in range(18):
        page.text(30, 120 + row * 34, page.words(2).upper(), 18)
        page.text(310, 120 + row * 34, page.money(), 18)
    page.line(30, 740, 360)
    page.text(30, 755, "TOTAL", 26)
    page.text(280, 755, page.money(), 26)
    page.text(30, 810, f"{page.date()}  {page.number(6)}", 18)
    page.text(90, 860, "Goods may be returned", 16, GREY)
    return page


def _card(seed: str) -> Page:
    page = Page(seed, 860, 540, (214, 226, 240))
    page.box(0, 0, 860, 90, (40, 80, 140))
    page.text(40, 22, "IDENTITY CARD", 40, (255, 255, 255))
    shades = np.random.default_rng(page.chance.getrandbits(32)).integers(30, 220, (6, 5, 3), np.uint8)
    page.image.paste(Image.fromarray(shades).resize((220, 290), Image.Resampling.BICUBIC), (40, 130))
    fields = (("Surname", page.words(1)), ("Given names", page.words(2)), ("Date of birth", page.date()))
    for row, (label, value) in enumerate((*fields, ("Number", page.number(9)), ("Expires", page.date()))):
        page.text(310, 125 + row * 66, label, 16, GREY)
        page.text(310, 145 + row * 66, value.upper(), 28)
    page.text(40, 480, f"ID<<{page.words(2).upper().replace(' ', '<')}<<{page.number(12)}", 28)
    return page


def _table(seed: str) -> Page:
    page = Page(seed, 1000, 760)
    page.text(40, 30, "Table 3. Yearly figures by district", 26)
    for column, head in enumerate(["District", "2021", "2022", "2023", "2024", "Change"]):
        page.text(50 + column * 155, 90, head, 20)
    for row in range(16):
        page.text(50, 130 + row * 36, page.words(1).title(), 20)
        for column in range(1, 6):
            page.text(50 + column * 155, 130 + row * 36, page.number(5), 20)
    for line in range(18):
        page.line(40, 84 + line * 36, 930)
    for column in range(7):
        page.line(40 + column * 155, 84, 0, 612)
    return page


def _exam(seed: str) -> Page:
    page = Page(seed, 800, 1060)
    page.text(60, 50, "MATHEMATICS   Final examination", 26)
    page.text(60, 100, "Name: ______________________     Class: ______", 20)
    for number in range(1, 9):
        y = 60 + number * 110
        page.text(60, y, f"{number}.", 20)
        page.text(100, y, f"{page.words(6, 7)} {page.number(3)}", 20)
        page.text(100, y + 28, f"{page.words(3)} {page.number(2)} + {page.number(2)} = ?", 20)
        for at, letter in enumerate("ABCD"):
            page.text(110 + at * 160, y + 62, f"({letter}) {page.number(4)}", 20)
    return page


def _ticket(seed: str) -> Page:
    page = Page(seed, 900, 380, (255, 246, 214))
    page.box(0, 0, 900, 70, (200, 60, 50))
    page.text(30, 14, "BOARDING PASS", 36, (255, 255, 255))
    fields = ("Passenger", page.name()), ("From", page.words(1)), ("To", page.words(1)), ("Flight", page.number(4))
    for at, (label, value) in enumerate((*fields, ("Seat", page.number(2) + "C"), ("Gate", page.number(2)))):
        x, y = 40 + at % 3 * 230, 100 + at // 3 * 110
        page.text(x, y, label, 18, GREY)
        page.text(x, y + 26, value.upper()[:14], 26)
    page.line(720, 80, 0, 280)
    page.text(740, 110, page.date(), 22)
    page.text(740, 160, page.number(10), 22)
    widths = [page.chance.choice((2, 3, 5, 7)) for _ in range(60)]
    x = 40
    for bar, width in enumerate(widths):
        page.box(x, 325, width, 40, INK if bar % 2 else None)
        x += width + 4
    return page


def _page(seed: str) -> Page:
    page = Page(seed, 800, 1000)
    for row in range(32):
        page.text(60, 60 + row * 28, page.words(9, 10), 19)
    return page


def _statement(seed: str) -> Page:
    """A scan: grey paper with grain."""
    page = Page(seed, 800, 1060, (236, 234, 228))
    page.text(60, 50, "SAVINGS BANK", 34)
    page.text(60, 110, "Statement of account", 22, GREY)
    page.text(520, 110, page.number(12), 22)
    for row in range(22):
        y = 180 + row * 36
        page.text(60, y, page.date(), 18)
        page.text(220, y, page.words(2, 3), 18)
        page.text(620, y, ("- " if page.chance.random() < 0.6 else "+ ") + page.money(), 18)
    page.line(60, 985, 680)
    page.text(60, 1000, "Balance", 22)
    page.text(620, 1000, page.money(), 22)
    grain = np.random.default_rng(page.chance.getrandbits(32)).normal(0, 5, (*page.image.size[::-1], 1))
    page.image = Image.fromarray((np.asarray(page.image) + grain).clip(0, 255).astype(np.uint8))
    return page


_TEMPLATES: dict[str, Callable[[str], Page]] = {
    "invoice": _invoice, "letter": _letter, "form": _form, "receipt": _receipt, "card": _card, "table": _table,
    "exam": _exam, "ticket": _ticket, "page": _page, "statement": _statement,
}  # fmt: skip
TEMPLATES = tuple(_TEMPLATES)


def draw(template: str, seed: int) -> Image.Image:
    """Return a document of a template; the same for the same seed, whatever machine."""
    return _TEMPLATES[template](f"{template} {seed}").image
