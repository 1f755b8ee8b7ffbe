"""From an open line to a radio that answers, at the speed wanted (esl.md 1.1, 1.5)."""

import asyncio
import contextlib
from dataclasses import replace

from drivers.openepaperlink import codec
from drivers.openepaperlink.codec import RadioField, RadioSettings
from drivers.openepaperlink.conversation import PING_ATTEMPTS, Conversation, NoReply
from drivers.serial_link import LinkLost

INFO_WAIT_S = 0.5  # how long the fields of NFO? may take after its ACK>
HIGH_SPEED_SWITCH_S = 0.01  # after the first ACK> of HSPD (1.1)
HIGH_SPEED_REPLY_S = 1.0  # until its second

_HIGH_SPEED_RADIOS = frozenset({"C6"})  # TYP> of radios known to switch (1.1)
SUB_GHZ_CHANNEL_MAX = 255  # it travels in one byte (1.2)
_LAST_FIELD = "NOP"


class Handshake:
    """Greets the radio on one line. `info` holds its answer to `NFO?` by field name; `at_high_speed` the outcome."""

    def __init__(self, conversation: Conversation, *, high_speed: bool) -> None:
        self.info: dict[str, str] = {}
        self.at_high_speed = False
        self._conversation = conversation
        self._high_speed = high_speed
        self._info_complete = asyncio.Event()

    def hear(self, field: RadioField) -> None:
        """A field of the radio's answer, whenever it comes."""
        self.info[field.name] = field.value
        if field.name == _LAST_FIELD:
            self._info_complete.set()

    def fitting(self, settings: RadioSettings) -> RadioSettings:
        """The settings as this radio takes them: with a sub-GHz channel only where it has such a part, and then with
        its own unless another is asked for. A radio that said nothing of itself gets what was asked for."""
        own = self.info.get("SCH")
        if own is not None and not (own.isdecimal() and int(own) <= SUB_GHZ_CHANNEL_MAX):
            raise LinkLost(f"the radio says that its sub-GHz channel is {own!r}")
        if own is not None and settings.sub_ghz_channel is None:
            return replace(settings, sub_ghz_channel=int(own))
        if own is None and self.info:
            return replace(settings, sub_ghz_channel=None)
        return settings

    async def greet(self) -> None:
        """Raises `NoReply` when nobody answers, `LinkLost` when the speed change fails."""
        await self._find_radio()
        await self._read_info()
        if self._high_speed and not self.at_high_speed and self.info.get("TYP") in _HIGH_SPEED_RADIOS:
            await self._go_high_speed()

    async def _find_radio(self) -> None:
        """A radio that was left at high speed by an earlier run does not hear us at the low one."""
        try:
            await self._conversation.ask(codec.PING, PING_ATTEMPTS)
        except NoReply:
            if not self._high_speed:
                raise
            await self._conversation.set_baud_rate(codec.BAUD_RATE_HIGH)
            await self._conversation.ask(codec.PING, PING_ATTEMPTS)
            self.at_high_speed = True

    async def _read_info(self) -> None:
        """What radio this is; one that does not say is served all the same."""
        with contextlib.suppress(NoReply, TimeoutError):
            await self._conversation.ask(codec.ASK_RADIO_INFO)
            async with asyncio.timeout(INFO_WAIT_S):
                await self._info_complete.wait()

    async def _go_high_speed(self) -> None:
        await self._conversation.ask(codec.GO_HIGH_SPEED)
        await asyncio.sleep(HIGH_SPEED_SWITCH_S)
        await self._conversation.set_baud_rate(codec.BAUD_RATE_HIGH)
        try:
            async with asyncio.timeout(HIGH_SPEED_REPLY_S):
                await self._conversation.expect_reply()
        except TimeoutError:
            raise LinkLost("the radio did not follow to high speed") from None
        self.at_high_speed = True
