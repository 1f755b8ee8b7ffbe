"""Pages from templates: the words of the person's language, the store's prices and times, and strict headers."""

import re
from collections.abc import Callable, Mapping
from datetime import datetime
from decimal import Decimal
from pathlib import Path

from babel.dates import format_date, format_skeleton, format_time
from babel.numbers import format_decimal
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from starlette.requests import HTTPConnection
from starlette.responses import HTMLResponse, Response

from edge.domain.money import format_money
from edge.pos.access import DESK, Role
from edge.staff.assets import Assets
from edge.staff.said import in_words_or_english, title_of
from edge.staff.sessions import Session
from edge.staff.tiles import label_path
from edge.staff.words import LANGUAGES, Words, words_of
from edge.store import Store

TEMPLATES = Path(__file__).parent / "pages"

Values = Mapping[str, object]
"""What a template is given, by name."""

HEADERS = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'self'; base-uri 'none'; object-src 'none'; form-action 'self'; "
                               "frame-ancestors 'none'",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
    "Referrer-Policy": "same-origin",
    "X-Content-Type-Options": "nosniff",
}
"""On everything the page answers. `same-origin`, not `no-referrer`: that would blank the Origin of our own forms."""

QUANTITY = re.compile(r"(\d{1,6})(?:[.,](\d{1,3}))?", re.ASCII)
MINUS = "\N{MINUS SIGN}"

STATE_ICONS = {"failed": "failed", "queued": "queued", "on air": "on-air", "shown": "shown", "excluded": "excluded",
               "unbound": "unbound", "placed": "queued", "accepted": "queued", "picking": "bag", "staged": "box",
               "ready": "shown", "handed_over": "shown", "rejected": "excluded", "cancelled": "excluded",
               "packed": "box", "handed": "shown"}

ISSUE_PATHS = {"hub-": "/staff/link", "ledger-": "/staff/link", "station-": "/staff/link",
               "labels-failed": "/staff/labels?show=failed", "prices-held": "/staff/held",
               "prices-wait": "/staff/labels", "exceptions": "/staff/exceptions", "counts-wait": "/staff/stock",
               "reservations-leak": "/staff/stock"}


def guarded(response: Response) -> Response:
    """The response with every header of `HEADERS` that it does not set itself."""
    for name, value in HEADERS.items():
        response.headers.setdefault(name, value)
    return response


class View:
    """Turns a template and its values into a response in the person's language."""

    def __init__(self, store: Store, assets: Assets, live_version: Callable[[], str]) -> None:
        """`live_version`: how much pages have been told so far (`edge.staff.live`)."""
        self._store = store
        self._assets = assets
        self._live_version = live_version
        self._environments = {language: self._environment(words_of(language)) for language in LANGUAGES}

    def page(self, request: HTTPConnection, session: Session | None, template: str, values: Values,
             status: int = 200) -> Response:
        """A whole page, with the person's waiting messages."""
        messages = session.take_messages() if session else []
        return self.part(request, session, template, {**values, "messages": messages}, status)

    def part(self, request: HTTPConnection, session: Session | None, template: str, values: Values,
             status: int = 200) -> Response:
        """A piece of a page, or a page without messages."""
        language = session.language if session else self.language_of(request)
        principal = session.principal if session else None
        html = self._environments[language].get_template(template).render(
            session=session, principal=principal, path=request.url.path, language=language,
            at_desk=principal is not None and principal.role in DESK,
            is_supervisor=principal is not None and principal.role is Role.SUPERVISOR, **values)
        return guarded(HTMLResponse(html, status))

    def language_of(self, request: HTTPConnection) -> str:
        """Before anybody signed in: what was chosen on this device, else the store's language."""
        return words_of(request.cookies.get("language") or self._store.identity.language).language

    def _environment(self, words: Words) -> Environment:
        environment = Environment(loader=FileSystemLoader(TEMPLATES), autoescape=True, undefined=StrictUndefined,
                                  trim_blocks=True, lstrip_blocks=True, cache_size=100)
        environment.globals.update(_=words.say, count=words.count, asset=self._assets.path, languages=LANGUAGES,
                                   store_name=self._store.identity.name, zone=self._store.identity.time_zone.key,
                                   mint=self._store.mint, live_version=self._live_version, state_icon=state_icon,
                                   issue_path=issue_path, label_path=label_path)
        environment.filters.update(self._filters(words))
        return environment

    def _filters(self, words: Words) -> Mapping[str, object]:
        store, language = self._store, words.language

        def when(wall_ms: int) -> str:
            """A moment in the store's zone: the time today, the day and the time before."""
            moment, now = store.local(wall_ms), store.local(store.clock.wall_ms())
            time = format_time(moment, "HH:mm", locale=language)
            return time if moment.date() == now.date() else f"{_day(moment, now, language)}, {time}"

        def money(amount_minor: int, currency: str = store.identity.currency) -> str:
            text = format_money(abs(amount_minor), currency, store.identity.language).text
            return f"{MINUS}{text}" if amount_minor < 0 else text

        return {"when": when, "money": money, "quantity": lambda milli: quantity_text(milli, language),
                "as_typed": lambda milli: quantity_text(milli, language, "0.###"),
                "in_words": lambda text: in_words_or_english(text, words),
                "title": lambda value: title_of(value, words)}


def quantity_text(quantity_milli: int, language: str, pattern: str = "#,##0.###") -> str:
    """Thousandths as a person writes them: `2`, `0,35`."""
    text = str(format_decimal(Decimal(abs(quantity_milli)) / 1000, pattern, locale=language))
    return f"{MINUS}{text}" if quantity_milli < 0 else text


def typed_quantity(quantity_milli: int) -> str:
    """Thousandths for a field, without grouping, which would be read as a decimal sign: `1000`, `0.35`."""
    whole, part = divmod(quantity_milli, 1000)
    return f"{whole}.{part:03}".rstrip("0") if part else str(whole)


def quantity_milli_of(text: str) -> int | None:
    """`"12"`, `"0,350"` or `"0.35"` in thousandths; `None` for what is no quantity above zero."""
    match = QUANTITY.fullmatch(text.strip())
    return int(Decimal(f"{match[1]}.{match[2] or '0'}") * 1000) or None if match else None


def state_icon(code: str) -> str:
    """The icon beside a state's word."""
    return STATE_ICONS.get(code, "queued")


def issue_path(key: str) -> str:
    """The page on which something can be done about an issue; empty where there is none."""
    return next((path for start, path in ISSUE_PATHS.items() if key.startswith(start)), "")


def _day(moment: datetime, now: datetime, language: str) -> str:
    if moment.year == now.year:
        return str(format_skeleton("MMMd", moment, locale=language))
    return str(format_date(moment, "medium", locale=language))
