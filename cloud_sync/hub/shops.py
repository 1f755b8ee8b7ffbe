"""Web shops: who may read what can be sold online, and nothing else."""

from dataclasses import dataclass

import msgspec
import sqlalchemy as sa

from cloud_sync.hub import schema
from cloud_sync.hub.database import Database
from cloud_sync.hub.errors import NotFound
from cloud_sync.hub.names import check_name
from cloud_sync.hub.principals import KnownTokens, Role
from cloud_sync.hub.secrets import mint_token, token_hash


class ShopRegistration(msgspec.Struct, frozen=True):
    """`PUT /v1/shops/{shop}`. `fresh_token`: give a shop that exists a new token; its old one ends."""

    fresh_token: bool = False


class ShopRegistered(msgspec.Struct, frozen=True):
    """`token` is shown this once; `None` when the shop keeps the one it has."""

    shop: str
    created: bool
    token: str | None

    def __repr__(self) -> str:
        """Without the token."""
        return f"ShopRegistered(shop={self.shop!r})"


@dataclass(slots=True)
class Shops:
    """One transaction per call. `known`: what forgets whose token is whose."""

    database: Database
    known: KnownTokens

    def register(self, shop: str, registration: ShopRegistration) -> ShopRegistered:
        """Let a shop be known. Raises `Rejected` for no name."""
        check_name(shop)
        table, token = schema.credential, mint_token(self.database.random_bytes)
        with self.database.transaction() as connection:
            found = connection.execute(sa.select(table.c.token_hash).where(_is(shop)).with_for_update()).first()
            if found is not None and not registration.fresh_token:
                return ShopRegistered(shop, created=False, token=None)
            connection.execute(table.delete().where(_is(shop)))
            connection.execute(table.insert(), {
                "token_hash": token_hash(token), "role": Role.SHOP.value, "name": shop, "store_id": None,
                "created_ms": self.database.now_ms(), "enrolment": 0})
        self.known.forget()
        return ShopRegistered(shop, created=found is None, token=token)

    def remove(self, shop: str) -> None:
        """Its token ends. Raises `NotFound`."""
        with self.database.transaction() as connection:
            if not connection.execute(schema.credential.delete().where(_is(shop))).rowcount:
                raise NotFound(f"there is no shop {shop!r}")
        self.known.forget()


def _is(shop: str) -> sa.ColumnElement[bool]:
    return sa.and_(schema.credential.c.role == Role.SHOP.value, schema.credential.c.name == shop)
