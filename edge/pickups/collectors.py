"""Who may take goods away: whoever names the pickup code, or the last digits of the customer's number with a reason; a
supervisor gives one instead (P11)."""

import hmac

from cloud_sync.contract.documents import Person
from edge.db.connection import Connection
from edge.db.queries import LEDGER
from edge.limits import CODE_ATTEMPTS_MAX, PHONE_DIGITS
from edge.pickups.people import PeopleVault
from edge.pickups.requests import StepRequest
from edge.pickups.rows import PickupRow


class Collectors:
    """What is known of those who collect, and what they must say. Runs inside the writer."""

    def __init__(self, vault: PeopleVault) -> None:
        self._vault = vault

    def customer(self, connection: Connection, row: PickupRow) -> str:
        """Who collects; empty when that is not known, or forgotten."""
        person = self._person(connection, row)
        return person.display_name if person else ""

    def refusal(self, connection: Connection, row: PickupRow, request: StepRequest) -> str:
        """Why this caller may not take the goods away; counts a wrong code, and wrong digits instead of one. A carrier
        has none."""
        if row.is_shipped:
            return ""
        by_phone = bool(request.phone) and not request.code
        if (request.supervised or by_phone) and not request.reason.strip():
            return "a hand-over without a code needs a reason"
        if request.supervised:
            return ""
        if row.code_attempts >= CODE_ATTEMPTS_MAX:
            return f"order {row.order_id}: {CODE_ATTEMPTS_MAX} wrong codes; ask a supervisor"
        known = self._phone(connection, row) if by_phone else ""
        if by_phone and not known:
            return f"order {row.order_id}: no telephone number is known; ask a supervisor"
        given = self._vault.code_hmac(request.code) if request.code else ""
        if not (_is_phone(known, request.phone) if by_phone
                else hmac.compare_digest(row.code_hmac, given)):
            connection.execute(LEDGER.count_code_attempt, (row.order_id,))
            left = CODE_ATTEMPTS_MAX - row.code_attempts - 1
            return f"wrong {'digits' if by_phone else 'code'} for order {row.order_id}; {left} attempts left"
        return ""

    def _phone(self, connection: Connection, row: PickupRow) -> str:
        """The last digits of the customer's number; empty when they are not known, or not any more."""
        person = self._person(connection, row)
        return last_digits(person.phone_last_digits) if person else ""

    def _person(self, connection: Connection, row: PickupRow) -> Person | None:
        sealed = connection.execute(LEDGER.person, (row.person_id,)).fetchone() if row.person_id else None
        return self._vault.unseal(sealed[0]) if sealed else None


def last_digits(phone: str) -> str:
    """By what of a telephone number its owner is known: its last digits, at most four."""
    return _digits(phone)[-PHONE_DIGITS:]


def _is_phone(known: str, given: str) -> bool:
    """Whether these are the number's last digits, all that are known of at most four."""
    return hmac.compare_digest(known.encode(), _digits(given)[-len(known):].encode())


def _digits(text: str) -> str:
    return "".join(each for each in text if each.isascii() and each.isdigit())
