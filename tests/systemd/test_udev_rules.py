"""The udev rules: a base station gets its group and a name that stays, and ModemManager keeps away."""

import re
import subprocess

from edge.shipped import shipped
from tests.needs import need

RULES = shipped("systemd/70-trastienda.rules")
PAIR = re.compile(r'^(?:ACTION|SUBSYSTEMS?|ATTRS\{id(?:Vendor|Product)\}|ENV\{[.A-Z_a-z]+\}|'
                  r'GROUP|MODE|SYMLINK|GOTO|LABEL)(?:==|!=|\+=|=)"[^"]*"$')


def rules() -> list[list[str]]:
    """Each rule as its pairs."""
    return [line.split(", ") for line in RULES.read_text().splitlines() if line and not line.startswith("#")]


def test_every_rule_is_made_of_well_formed_pairs() -> None:
    assert [pair for rule in rules() for pair in rule if not PAIR.match(pair)] == []


def test_every_jump_has_its_label() -> None:
    pairs = [pair for rule in rules() for pair in rule]
    jumps = {pair.split("=")[1] for pair in pairs if pair.startswith("GOTO")}

    assert jumps == {pair.split("=")[1] for pair in pairs if pair.startswith("LABEL")}


def test_the_adapters_of_base_stations_are_known() -> None:
    """USB ids as the devices report them: Espressif, WCH, Silicon Labs, FTDI, Texas Instruments."""
    known = {vendor[1]: product[1].split("|") for rule in rules() if len(rule) == 3
             if (vendor := re.match(r'ATTRS\{idVendor\}=="(\w+)"', rule[0]))
             and (product := re.match(r'ATTRS\{idProduct\}=="([\w|]+)"', rule[1]))}

    assert known["303a"] == ["1001"]
    assert "7523" in known["1a86"]
    assert "ea60" in known["10c4"]
    assert "6015" in known["0403"]
    assert known["0451"] == ["16a8"]


def test_the_port_goes_to_the_daemons_group_and_stays_away_from_modem_manager() -> None:
    (given,) = [rule for rule in rules() if any(pair.startswith("GROUP") for pair in rule)]

    assert 'GROUP="dialout"' in given
    assert 'MODE="0660"' in given
    assert 'ENV{ID_MM_DEVICE_IGNORE}="1"' in given


def test_udev_itself_accepts_the_rules() -> None:
    """`udevadm verify` came with systemd 254; an older one has only our own reading above."""
    udevadm = need("udevadm")
    done = subprocess.run([udevadm, "verify", RULES], capture_output=True, text=True, check=False, timeout=60)

    assert done.returncode == 0 or "Unknown command verb verify" in done.stderr, done.stdout + done.stderr
