"""Payment cards: their numbers, tracks and EMV fields in any text, masked in place. Pure (DESIGN.md section 8).

A store has no use for them, so nothing may keep them: not a ledger, not a log, not a file that was put down. Masked
text is as long as it was, so that JSON, XML and fixed columns stay what they are: of a number its first digit (the
scheme) and the last four stay, the others become zeros.

A number counts as a card's when an issuer gives numbers of this length with this beginning, its Luhn digit is right,
and it is no right GTIN: thirteen and fourteen digits are first of all bar codes. Source: ISO/IEC 7812-1 (numbers), 7813
(tracks); EMV Book 3 annex A (tags 57, 5A); issuer ranges as the schemes publish them.
"""

import re
from collections.abc import Iterator

from edge.domain.barcode import check_digit_holds

DIGITS_MIN, DIGITS_MAX = 13, 19

_STRETCH = re.compile(r"(?<![0-9])[0-9][0-9 .-]{11,}[0-9]")
"""What may hold numbers: quick to find, which matters for each sale. One that is too short from its first digit on is
so from every other."""

_NUMBER = re.compile(r"(?<!\d)(?=(\d{13,19}(?!\d)|\d{4}[ .-]\d{4}[ .-]\d{4}[ .-]\d{4}(?:[ .-]\d{3})?(?!\d)"
                     r"|\d{4}[ .-]\d{6}[ .-]\d{4,5}(?!\d)))")
"""Digits in one row, or parted as they stand on cards."""
_ISSUED = re.compile("|".join((
    r"4(?:\d{12}|\d{15}|\d{18})",                                       # Visa
    r"(?:5[1-5]\d\d|222[1-9]|22[3-9]\d|2[3-6]\d\d|27[01]\d|2720)\d{12}",  # Mastercard
    r"3[47]\d{13}",                                                     # American Express
    r"3(?:0[0-5]|[689]\d)\d{11,16}",                                    # Diners Club
    r"6(?:011|4[4-9]\d|5\d\d)\d{12,15}",                                # Discover
    r"35(?:2[89]|[3-8]\d)\d{12,15}",                                    # JCB
    r"62\d{12,17}",                                                     # UnionPay
    r"(?:50[0-9]{2}|5[6-9]\d\d|6[03-9]\d\d)\d{9,15}",                   # Maestro and national schemes
    r"220[0-4]\d{12,15}",                                               # Mir
)))
_TRACK_1 = re.compile(r"(%?B\d{12,19}\^)([^^\n]{2,26}\^[^?\n]{4,60})")
_TRACK_2 = re.compile(r"(;?\d{12,19}=)(\d{4,25})")
_EMV = re.compile(r"(?:5[Aa]|57)[01][0-9A-Fa-f](?=\d{12})[0-9A-Fa-f]{12,38}")


_DOUBLED = {str(digit): digit * 2 - (9 if digit > 4 else 0) for digit in range(10)}


def has_card(text: str) -> bool:
    """Whether there is anything in the text to mask."""
    return masked(text) != text


def masked(text: str) -> str:
    """The text without card data, as long as it was; the very text when there is none."""
    if _EMV.search(text):
        text = _EMV.sub(_emv, text)
    if "^" in text:
        text = _TRACK_1.sub(_track, text)
    if "=" in text:
        text = _TRACK_2.sub(_track, text)
    for place, number in tuple(_numbers(text)):
        text = text[:place] + _masked_number(number) + text[place + len(number):]
    return text


def masked_values(value: object, kept: frozenset[str] = frozenset()) -> object:
    """A JSON-like value with every text and large number of it masked; what stands under a name in `kept` stays."""
    if isinstance(value, str):
        return masked(value)
    if isinstance(value, int) and not isinstance(value, bool) and abs(value) >= 10 ** (DIGITS_MIN - 1):
        return int(masked(str(abs(value)))) * (1 if value > 0 else -1)
    if isinstance(value, dict):
        return {name: each if name in kept else masked_values(each, kept) for name, each in value.items()}
    if isinstance(value, list | tuple):
        return [masked_values(each, kept) for each in value]
    return value


def is_card_number(digits: str) -> bool:
    """Whether these digits alone are a card's number."""
    return (digits[:1] in "23456" and DIGITS_MIN <= len(digits) <= DIGITS_MAX
            and _ISSUED.fullmatch(digits) is not None and _luhn(digits)
            and not (len(digits) <= 14 and check_digit_holds(digits)))


def _numbers(text: str) -> Iterator[tuple[int, str]]:
    """Every card number in the text, with its place; they may overlap."""
    for stretch in _STRETCH.finditer(text):
        if stretch[0].isdecimal():
            if is_card_number(stretch[0]):
                yield stretch.start(), stretch[0]
            continue
        for found in _NUMBER.finditer(stretch[0]):
            if is_card_number("".join(filter(str.isdecimal, found[1]))):
                yield stretch.start() + found.start(), found[1]


def _masked_number(text: str) -> str:
    """The first digit and the last four stay. The result is never a right number by accident."""
    places = [place for place, letter in enumerate(text) if letter.isdecimal()]
    letters = list(text)
    for place in places[1:-4]:
        letters[place] = "0"
    if _luhn("".join(letters[place] for place in places)):
        letters[places[1]] = "1"
    return "".join(letters)


def _emv(found: re.Match[str]) -> str:
    """A tag, its length in bytes, and so many bytes: a number, or the second track with a D between."""
    text = found[0]
    value = text[4:4 + 2 * int(text[2:4], 16)]
    digits = re.split("[DdFf]", value)[0]
    if not is_card_number(digits) or (text[1] == "7" and len(digits) == len(value)):
        return text  # a 57 without its D is a number that happens to begin so
    return text[:4] + _masked_number(digits) + _blank(value[len(digits):]) + text[4 + len(value):]


def _track(found: re.Match[str]) -> str:
    """A number, and what follows it on the stripe."""
    digits = "".join(letter for letter in found[1] if letter.isdecimal())
    return found[1] + _blank(found[2]) if is_card_number(digits) else found[0]


def _blank(text: str) -> str:
    """Nothing of it is to be read any more; separators stay."""
    return re.sub(r"[^\W\d_]", "X", re.sub(r"\d", "0", text))


def _luhn(digits: str) -> bool:
    return (sum(map(int, digits[-1::-2])) + sum(_DOUBLED[digit] for digit in digits[-2::-2])) % 10 == 0
