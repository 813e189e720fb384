"""A box that was booted: services, watchdog, entropy, time."""

from __future__ import annotations

import re
from typing import Any

from builder.smoke.box import Box

ALWAYS = {"syslogd", "klogd", "sshd", "timekeeper", "watchdog"}
# Services that a stock box does not start, and why.
NOT_ASKED_FOR = {
    "ipsec": "no conn is in /etc/ipsec.conf",
    "pppoe": "WAN_ADDRESS is not pppoe",
    **{f"udhcpd{number}": "there is one LAN" for number in range(2, 9)},
    "ntpd": "no time server is set, and no DHCP server named one",
    "udhcpd": "LAN_DHCP is empty",
    "unbound": "DNSSEC is not box",
}
STEADY_SECONDS = 5


def running_seconds(status: str) -> dict[str, int]:
    """Service -> how long it has been running, of those that run, from what `sv status` prints."""
    found = re.findall(r"^run: /run/service/([\w-]+): \(pid \d+\) (\d+)s", status, re.MULTILINE)
    return {name: int(seconds) for name, seconds in found}


def test_every_service_is_up(box_a: Box) -> None:
    """Every service of the box runs, and goes on running; those that are off are known to be"""
    all_services = set(box_a.text("ls /etc/sv").split())
    wanted = set(box_a.text("ls /run/service").split())
    assert wanted >= ALWAYS
    assert all_services - wanted == set(NOT_ASKED_FOR)

    # One that starts and dies again and again never gets old.
    def steady(status: str) -> bool:
        old = running_seconds(status)
        return old.keys() == wanted and min(old.values()) >= STEADY_SECONDS

    box_a.wait_for("sv status /run/service/*", steady)


def test_ssh_answers(box_a: Box) -> None:
    """The SSH daemon answers on port 22"""
    box_a.wait_for("timeout 5 nc 127.0.0.1 22 </dev/null | head -n 1", lambda text: text.startswith("SSH-2.0-"))


def test_log_is_kept(box_a: Box) -> None:
    """What programs and the kernel say is in the log"""
    # Not the kernel's first lines: the ring in RAM forgets them on a box that has been up for long.
    box_a.all_of("logger probe-of-a-program", "echo probe-of-the-kernel >/dev/kmsg")
    box_a.wait_for("logread", lambda text: "probe-of-a-program" in text and "probe-of-the-kernel" in text)


def test_watchdog_is_fed(box_a: Box, pair: dict[str, Any]) -> None:
    """The watchdog (hardware, if the board has one) is armed for 60 s, and the watchdog service alone holds it"""
    device = box_a.text("/usr/lib/cygnet/watchdog-device").strip()
    folder = f"/sys/class/watchdog/{device.rsplit('/', 1)[1]}"
    assert (box_a.text(f"cat {folder}/identity") != "Software Watchdog") == pair["hardware-watchdogs"][0]
    assert box_a.text(f"cat {folder}/state") == "active"
    assert box_a.text(f"cat {folder}/timeout") == "60"
    holders = box_a.text("ls -l /proc/[0-9]*/fd 2>/dev/null | grep -c /dev/watchdog; true").strip()
    assert holders == "1"
    service = box_a.text("cat /run/service/watchdog/supervise/pid").strip()
    assert device in box_a.text(f"ls -l /proc/{service}/fd")


def test_random_pool_is_ready(box_a: Box, box_b: Box) -> None:
    """The kernel's random pool is ready, thanks to the seed that the box was given"""
    for box in (box_a, box_b):
        assert box.boot_facts()["seed"] == "credited"
        assert int(box.text("cat /proc/sys/kernel/random/entropy_avail")) >= 256


def test_seed_is_replaced(box_a: Box) -> None:
    """The seed that was used is gone, and a new one stands ready for the next boot"""
    assert box_a.text("ls /data/seedrng").split() == ["seed.credit"]
    assert box_a.text("stat -c '%a %s' /data/seedrng/seed.credit") == "400 32"


def test_boxes_differ(box_a: Box, box_b: Box) -> None:
    """Two boxes of the same image have different SSH host keys, IPsec keys and seeds"""
    for command in (
        "cat /run/cygnet/ssh-fingerprint",
        "ipsec showhostkey --left",
        "sha256sum </data/seedrng/seed.credit",
    ):
        one, two = (box.wait_for(command, lambda text: len(text.split()) > 0) for box in (box_a, box_b))
        assert one != two
        assert "No such file" not in one + two


def test_box_has_its_own_rsa_key(box_a: Box) -> None:
    """A box made an RSA key for IPsec at its first boot, which only root can read"""
    box_a.wait_for("stat -c '%a %u' /etc/ipsec.secrets", lambda text: text == "600 0")
    assert "leftrsasigkey=0s" in box_a.text("ipsec showhostkey --left")


def test_clock_is_sane(box_a: Box) -> None:
    """The clock is not before the image was made, and the time is kept on the data partition"""
    epoch = int(box_a.settings("/usr/lib/cygnet/image")["epoch"])
    now = int(box_a.text("date +%s"))
    assert now >= epoch
    saved, ceiling = (int(word) for word in box_a.text("cat /data/time").split())
    assert epoch <= saved <= now < ceiling
