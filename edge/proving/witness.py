"""The witness: believes only what it saw, and says at the end which promises held.

Demo and simulator tell it what really happened: when virtual labels changed their screens, every byte of the radios'
lines, what tills asked, sent and were answered, what staff and customers did. It imports no rule of the store.
Times are seconds on the store's powered clock: time switched off does not pass.
"""

from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Set
from dataclasses import dataclass

from drivers.port import LabelId, Picture, PictureVersion
from edge.proving.picture_reader import ItemKey, PictureReader, Printed
from edge.proving.promises import exactly_once, no_sale_refused, nothing_is_lost, odd_ones_flagged, promised_once
from edge.proving.receipts import AskedBasket, Known, Receipt, mistakes
from edge.proving.shelf import Reading, ShelfRecord
from edge.proving.sightings import (
    BooksSeen,
    Finding,
    LedgerEntry,
    SentLine,
    SoldLine,
    Span,
    TillTransaction,
    WitnessedProof,
    read_payload,
)
from edge.proving.till_record import Sending, TillRecord
from edge.proving.wire_ear import WireEar

VIOLATIONS_NAMED_MAX = 20
"""Violations of one promise that are listed; the rest is counted."""

GTIN_LENGTHS = (8, 12, 13, 14)

P8_KINDS = ("lookups", "sales", "label proofs", "pickup steps")
"""What must go on while the line to the hub is down."""

@dataclass(frozen=True, slots=True)
class _Charged:
    """Somebody was told, or charged, so much per unit. `copied_s`: by a copy of the price book, loaded then."""

    who: str
    code: str
    asked: Span
    charge_minor: int
    copied_s: float | None = None


_ClaimedShown = tuple[LabelId, str, Span]


BESIDE = ("customers", "receipts", "holds", "refunds", "spoilt pictures")
"""What is told beside the numbered promises: how many of each were judged. Spoilt pictures are only counted: labels
drew them, and their protocol cannot tell."""


