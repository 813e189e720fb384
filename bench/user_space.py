"""What older user space costs on a newer CPU: `.venv/bin/python bench/user_space.py [armv7] [armv5] [cortex-a7]`.

The programs of two boards' images (`./inv build` made them) on the same emulated CPU, turn and turn about in one
run, by QEMU's user mode (Debian: qemu-user).  An emulator's times: floating point and NEON, which it computes step by
step, gain more on a real core than here.
"""

from __future__ import annotations

import shutil
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from builder.plan import Project  # noqa: E402
from builder.progress import Lines  # noqa: E402
from builder.settings import settings  # noqa: E402

ROUNDS = 5
WORK = """
import time
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa, x25519
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
DATA = bytes(1 << 19)
KEY = rsa.generate_private_key(65537, 1024)
ECDH = x25519.X25519PrivateKey.generate()
def aes():
    Cipher(algorithms.AES(bytes(16)), modes.CBC(bytes(16))).encryptor().update(DATA)
def sha256():
    one = hashes.Hash(hashes.SHA256()); one.update(DATA); one.finalize()
def rsa_sign():
    KEY.sign(b"x", padding.PKCS1v15(), hashes.SHA256())
def ecdh():
    ECDH.exchange(ECDH.public_key())
def integers():
    pow(3, (1 << 1024) - 5, (1 << 1024) - 3)
def floats():
    x = 1.0
    for n in range(40000):
        x = x * 1.0000001 + n / 3.0
def interpreter():
    sorted({str(n): n for n in range(20000)}.items())
for name, work in {"AES-CBC, 512 KiB": aes, "SHA-256, 512 KiB": sha256, "RSA-1024 signature": rsa_sign, "X25519": ecdh,
                   "1024-bit power": integers, "floating point": floats, "dictionary and sort": interpreter}.items():
    work()
    start = time.perf_counter(); work(); print(name, time.perf_counter() - start, sep="\\t")
"""


def main(boards: list[str], cpu: str) -> None:
    emulator = shutil.which("qemu-arm") or sys.exit("bench: qemu-arm is not installed: apt-get install qemu-user")
    images = settings().images
    project = Project(settings(), Lines())
    tools = project.engine().build((project.plan(boards[0]).tools,))["tools"]
    found: dict[str, dict[str, list[float]]] = {board: {} for board in boards}
    with tempfile.TemporaryDirectory() as folder:
        for board in boards:
            words = ["-q", "-n", "-d", f"{folder}/{board}", str(images / board / "rootfs.squashfs")]
            subprocess.run([str(tools / "usr/bin/unsquashfs"), *words], check=True)
        for _ in range(ROUNDS):
            for board in boards:
                root = f"{folder}/{board}"
                command = [emulator, "-cpu", cpu, "-L", root, f"{root}/usr/bin/python3.13", "-c", WORK]
                for line in subprocess.run(command, check=True, capture_output=True, text=True).stdout.splitlines():
                    name, seconds = line.split("\t")
                    found[board].setdefault(name, []).append(float(seconds))
    print(f"{'on ' + cpu:24}" + "".join(f"{board:>12}" for board in boards) + f"{'times':>9}")
    for name in found[boards[0]]:
        first, second = (statistics.median(found[board][name]) for board in boards)
        print(f"{name:24}{first * 1000:9.1f} ms{second * 1000:9.1f} ms{second / first:9.2f}")


if __name__ == "__main__":
    given = [*sys.argv[1:], *("armv7", "armv5", "cortex-a7")[len(sys.argv) - 1 :]]
    main(given[:2], given[2])
