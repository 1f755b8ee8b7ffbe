"""Names as a shopper reads them: a source in capitals becomes mixed case, anything else stays as its maker wrote it."""

import re

ACRONYMS = frozenset(
    {"BBQ", "BLT", "CD", "DVD", "TV", "PC", "USB", "LED", "HD", "UV", "SPF", "DHA", "AA", "AAA", "XL", "XXL", "3D",
     "UHT", "IQF", "USA", "US", "UK", "EU", "USDA", "NFL", "NBA", "MLB"}
)
"""Read letter by letter, so they stay in capitals."""

SMALL_WORDS = frozenset(
    {"a", "and", "for", "in", "of", "on", "or", "the", "to", "w", "with",
     "al", "con", "de", "del", "e", "el", "la", "los", "y", "da", "di", "du", "et", "le", "les", "und"}
)
"""Lower case inside a name, capitalised at its start."""

_UNITS = {
    "OZ": "oz", "FL": "fl", "LB": "lb", "LBS": "lbs", "GAL": "gal", "GA": "gal", "QT": "qt", "PT": "pt",
    "L": "L", "LTR": "L", "ML": "ml", "CL": "cl", "KG": "kg", "G": "g", "GM": "g", "GR": "g",
    "CT": "ct", "PK": "pk", "PC": "pc", "EA": "ea", "DZ": "dz", "IN": "in", "FT": "ft", "YD": "yd", "SQ": "sq",
}
_WORD = re.compile(r"[^\W_]+(?:['’][^\W_]+)*")
_SIZE = re.compile(r"(\d+(?:[.,]\d+)?)([A-Z]+)")


def display_name(name: str) -> str:
    """`"BBQ CHIPS W/ SALT 75G"` → `"BBQ Chips w/ Salt 75g"`. A mixed-case name stays, but for double spaces."""
    name = " ".join(name.split())
    if any(char.islower() for char in name) or not any(char.isalpha() for char in name):
        return name
    return _WORD.sub(_recased, name)


def display_package(text: str) -> str:
    """`"14.5 OZ"` → `"14.5 oz"`, `"6 PK/12 FL OZ"` → `"6 pk/12 fl oz"`; mixed case stays, other words as in a name."""
    text = " ".join(text.split())
    if any(char.islower() for char in text):
        return text
    words = _WORD.sub(lambda match: _UNITS.get(match[0]) or _recased(match), text)
    return re.sub(r"(?<!\d)\.(?=\d)", "0.", words)


def _recased(match: re.Match[str]) -> str:
    word = match[0]
    if word in ACRONYMS:
        return word
    size = _SIZE.fullmatch(word)
    if size and size[2] in _UNITS:
        return size[1] + _UNITS[size[2]]
    starts_name = match.start() == 0
    if word.lower() in SMALL_WORDS and not starts_name:
        return word.lower()
    return "".join(_capitalised(part, index) for index, part in enumerate(re.split(r"(['’])", word)))


def _capitalised(part: str, index: int) -> str:
    """After an apostrophe only names as in "O'Brien" go on with a capital; "M&M'S" and "CHILDREN'S" do not."""
    if index == 0 or len(part) > 2:
        return part[:1] + part[1:].lower()
    return part.lower()
