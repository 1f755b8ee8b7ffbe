"""What a connector to a commerce system offers; `runner` calls it.

The whole promise is in `round`: it may be killed anywhere and is called again, by this process or by the next. So
everything it does is either a write under an id that was fixed before (the hub's side), or decided anew from what the
other system says of itself (the outer side), and what it read is behind it only once what follows from it is kept.
"""

from dataclasses import dataclass, field
from typing import Protocol

from cloud_sync.connectors.hub import Hub


@dataclass(frozen=True, slots=True)
class Trouble:
    """Something that needs a person. `about`: the order or item; `what`: in whole sentences, without anybody's name."""

    about: str
    what: str


@dataclass(slots=True)
class Round:
    """What a round carried: word → how often. Troubles stand until a later round is without them."""

    carried: dict[str, int] = field(default_factory=dict)
    troubles: list[Trouble] = field(default_factory=list)

    def count(self, word: str, number: int = 1) -> None:
        """One more of these."""
        if number:
            self.carried[word] = self.carried.get(word, 0) + number

    def trouble(self, about: str, what: object) -> None:
        """A person should look."""
        self.troubles.append(Trouble(about, str(what)))


class Connector(Protocol):
    """One commerce system. Built without I/O; `hub` holds the lease whenever these are called."""

    async def round(self, hub: Hub) -> Round:
        """Carry everything that there is to carry, both ways.

        Raises `Transient` when a system is away, `Misconfigured` for what will not get better by itself. What is wrong
        with one order or item stops nothing else and becomes a `Trouble`. Before each write outside it calls
        `hub.hold()`, so that a process that lost its lease writes nothing there either.
        """
        ...

    async def close(self) -> None:
        """Let connections go. May be called at any time."""
        ...
