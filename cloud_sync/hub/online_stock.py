"""What of a store's stock may be sold on the web: the rule. Pure.

The hub's figures say how the store was when its ledger was last known whole. Walk-in sales since then are not in them,
so the longer a store is silent, the less of it is offered (retail.md section 3, "Oversell policy").
"""

from cloud_sync.hub.limits import LEDGER_FRESH_S, LEDGER_WORTHLESS_S


def online_milli(sellable_milli: int, safety_milli: int, unanswered_milli: int, silent_ms: int | None) -> int:
    """What may be promised: not below zero, not above sellable less safety stock, not more after a longer silence.

    `safety_milli`, `unanswered_milli` (orders that the store has not answered): not below zero. `silent_ms`: how long
    ago the ledger was known whole, `None` for never. A shop that sells by the piece rounds down to whole thousands.
    """
    assert safety_milli >= 0
    assert unanswered_milli >= 0
    offered_milli = sellable_milli - safety_milli - unanswered_milli
    if silent_ms is None or offered_milli <= 0:
        return 0
    fresh_ms, worthless_ms = 1000 * LEDGER_FRESH_S, 1000 * LEDGER_WORTHLESS_S
    left_ms = min(worthless_ms - silent_ms, worthless_ms - fresh_ms)
    return max(0, offered_milli * left_ms // (worthless_ms - fresh_ms))


def ledger_known_until(hello_ms: int, push_ms: int, last_fact_ms: int, *, backlog: bool) -> int | None:
    """The moment up to which a store's ledger is known; `None` when nothing of it ever was.

    `hello_ms`: the last hello that named the very end held here, `push_ms`: the last push that was taken; 0 for never.
    While the store says that more is to come (`backlog`), what came reaches only to `last_fact_ms`, when its newest
    fact happened by the store's own clock. A poll says nothing: a store whose pushes are refused polls all the same.
    """
    pushed_ms = min(push_ms, last_fact_ms) if backlog else push_ms
    return max(hello_ms, pushed_ms, 0) or None
