"""Endpoints that want to be told: who they are, how they do, and what had to be given up. One transaction per call.

`outbox` has the rules; here is what operators and the courier call.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

import msgspec
import sqlalchemy as sa

from cloud_sync.hub import outbox, schema
from cloud_sync.hub.database import Database, in_groups
from cloud_sync.hub.errors import NotFound, Rejected, TooLarge
from cloud_sync.hub.happenings import EventType
from cloud_sync.hub.limits import DEAD_LETTERS_SHOWN_MAX, DELIVERY_DEAD_AFTER_S, WEBHOOKS_MAX
from cloud_sync.hub.names import check_name
from cloud_sync.hub.outbox import Round, Settled
from cloud_sync.hub.signatures import mint_secret, secret_key

_WEBHOOK, _DELIVERY = schema.webhook, schema.delivery


class WebhookIn(msgspec.Struct, frozen=True):
    """`PUT /v1/webhooks/{webhook}`. Without `event_types` it hears everything.

    `secret`: `whsec_…`, to be signed with; without one the hub mints one for a new endpoint, and for one that asks
    for a `fresh_secret`. Putting an endpoint again ends its pauses.
    """

    url: str
    event_types: tuple[EventType, ...] = ()
    secret: str = ""
    fresh_secret: bool = False

    def __repr__(self) -> str:
        """Without the secret."""
        return f"WebhookIn(event_types={self.event_types!r})"


class WebhookPut(msgspec.Struct, frozen=True):
    """`secret` is shown this once, and only when the hub minted it."""

    webhook: str
    created: bool
    secret: str | None

    def __repr__(self) -> str:
        """Without the secret."""
        return f"WebhookPut(webhook={self.webhook!r})"


class WebhookStatus(msgspec.Struct, frozen=True):
    """How an endpoint does. `disabled_ms`: since when it is not called, because it answered 410 Gone; 0 for never.

    `waiting` events are still to be told, `dead` ones were given up. `due_ms`: it is not called before.
    """

    webhook: str
    url: str
    event_types: tuple[str, ...]
    created_ms: int
    disabled_ms: int
    failures: int
    due_ms: int
    delivered_ms: int
    last_error: str
    waiting: int
    dead: int


class DeadLetter(msgspec.Struct, frozen=True):
    """An event that was given up."""

    event: str
    type: str
    store: str
    subject: str
    created_ms: int
    attempts: int
    last_error: str


class SendAgain(msgspec.Struct, frozen=True):
    """`POST /v1/webhooks/{webhook}/send-again`: these events, or all that were given up."""

    events: tuple[str, ...] = ()


class SentAgain(msgspec.Struct, frozen=True):
    """How many wait again."""

    waiting: int


@dataclass(slots=True)
class Webhooks:
    """`holder`: this process, as it claims endpoints."""

    database: Database
    holder: str = field(init=False)

    def __post_init__(self) -> None:
        self.holder = self.database.mint()

    def put(self, webhook: str, wanted: WebhookIn) -> WebhookPut:
        """Raises `Rejected`, `TooLarge`. The address was checked by `endpoints`."""
        check_name(webhook)
        if wanted.secret:
            secret_key(wanted.secret)
        with self.database.transaction() as connection:
            found = connection.execute(sa.select(_WEBHOOK.c.sealed_secret).where(
                _WEBHOOK.c.webhook_id == webhook).with_for_update()).one_or_none()
            count = connection.execute(sa.select(sa.func.count()).select_from(_WEBHOOK)).scalar_one()
            if found is None and count >= WEBHOOKS_MAX:
                raise TooLarge(f"there are {count} endpoints already, at most {WEBHOOKS_MAX}")
            minted = not wanted.secret and (found is None or wanted.fresh_secret)
            secret = mint_secret(self.database.random_bytes) if minted else wanted.secret
            row = {"url": wanted.url, "event_types": msgspec.json.encode(wanted.event_types).decode(),
                   "disabled_ms": 0, "failures": 0, "due_ms": 0}
            if secret:
                row["sealed_secret"] = self.database.sealer.seal(secret.encode(), _place(webhook))
            if found is not None:
                connection.execute(_WEBHOOK.update().where(_WEBHOOK.c.webhook_id == webhook), row)
            else:
                connection.execute(_WEBHOOK.insert(), {
                    **row, "webhook_id": webhook, "created_ms": self.database.now_ms(), "delivered_ms": 0,
                    "last_error": "", "claimed_by": "", "claimed_until_ms": 0})
        return WebhookPut(webhook, created=found is None, secret=secret if minted else None)

    def all(self) -> tuple[WebhookStatus, ...]:
        columns = _DELIVERY.c
        counts = sa.select(columns.webhook_id, columns.dead, sa.func.count()).group_by(
            columns.webhook_id, columns.dead)
        with self.database.transaction() as connection:
            rows = connection.execute(sa.select(_WEBHOOK).order_by(_WEBHOOK.c.webhook_id)).all()
            numbers = {(webhook, dead): number for webhook, dead, number in connection.execute(counts)}
        return tuple(WebhookStatus(
            row.webhook_id, row.url, outbox.event_types(row.event_types), row.created_ms, row.disabled_ms,
            row.failures, row.due_ms, row.delivered_ms, row.last_error, numbers.get((row.webhook_id, False), 0),
            numbers.get((row.webhook_id, True), 0)) for row in rows)

    def remove(self, webhook: str) -> None:
        """It is told nothing more, not even what waits. Raises `NotFound`."""
        with self.database.transaction() as connection:
            if not connection.execute(_WEBHOOK.delete().where(_WEBHOOK.c.webhook_id == webhook)).rowcount:
                raise _no_webhook(webhook)
            connection.execute(_DELIVERY.delete().where(_DELIVERY.c.webhook_id == webhook))

    def dead_letters(self, webhook: str) -> tuple[DeadLetter, ...]:
        """What was given up, oldest first, at most `DEAD_LETTERS_SHOWN_MAX`. Raises `NotFound`."""
        columns = _DELIVERY.c
        with self.database.transaction() as connection:
            _need(connection, webhook)
            rows = connection.execute(sa.select(_DELIVERY).where(columns.webhook_id == webhook, columns.dead).order_by(
                columns.created_ms, columns.store_id, columns.subject, columns.sequence).limit(DEAD_LETTERS_SHOWN_MAX))
            return tuple(DeadLetter(row.event_id, row.event_type, row.store_id, row.subject, row.created_ms,
                                    row.attempts, row.last_error) for row in rows)

    def send_again(self, webhook: str, again: SendAgain) -> SentAgain:
        """Let events that were given up wait once more, for `DELIVERY_DEAD_AFTER_S`. Raises `NotFound`, `Rejected`."""
        if any("\0" in event for event in again.events):
            raise Rejected("an event has no NUL character in its id")
        columns, now_ms = _DELIVERY.c, self.database.now_ms()
        groups = [columns.event_id.in_(group) for group in in_groups(again.events)] if again.events else [sa.true()]
        with self.database.transaction() as connection:
            _need(connection, webhook)
            return SentAgain(sum(connection.execute(_DELIVERY.update().where(
                columns.webhook_id == webhook, columns.dead, of_group), {
                    "dead": False, "due_ms": now_ms, "dead_after_ms": now_ms + 1000 * DELIVERY_DEAD_AFTER_S,
                }).rowcount for of_group in groups))

    def claimable(self) -> list[str]:
        """Endpoints that can be called now."""
        with self.database.reading() as connection:
            return outbox.claimable(connection, self.database.now_ms())

    def claim(self, webhook: str) -> tuple[Round, bytes] | None:
        """What this process may send to an endpoint now, and the key to sign it with."""
        with self.database.transaction() as connection:
            claimed = outbox.claim(connection, webhook, self.holder, self.database.now_ms())
        if claimed is None:
            return None
        secret = self.database.sealer.open(claimed.sealed_secret, _place(webhook))
        assert secret is not None, f"the secret of endpoint {webhook!r} was not sealed by this hub"
        return claimed, secret_key(secret.decode())

    def settle(self, webhook: str, settled: Sequence[Settled], endpoint: dict[str, object]) -> None:
        """Note what became of a round. `endpoint`: what is new about the endpoint itself."""
        with self.database.transaction() as connection:
            outbox.settle(connection, webhook, self.holder, settled, endpoint, self.database.now_ms())

    def keep(self) -> int:
        """Give up and forget what is too old. Returns how many events were given up."""
        with self.database.transaction() as connection:
            return outbox.keep_outbox(connection, self.database.now_ms())


def _place(webhook: str) -> str:
    """No store can be named so: what is sealed for a person opens as no secret, and the other way round."""
    return f"webhook:{webhook}"


def _need(connection: sa.Connection, webhook: str) -> None:
    if connection.execute(sa.select(_WEBHOOK.c.webhook_id).where(
            _WEBHOOK.c.webhook_id == webhook)).one_or_none() is None:
        raise _no_webhook(webhook)


def _no_webhook(webhook: str) -> NotFound:
    return NotFound(f"there is no endpoint {webhook!r}")
