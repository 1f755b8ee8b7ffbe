"""The page's languages: English stands in the code and the pages, every other language in `catalogues/<language>.po`.

Catalogues are read as they are; there is no build step on the box. A person's language belongs to the person's session,
not to the box (staff-and-operations.md A.7).
"""

import gettext
import io
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po

SOURCE_LANGUAGE = "en"
LANGUAGES = {"en": "English", "es": "Español"}
"""What the page speaks, each named in itself."""

CATALOGUES = Path(__file__).parent / "catalogues"


@dataclass(frozen=True, slots=True)
class Words:
    """One language. `say` and `count` fill in `%(name)s` values after translating."""

    language: str
    translations: gettext.NullTranslations

    def say(self, message: str, **values: object) -> str:
        """The message in this language."""
        translated = self.translations.gettext(message)
        return translated % values if values else translated

    def count(self, one: str, many: str, number: int, **values: object) -> str:
        """The message in the form this language uses for `number`, which is filled in as `%(num)s`."""
        return self.translations.ngettext(one, many, number) % {"num": number, **values}


def marked(message: str) -> str:
    """A message that stands in a table and is translated where it is shown."""
    return message


def words_of(language: str) -> Words:
    """The words of a BCP 47 language; English for one the page does not speak."""
    short = language.replace("_", "-").split("-")[0].lower()
    return _load(short if short in LANGUAGES else SOURCE_LANGUAGE)


@lru_cache(maxsize=len(LANGUAGES))
def _load(language: str) -> Words:
    if language == SOURCE_LANGUAGE:
        return Words(language, gettext.NullTranslations())
    with (CATALOGUES / f"{language}.po").open("rb") as file:
        catalogue = read_po(file, locale=language, abort_invalid=True)
    compiled = io.BytesIO()
    write_mo(compiled, catalogue)
    return Words(language, gettext.GNUTranslations(io.BytesIO(compiled.getvalue())))
