"""How the interpreter shares its time in a process that answers tills while other threads work.

The writers' threads decode and store thousands of rows. While they run, a till's question waits twice: for the
interpreter lock, which a thread keeps for `sys.getswitchinterval()`, and for the cyclic collector, which looks through
everything that lives whenever enough new things have come to life.
"""

import gc
import sys

SWITCH_INTERVAL_S = 0.00005
"""Python's own is 5 ms: many times what a lookup takes, and a lookup that waits does so more than once. Shorter than
this bought nothing (`delta_lookup_p99_ms`)."""

COLLECTOR_THRESHOLDS = (2_000, 20, 1_000)
"""New containers before the youngest are looked through, and how often each older generation is: often and little, for
each look keeps everybody waiting. What is decoded from a feed has no cycles: looking through it all finds nothing."""


def tune() -> None:
    """Call it once, when all is loaded: what lives by then is never looked through again."""
    sys.setswitchinterval(SWITCH_INTERVAL_S)
    gc.collect()
    gc.freeze()
    gc.set_threshold(*COLLECTOR_THRESHOLDS)
