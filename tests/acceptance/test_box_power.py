"""Power cuts, restarts, the watchdog's bite, and the factory reset: what a box remembers and what it forgets."""

from __future__ import annotations

import time

import pytest

from builder.smoke.box import Box

WRONG_YEAR = "2001-01-01"


@pytest.fixture(scope="module")
def power_cut(boxes: dict[str, Box]) -> dict[str, str]:
    """A box whose plug was pulled and whose clock chip then says 2001: what it knew before."""
    box = boxes["box-a"]
    box.log_in()
    box.text("dd if=/dev/urandom of=/data/root/kept bs=1k count=64 2>/dev/null && echo kept >/etc/kept && sync")
    facts = {
        "file": box.text("sha256sum </data/root/kept"),
        "boot": box.text("cat /proc/sys/kernel/random/boot_id"),
        "seed": box.text("sha256sum </data/seedrng/seed.credit"),
        "key": box.wait_for("cat /run/cygnet/ssh-fingerprint", lambda text: "SHA256:" in text),
        "clock": box.text("date +%s"),
    }
    box.pull_plug(clock_chip=WRONG_YEAR)
    return facts


def test_data_survives_a_power_cut(power_cut: dict[str, str], box_a: Box) -> None:
    """Data survives a power cut: files in /data and /etc are whole, the ext4 came back"""
    assert box_a.text("cat /proc/sys/kernel/random/boot_id") != power_cut["boot"]
    assert box_a.boot_facts()["data"] == "ok"
    assert box_a.text("sha256sum </data/root/kept") == power_cut["file"]
    assert box_a.text("cat /etc/kept") == "kept"
    assert "EXT4-fs error" not in box_a.text("dmesg")
    assert box_a.text("dmesg | grep -c 'EXT4-fs.*recovery complete'") == "1"


def test_time_does_not_run_backwards(power_cut: dict[str, str], box_a: Box) -> None:
    """Time does not run backwards over a power cut, though the clock chip says 2001"""
    assert box_a.boot_facts()["time-source"] == "saved"
    assert int(box_a.text("date +%s")) >= int(power_cut["clock"])
    assert box_a.text("hwclock -r -u").find("2001") > 0


def test_seed_is_used_once(power_cut: dict[str, str], box_a: Box) -> None:
    """Each boot uses its own seed, and its pool is ready"""
    assert box_a.boot_facts()["seed"] == "credited"
    assert box_a.text("sha256sum </data/seedrng/seed.credit") != power_cut["seed"]
    assert int(box_a.text("cat /proc/sys/kernel/random/entropy_avail")) >= 256


def test_identity_survives(power_cut: dict[str, str], box_a: Box) -> None:
    """The SSH host key is the same after a power cut"""
    assert box_a.wait_for("cat /run/cygnet/ssh-fingerprint", lambda text: "SHA256:" in text) == power_cut["key"]


def test_reboot(box_b: Box) -> None:
    """`reboot` ends in order: data and time are put away first, and the box comes back"""
    before = box_b.text("cat /proc/sys/kernel/random/boot_id")
    clock = int(box_b.text("date +%s"))
    box_b.restart("reboot")
    assert box_b.text("cat /proc/sys/kernel/random/boot_id") != before
    assert "recovery complete" not in box_b.text("dmesg")
    now = int(box_b.text("date +%s"))
    # An orderly end keeps the time itself, not a time far enough ahead.
    assert clock <= now < clock + 300
    assert box_b.boot_facts()["seed"] == "credited"


def test_watchdog_bites(box_b: Box) -> None:
    """A box whose watchdog is no longer fed starts anew by itself"""
    device = box_b.text("/usr/lib/cygnet/watchdog-device").strip()
    before = box_b.text("cat /proc/sys/kernel/random/boot_id")
    box_b.text("sv down /run/service/watchdog")
    began = time.monotonic()
    # The same program, but fed every 2 s of 8; SIGSTOP stands for a system that hangs.
    box_b.restart(f"watchdog -t 2 -T 8 {device}; sleep 1; killall -STOP watchdog")
    assert box_b.text("cat /proc/sys/kernel/random/boot_id") != before
    assert time.monotonic() - began >= 8
    assert box_b.boot_facts()["data"] == "ok"


def test_factory_reset(box_b: Box) -> None:
    """A factory reset removes files in /data, edits in /etc and the SSH key, and the box comes back"""
    key = box_b.wait_for("cat /run/cygnet/ssh-fingerprint", lambda text: "SHA256:" in text)
    box_b.all_of(
        "echo mine >/data/root/mine",
        "echo mine >/data/.mine",
        "echo mine >/etc/mine",
        "echo renamed >/etc/hostname",
        "sync",
    )
    box_b.restart("factory-reset --yes")
    assert box_b.boot_facts()["reset"] == "done"
    box_b.text("test ! -e /data/root/mine && test ! -e /data/.mine && test ! -e /etc/mine")
    assert box_b.text("cat /etc/hostname") == "cygnet"
    assert box_b.text("hostname") == "cygnet"
    assert box_b.wait_for("cat /run/cygnet/ssh-fingerprint", lambda text: "SHA256:" in text) != key
    assert box_b.boot_facts()["seed"] == "credited"
