"""wait-entropy: nothing goes on before the pool is ready, and who waits says so."""

from __future__ import annotations

from scratch import Box

AVAILABLE = "proc/sys/kernel/random/entropy_avail"


def test_a_ready_pool_lets_through_without_a_word(box: Box) -> None:
    box.write(AVAILABLE, "256\n")
    assert box.script("wait-entropy", "sshd").returncode == 0
    assert box.said == ""


def test_who_waits_says_so_until_the_pool_is_ready(box: Box) -> None:
    # Given a pool that is ready after the third second
    box.write(AVAILABLE, "12\n")
    box.write("dev/random", "x")
    box.write("proc/uptime", "4.38 0.00\n")
    (box.fakes / "sleep").unlink()
    box.fake("sleep", f'[ "$(grep -c sleep "$CYGNET_ROOT/calls")" -lt 3 ] || echo 256 >"$CYGNET_ROOT/{AVAILABLE}"')
    (box.fakes / "grep").symlink_to("/bin/grep")
    # when a service asks
    assert box.script("wait-entropy", "sshd").returncode == 0
    # then it was held for three seconds, and the console tells both ends of it.
    assert len(box.calls("sleep")) == 3
    assert "sshd waits for the kernel's random pool (12 of 256 bits)" in box.said
    assert "the random pool is ready; sshd waited" in box.said