class Witness:
    """One run. `grace_s`: the policy's, how long a shopper walks from shelf to till."""

    def __init__(self, grace_s: float, reader: PictureReader | None = None) -> None:
        self.tills = TillRecord()
        self._shelf = ShelfRecord(grace_s, reader or PictureReader())
        self._keys: dict[str, ItemKey] = {}
        self._charged: deque[_Charged] = deque()
        self._claimed: deque[_ClaimedShown] = deque()
        self._late: deque[tuple[SoldLine, SentLine]] = deque()
        self.overcharged: dict[SoldLine, int] = {}
        self._shown: set[tuple[LabelId, str]] = set()
        self._acknowledged: set[str] = set()
        self._lost: set[str] = set()
        self._placed: dict[str, dict[str, int]] = {}
        self._ears: dict[str, WireEar] = {}
        self._done_heard: Counter[LabelId] = Counter()
        self._checked: Counter[str] = Counter()
        self._violations: dict[str, list[str]] = {}
        self._outage = False
        self._outages = 0
        self._during_outage: Counter[str] = Counter()

    # --- the world --------------------------------------------------------------------------------------------

    def knows_item(self, sku: str, codes: Iterable[str] = ()) -> None:
        """An item of the catalogue as the hub was given it; its first code, if a GTIN, is what its labels carry."""
        codes = [code.zfill(14) if len(code) in GTIN_LENGTHS else code for code in codes]
        key = f"01/{codes[0]}" if codes and _is_gtin14(codes[0]) else f"s/{sku}"
        for name in (*codes, sku):
            self._keys.setdefault(name, key)

    def outage_began(self) -> None:
        """The line between store and hub is cut."""
        self._outage = True
        self._outages += 1

    def outage_ended(self) -> None:
        """The line is back."""
        self._outage = False

    # --- the shelf --------------------------------------------------------------------------------------------

    def saw_screen(self, label: LabelId, at_s: float, version: PictureVersion, picture: Picture | None, *,
                   spoilt: bool = False) -> None:
        """A label's screen really changed. Per label in order of time. `spoilt`: see `ShelfRecord.saw_screen`."""
        self._shelf.saw_screen(label, at_s, version, picture, spoilt=spoilt)
        if spoilt:
            self._checked["spoilt pictures"] += 1

    def held(self, label: LabelId, version: PictureVersion, at_s: float) -> None:
        """A label holds this picture and begins to say so (`VirtualLabel.said_done`)."""
        self._shelf.held(label, version, at_s)

    def heard_line(self, radio: str, data: bytes) -> None:
        """Bytes from a radio to its host, as the radio sent them."""
        for label in self._ears.setdefault(radio, WireEar()).hear(data):
            self._done_heard[label] += 1
            self._goes_on("label proofs")

    def off_shelf(self, label: LabelId, asked: Span) -> None:
        """Somebody excluded or unbound the label."""
        self._shelf.off_shelf(label, asked.began_s)

    def on_shelf(self, label: LabelId, asked: Span) -> None:
        """The label was bound, or its exclusion ended."""
        self._shelf.on_shelf(label, asked.ended_s)

    def nobody_there(self, away: Span) -> None:
        """From closing and clear-out until opening."""
        self._shelf.nobody_there(away)

    def label_claimed_shown(self, label: LabelId, sku: str, asked: Span) -> None:
        """The store says that the label shows what it should, of this SKU."""
        self._claimed.append((label, sku, asked))

    def names_last_days(self, over_s: Callable[[ItemKey, int], float | None]) -> None:
        """When the last day that pictures name with a price was over (`edge.proving.last_days`)."""
        self._shelf.over_s = over_s

    # --- tills ------------------------------------------------------------------------------------------------

    def lookup(self, till: str, code: str, asked: Span, charge_minor: int, copied_s: float | None = None) -> None:
        """A till was told what to charge for a barcode or SKU; `copied_s`: by its copy of the price book, which is not
        late and was loaded then."""
        self._charged.append(_Charged(f"till {till} was told", code, asked, charge_minor, copied_s))
        self._goes_on("lookups")

    def receipt(self, till: str, basket: AskedBasket, receipt: Receipt, asked: Span, promotions: Known) -> None:
        """A till had a whole basket priced. `promotions`: every one that the hub was ever given."""
        who, codes = f"till {till}'s receipt says", {line.line: line.code for line in basket.lines}
        self._charged.extend(_Charged(who, codes[line.line], asked, line.unit_minor) for line in receipt.lines
                             if line.line in codes)
        self._checked["receipts"] += 1
        for mistake in mistakes(basket, receipt, promotions):
            self._violated("receipts", f"till {till} at {asked.ended_s:.3f} s: {mistake}")

    # --- customers --------------------------------------------------------------------------------------------

    def read(self, label: LabelId, at_s: float) -> Reading | None:
        """A customer reads what stands on the label now; `None` when that promises nothing. Look at screens before."""
        return self._shelf.read(label, at_s)

    def paid(self, reading: Reading, quantity_milli: int, amount_minor: int, asked: Span,
             copied_s: float | None = None) -> bool:
        """The customer paid this much for what was read, deposits aside; returns whether it bound anybody.

        `asked`: when the till was told the price, `copied_s` as in `lookup`.
        """
        if not self._shelf.binds(reading, asked, copied_s):
            return False
        self._checked["customers"] += 1
        most_minor = (reading.price_minor * quantity_milli + 500) // 1000
        if amount_minor > most_minor:
            self._violated("P3", f"a customer read {reading.price_minor} of {reading.item} on label "
                                 f"{reading.exposure.label} at {reading.at_s:.3f} s and paid {amount_minor} for "
                                 f"{quantity_milli} thousandths at {asked.ended_s:.3f} s")
        return True

    # --- held prices ------------------------------------------------------------------------------------------

    def held_and_told(self, sku: str, held_s: float, *, told: bool) -> None:
        """A price has been held low for longer than it may be without a person's knowing; whether one was told."""
        self._checked["holds"] += 1
        if not told:
            self._violated("holds", f"{sku} has been held low for {held_s:.0f} s, and nobody was told")
    def lookup_failed(self, till: str, code: str, why: str) -> None:
        """A till got no price for an item that has one. Not for a store that was switched off."""
        self._violated("P8", f"till {till} got no price for {code}: {why}")

    def sent(self, transaction: TillTransaction, kind: str, lines: Iterable[SentLine]) -> Sending:
        """A till sends a transaction (`kind`: sale, return or void), for the first time or again."""
        lines, who = tuple(lines), f"{transaction.fact_key} charged"
        if kind == "sale" and not self.tills.is_known(transaction.fact_key):
            self._charged.extend(_Charged(who, line.code, line.scanned, line.unit_price_minor, line.copied_s)
                                 for line in lines
                                 if line.unit_price_minor is not None and line.scanned is not None)
            self._late.extend((SoldLine(transaction.fact_key, number), line)
                              for number, line in enumerate(lines, start=1) if line.late_at_s is not None)
        return self.tills.sent(transaction, kind, lines)

    def answered(self, sending: Sending, status: int, recorded: bool | None = None) -> bool:
        """What the till was answered; returns whether it may stop sending. No answer at all is not told."""
        finished = self.tills.answered(sending, status, recorded)
        if finished:
            self._goes_on("sales")
        return finished

    def till_close_failed(self, till: str, business_day: str, why: str) -> None:
        """A till's close of day, after everything it sent was answered, did not agree with the store."""
        self._violated("P1", f"till {till} closed {business_day}: {why}")

    # --- stock and pickups ------------------------------------------------------------------------------------

    def disk_died(self, lost: Iterable[str]) -> None:
        """The box's disk died and an older backup took its place, which lacks these facts.

        What its labels show by then the store need not know until they show something else.
        """
        self._lost.update(lost)
        self._shown.clear()
        self._claimed.clear()
        self._shelf.disregard_screens()

    def placed(self, order_id: str, quantities_milli: Mapping[str, int]) -> None:
        """A customer ordered this much of each SKU at the hub."""
        self._placed[order_id] = dict(quantities_milli)

    def wants_less(self, order_id: str) -> None:
        """A line of it was cancelled, perhaps before the store reserved anything."""
        self._placed.pop(order_id, None)

    @property
    def lost(self) -> frozenset[str]:
        """Facts that a disk which died held, and its backup did not."""
        return frozenset(self._lost)

    def acknowledged(self, fact_key: str) -> None:
        """The store acknowledged a fact that no till sent: `movement/…`, `pickup/…`, `staff/…`, `close/…`."""
        self._acknowledged.add(fact_key)
        if fact_key.startswith("pickup/"):
            self._goes_on("pickup steps")

    def note_trouble(self, what: str) -> None:
        """Something that should have worked and breaks no numbered promise, such as the hub refusing an order."""
        self._violated("trouble", what)

    # --- judging ----------------------------------------------------------------------------------------------

    def look_back(self, until_s: float) -> None:
        """Judge everything asked until then. Everything about screens until then has been told."""
        while self._charged and self._charged[0].asked.ended_s <= until_s:
            self._judge_charge(self._charged.popleft())
        while self._late and (self._late[0][1].late_at_s or 0.0) <= until_s:
            self._judge_late_copy(*self._late.popleft())
        while self._claimed and self._claimed[0][2].ended_s <= until_s:
            self._judge_claimed_shown(*self._claimed.popleft())
        self._shelf.forget_before(until_s)

    def printed(self, label: LabelId, version: PictureVersion) -> Printed | None:
        """What a picture that the label has drawn promises."""
        return self._shelf.says(label, version)

    def claims_stand(self, claims: Iterable[tuple[LabelId, str, int]]) -> list[str]:
        """Prices on screens that no open claim `(label, sku, price)` of the store covers: lost claims."""
        claimed = {(label, self._key(sku), price_minor) for label, sku, price_minor in claims}
        return [f"P3: label {label} shows {price_minor} for {item} and the store has no open claim for it"
                for label, item, price_minor in self._shelf.standing() if (label, item, price_minor) not in claimed]

    def verdict(self, store: BooksSeen, hub: BooksSeen, now_s: float,
                seconds_of: Callable[[int], float] | None = None) -> list[Finding]:
        """Every promise, at the end: both ledgers read back, all tills drained.

        `seconds_of`: wall-clock milliseconds → seconds of the witness's clock, where the wall clock can be believed.
        """
        self.look_back(now_s)
        self._judge_proofs(store, seconds_of)
        self._judge_lost_proofs(store)
        findings = [
            nothing_is_lost(self.tills, self._acknowledged, store, hub, self._lost),
            exactly_once(self.tills, store, hub),
            Finding("P3", self._checked["P3"], tuple(f"P3: {each}" for each in self._shelf.unreadable)),
            self._no_sale_refused(store),
            Finding("P5", 0, ()) if self._lost else promised_once(store, self._placed),
            Finding("P7", self._checked["P7"], ()),
            self._store_stood_alone(),
            *(Finding(name, self._checked[name], ()) for name in BESIDE if self._checked[name]),
        ]
        if "trouble" in self._violations:
            findings.append(Finding("trouble", 0, ()))
        return [self._complete(finding) for finding in findings]

    def findings_now(self) -> dict[str, int]:
        """How often each promise that is checked on the way was put to the test so far."""
        return {"P3": self._checked["P3"], "P7": self._checked["P7"], "P8": sum(self._during_outage.values())}

    def violations_now(self) -> list[str]:
        """What was broken so far, as far as that shows on the way."""
        return [each for violations in self._violations.values() for each in violations]

    def _judge_charge(self, charged: _Charged) -> None:
        asked = charged.asked
        read = self._shelf.lowest_read(self._key(charged.code), asked, charged.copied_s)
        if read is None:
            return
        self._checked["P3"] += 1
        if charged.charge_minor > read.price_minor:
            since = f"{read.began_s:.3f} to {'now' if read.ended_s is None else f'{read.ended_s:.3f}'}"
            self._violated("P3", f"{charged.who} {charged.charge_minor} for {charged.code} at {asked.ended_s:.3f} s; "
                                 f"label {read.label} showed {read.price_minor} ({since} s)")

    def _judge_late_copy(self, sold: SoldLine, line: SentLine) -> None:
        """What is charged by a late copy is not the store's to prevent, but to find: who paid too much is owed."""
        read = self._shelf.lowest_read(self._key(line.code), Span.at(line.late_at_s or 0.0))
        if read is None or line.unit_price_minor is None or line.quantity_milli <= 0:
            return
        too_much_minor = (line.unit_price_minor - read.price_minor) * line.quantity_milli // 1000
        if too_much_minor > 1 and not read.by_hand:
            self.overcharged[sold] = too_much_minor

    def owed(self, refunds: Set[SoldLine], taken_back: Set[str]) -> None:
        """What the store's own report says that customers are owed, over all days; `taken_back`: voided sales."""
        for sold, too_much_minor in self.overcharged.items():
            if sold.fact_key not in taken_back and self.tills.was_taken(sold.fact_key):
                self._checked["refunds"] += 1
                if sold not in refunds:
                    self._violated("refunds", f"line {sold.line} of {sold.fact_key} was charged {too_much_minor} too "
                                              "much by a late copy, and is on no refund list")

    def _judge_claimed_shown(self, label: LabelId, sku: str, asked: Span) -> None:
        versions = self._shelf.held_during(label, asked)
        if versions and not all(self._shelf.drawn(label, version) for version in versions):
            return  # its battery went out between "done" and the screen: what it would say is not known
        self._checked["P7"] += 1
        self._shown.add((label, sku))
        printed = [self._shelf.says(label, version) for version in versions]
        if not any(each is not None and each.item == self._key(sku) for each in printed):
            self._violated("P7", f"the store says that label {label} shows {sku} at {asked.ended_s:.3f} s; the label "
                                 f"held {printed or 'nothing'}")

    def _judge_proofs(self, store: BooksSeen, seconds_of: Callable[[int], float] | None) -> None:
        proofs: Counter[LabelId] = Counter()
        for entry, proof in _proofs(store.entries):
            self._checked["P7"] += 1
            proofs[proof.label] += 1
            self._judge_proof(proof, seconds_of(entry.occurred_ms) if seconds_of else None)
        for label, count in proofs.items():
            if count > self._done_heard[label]:
                self._violated("P7", f"label {label} has {count} proofs; it was heard to be done "
                                     f"{self._done_heard[label]} times")

    def _judge_proof(self, proof: WitnessedProof, at_s: float | None) -> None:
        label, version = proof.label, proof.version
        if not self._shelf.ever_held(label, version):
            self._violated("P7", f"a proof says that label {label} holds {version}; it never did")
        elif at_s is not None and not self._shelf.held_by(label, version, at_s):
            self._violated("P7", f"label {label} was taken to hold {version} before it did")
        if self._shelf.drawn(label, version):
            printed = self._shelf.says(label, version)
            if printed is None or (printed.item, printed.price_minor) != (self._key(proof.sku), proof.price_minor):
                self._violated("P7", f"a proof says that label {label} shows {proof.sku} at {proof.price_minor}; "
                                     f"its picture says {printed}")

    def _no_sale_refused(self, store: BooksSeen) -> Finding:
        refused, flagged = no_sale_refused(self.tills, store, self._lost), odd_ones_flagged(store, self._is_known)
        return Finding("P4", refused.checked + flagged.checked, (*refused.violations, *flagged.violations))

    def _is_known(self, code: str) -> bool:
        return (code.zfill(14) if code.isdecimal() and len(code) in GTIN_LENGTHS else code) in self._keys

    def _judge_lost_proofs(self, store: BooksSeen) -> None:
        """What the store once called shown, it had proven: the proof must still be in its ledger."""
        proven = {(proof.label, proof.sku) for _, proof in _proofs(store.entries)}
        for label, sku in sorted(self._shown - proven):
            self._violated("P1", f"label {label} was said to show {sku}, and no proof of it is in the store's ledger")

    def _store_stood_alone(self) -> Finding:
        missing = [f"P8: no {kind} went on while the line was down" for kind in P8_KINDS
                   if self._outages and not self._during_outage[kind]]
        return Finding("P8", sum(self._during_outage.values()), tuple(missing))

    def _goes_on(self, kind: str) -> None:
        if self._outage:
            self._during_outage[kind] += 1

    def _key(self, code: str) -> ItemKey:
        """Which item a barcode or a SKU means."""
        padded = code.zfill(14) if code.isdecimal() and len(code) in GTIN_LENGTHS else code
        return self._keys.get(padded) or self._keys.get(code) or f"s/{code}"

    def _violated(self, promise: str, what: str) -> None:
        self._violations.setdefault(promise, []).append(f"{promise}: {what}")

    def _complete(self, finding: Finding) -> Finding:
        """With what was seen on the way; only so many violations are named."""
        violations = [*self._violations.get(finding.promise, ()), *finding.violations]
        if len(violations) > VIOLATIONS_NAMED_MAX:
            more = len(violations) - VIOLATIONS_NAMED_MAX
            violations = [*violations[:VIOLATIONS_NAMED_MAX], f"{finding.promise}: and {more} more"]
        return Finding(finding.promise, finding.checked, tuple(violations))


def _is_gtin14(code: str) -> bool:
    """Fourteen digits whose last is right: weights 3 and 1 from the left, the sum a multiple of ten."""
    return len(code) == 14 and code.isdecimal() and sum(
        int(digit) * (1 if place % 2 else 3) for place, digit in enumerate(code)) % 10 == 0


def _proofs(entries: Iterable[LedgerEntry]) -> Iterator[tuple[LedgerEntry, WitnessedProof]]:
    for entry in entries:
        if entry.kind == "proof":
            fact = read_payload(entry)
            assert isinstance(fact, WitnessedProof)
            yield entry, fact
