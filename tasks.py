"""The tasks of ./inv: thin, each one call into builder/.

`./inv --list` shows all of them, `./inv --help TASK` one.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import ParamSpec

from invoke.context import Context
from invoke.exceptions import Exit
from invoke.tasks import task

from builder import commands, site_tasks
from builder.buildroot import tasks as buildroot_tasks
from builder.errors import CygnetError, Interrupted
from builder.flash.options import Console, Options
from builder.full_disk import FULL
from builder.interrupts import terminated_is_interrupted
from builder.operands import TaskWithFiles

DEFAULT_BOARD = "pc486"
BOARD = {"board": "which board: see ./inv boards"}
JOBS = {"jobs": "how many cores to keep busy (default: all)"}
SITE = {"site": "the site file that describes the box: docs/site.md"}
FROZEN = {"frozen": "refuse when a locked source version has gone from the mirror, instead of taking the next"}
P = ParamSpec("P")


def told(function: Callable[P, None]) -> Callable[P, None]:
    """Turn an error that is meant for the user into one sentence and status 1 (130 after Ctrl-C or SIGTERM)."""

    @functools.wraps(function)
    def wrapper(*args: P.args, **kwargs: P.kwargs) -> None:
        try:
            with terminated_is_interrupted():
                function(*args, **kwargs)
        except (Interrupted, KeyboardInterrupt):
            raise Exit(str(Interrupted()), code=130) from None
        except CygnetError as error:
            raise Exit(f"error: {error}", code=1) from None
        except OSError as error:
            if error.errno not in FULL:
                raise
            where = f"{error.filename}: " if error.filename else ""
            raise Exit(f"error: {where}{error.strerror}; make room, then give the same command again", code=1) from None

    return wrapper


@task
@told
def boards(_: Context) -> None:
    """Show the boards: CPU, console, size budget, and which have an image."""
    commands.boards()


@task
@told
def packages(_: Context) -> None:
    """Show the packages: version, licence, size on each board."""
    commands.packages()


@task(help={**BOARD, "package": "only this package and what it needs", **SITE, **FROZEN, **JOBS})
@told
def build(
    _: Context, board: str = DEFAULT_BOARD, package: str = "", site: str = "", frozen: bool = False, jobs: int = 0
) -> None:
    """Build a board's image into images/BOARD/, or one package for it; with --site also the box of that site file.

    The box's image is images/BOARD/boxes/NAME.img, readable by you only: the secrets that the site names are in it.
    What was built before is taken from the cache; an interrupted build goes on where it stopped.
    CYGNET_CACHE names another cache directory, CYGNET_MIRROR another Debian mirror.
    """
    commands.build(board, package, frozen, jobs, site)


@task(help=BOARD)
@told
def boot(_: Context, board: str = DEFAULT_BOARD) -> None:
    """Boot a board's image in QEMU, its serial console here; Ctrl-A X leaves.

    The box keeps what it writes in images/BOARD/boot.img until the next build.
    """
    commands.boot(board)


@task(help={**BOARD, "name": "what the box is called: letters, digits and hyphens"})
@told
def box(_: Context, name: str, board: str = DEFAULT_BOARD) -> None:
    """Make one box's image, with a random seed of its own: images/BOARD/boxes/NAME.img.

    Only you can read it: whoever has the seed knows what the box's first keys were made from.
    """
    commands.box(board, name)


@task(
    help={
        **BOARD,
        "to": "what is written: a card's block device, a plain file, or a serial console (serial:/dev/ttyUSB0)",
        "image": "the image (default: the board's last one, images/BOARD/)",
        "keep-data": "leave what the box's data partition holds",
        "yes": "do not ask",
        "any-size": "take a disk larger than a card, too",
        "fixed-disk": "take a disk that is not removable, too",
        "address": "console: the board's address while it is flashed (default: 192.168.77.1/24)",
        "server": "console: this machine's address in that network, where the board loads from",
        "gateway": "console: the board's router, where one is between",
        "seen-as": "console: where the board's packets come from, behind NAT (QEMU's user network: 127.0.0.1)",
        "ymodem": "console: everything over the serial line, without a network",
        "speed": "console: the line's speed in bit/s (default: the board's console's)",
        "reboot": "console: restart a Linux that runs on the board",
        "only-start": "console: write nothing, start the box and wait until it is up",
        "mac": "console, comBIOS: the board's Ethernet address (default: whoever asks first by PXE)",
    }
)
@told
def flash(
    _: Context,
    to: str,
    board: str = DEFAULT_BOARD,
    image: str = "",
    keep_data: bool = False,
    yes: bool = False,
    any_size: bool = False,
    fixed_disk: bool = False,
    address: str = Console.address,
    server: str = "",
    gateway: str = "",
    seen_as: str = "",
    ymodem: bool = False,
    speed: int = 0,
    reboot: bool = False,
    only_start: bool = False,
    mac: str = "",
) -> None:
    """Put a board's image on a card in a reader or into a file, or on a board behind its serial console.

    An image for another board is refused, as is a disk that is in use, not removable or larger than 64 GiB. Shows what
    will be overwritten and asks; reads back what was written. The same command goes on where another was interrupted.
    """
    console = Console(address, server, gateway, seen_as, ymodem, speed, reboot, only_start, mac)
    commands.flash(board, image, to, Options(keep_data, yes, any_size, fixed_disk, console))


@task(
    optional=["open"],
    help={
        "table": "the CSV file: a row is a box; columns name, hub, address, lan, and the template's own",
        "template": "the template of their site.toml",
        "to": "the folder that they are made in, and kept",
        "new-key": "make the operator's key in this file: it seals and opens all others (first run only)",
        "key": "the operator's key, for --open; what is asked for is its passphrase",
        "open": "lay open the secrets of these boxes (a,b; alone: of all) until the next run without it",
        "pool": "a folder of RSA keys made before (PEM), which are taken out of it first",
        "image": "also a box's image, NAME/NAME.img, from this stock image, for each box that --open names",
        "scheduler": "make keys on the Dask cluster at this address, such as tcp://10.0.0.5:8786",
        **JOBS,
    },
)
@told
def fleet(
    _: Context,
    table: str,
    template: str,
    to: str,
    new_key: str = "",
    key: str = "",
    open: str = "",
    pool: str = "",
    image: str = "",
    scheduler: str = "",
    jobs: int = 0,
) -> None:
    """Make many boxes from a table and a template: site files, tunnels between hub and spokes, keys.

    Each key is made once and kept, sealed for the operator. What is there already and right is not touched, so the
    same command goes on after an interruption, and adds the boxes of new rows. docs/fleet.md has it step by step.
    """
    commands.fleet(table, template, to, new_key, key, open, pool, image, scheduler, jobs)


@task(help={"image": "a stock image, such as images/pc486/disk.img", **SITE, "to": "the box's image to be written"})
@told
def provision(_: Context, image: str, site: str, to: str = "") -> None:
    """Make the box of a site file from a stock image: the same as build --site, in a second or two.

    Only the data partition is written; all else is copied and compared with the hash in the image's header. Which board
    it is stands there, too. Without --to the image is images/BOARD/boxes/NAME.img; readable by you only, as it holds
    the secrets that the site names.
    """
    commands.provision(image, site, to)


@task(
    positional=["action"],
    help={
        "action": "export or build",
        "board": "which board: see ./inv boards (export: without one, all of them)",
        "out": "export: the folder that becomes the external tree",
        "buildroot": "build: a checkout of Buildroot or its release tarball (default: CYGNET_BUILDROOT)",
        "menuconfig": "build: choose in Buildroot's menu first; what you choose is kept",
        **JOBS,
    },
)
@told
def buildroot(
    _: Context,
    action: str,
    board: str = "",
    out: str = "",
    buildroot: str = "",
    menuconfig: bool = False,
    jobs: int = 0,
) -> None:
    """Have Buildroot build the same boards: docs/buildroot.md.

    export: write boards, packages and overlay as a BR2_EXTERNAL tree. build: run Buildroot on them, out of tree; the
    image is put into images/BOARD/ in the same form as that of ./inv build. The same command goes on where it stopped.
    """
    buildroot_tasks.run(action, board or (DEFAULT_BOARD if action == "build" else ""), out, buildroot, menuconfig, jobs)


SMOKE = {
    "peer": "the other box's board (default: the same)",
    "site": "accept the box of this site file instead; may be given twice",
    "image": "a stock image that is there already, fetched or made by Buildroot; nothing is built",
    "junit": "write the report to this file, too",
}


@task(help={**BOARD, **SMOKE, **FROZEN, **JOBS}, iterable=["site"])
@told
def smoke(
    _: Context,
    board: str = DEFAULT_BOARD,
    peer: str = "",
    site: list[str] | None = None,
    image: str = "",
    junit: str = "",
    frozen: bool = False,
    jobs: int = 0,
) -> None:
    """Build a board, boot two boxes of it in QEMU and run the acceptance tests on them.

    With --peer one box is of another board, and the tests are those of two boxes on a wire. Ends with what was
    proved, one line a test, and where the image is. JUnit XML and the consoles' logs are in images/BOARD/acceptance/.
    With --site the box of a site file is booted (of two site files both, their WANs on one wire), and is asked whether
    it is what the file says: files, addresses, firewall, ipsec.conf, services; all is in images/BOARD/sites/ then.
    """
    status = commands.smoke(board, peer, site or [], image, junit, frozen, jobs)
    if status:
        raise Exit(code=status)


@task(
    positional=["action", "file", "other"],
    klass=TaskWithFiles,
    help={
        "action": "new, check, show, diff or schema",
        "file": "the site file; of schema: where to write it",
        "other": "with diff: the second file",
        "kind": "with new: branch-office, hub, road-warrior-gateway or opportunistic-home",
    },
)
@told
def site(_: Context, action: str, file: str, other: str = "", kind: str = "") -> None:
    """Begin, check and look at a site file, which describes a box: docs/site.md.

    new: a commented file of a --kind. check: what is wrong, with file and line. show: the files that the box gets.
    diff: what differs on the boxes of two files. schema: the format's JSON schema, for editors.
    """
    site_tasks.run(action, file, other, kind)


@task(help={**BOARD, **FROZEN, **JOBS})
@told
def check(_: Context, board: str = DEFAULT_BOARD, frozen: bool = False, jobs: int = 0) -> None:
    """Build a board and look at its image without accepting a box: what a board without a twin can be told of.

    Which instructions it holds; which slot its boot loader takes; kernel and volumes for bare flash, read back by
    programs that did not write them. Ends as smoke does; JUnit XML is in images/BOARD/check/.
    """
    status = commands.check(board, frozen, jobs)
    if status:
        raise Exit(code=status)


@task(help={"only": "run only tests whose name holds this word (as pytest -k)", **JOBS})
@told
def test(_: Context, only: str = "", jobs: int = 0) -> None:
    """Run every test of the project: linters, builder, overlay, image, acceptance in QEMU.

    Builds what is missing first. The last line is the test runner's summary.
    """
    status = commands.test(only, jobs)
    if status:
        raise Exit(code=status)


@task
@told
def lint(_: Context) -> None:
    """Check style (ruff) and types (mypy, strict)."""
    status = commands.lint()
    if status:
        raise Exit(code=status)


@task(help={"minutes": "how long, all targets together (default: 10; 0: until Ctrl-C)"})
@told
def fuzz(_: Context, minutes: str = "10") -> None:
    """Throw made-up packets at the keying daemon, guided by what they reach (atheris).

    Goes on where the last run stopped; an input that fails is kept in the cache and named.
    """
    commands.fuzz(minutes)


@task
@told
def manual(_: Context) -> None:
    """Make the manual pages of the ipsec commands, in images/man: man -M images/man ipsec_auto."""
    commands.manual()


@task(help=BOARD)
@told
def size(_: Context, board: str = DEFAULT_BOARD) -> None:
    """Show where an image's bytes went: a table here, a picture in images/BOARD/size.html."""
    commands.size(board)


@task(help=BOARD)
@told
def sbom(_: Context, board: str = DEFAULT_BOARD) -> None:
    """Write an image's bill of materials: images/BOARD/sbom.json (CycloneDX)."""
    commands.sbom(board)


@task(name="legal-info", help=BOARD)
@told
def legal_info(_: Context, board: str = DEFAULT_BOARD) -> None:
    """Collect what whoever ships a box gives along: licence texts and corresponding sources.

    Into images/BOARD/legal-info/, with a manifest and a README.
    """
    commands.legal_info(board)


@task(help=BOARD)
@told
def graph(_: Context, board: str = DEFAULT_BOARD) -> None:
    """Draw what depends on what and where build time went: images/BOARD/graph.svg."""
    commands.graph(board)


@task(help={**BOARD, "package": "the package to ask about"})
@told
def why(_: Context, package: str, board: str = DEFAULT_BOARD) -> None:
    """Say why a package would be built again: what changed since it was last made."""
    commands.why(board, package)


@task(help={"package": "only this package's source, or this Debian package of the tools tree"})
@told
def lock(_: Context, package: str = "") -> None:
    """Lock the newest version of every source and tool that can be had whole today.

    Writes packages/sources.lock and builder/tools/tools.lock; look at the difference before committing it.
    """
    commands.lock(package)


@task
@told
def requirements(_: Context) -> None:
    """Write requirements.txt, with hashes, from requirements.in."""
    commands.requirements()


@task(help={"everything": "the cache too: downloads, store, tools tree"})
@told
def clean(_: Context, everything: bool = False) -> None:
    """Remove images/ and what the cache holds for no longer used inputs; with --everything, all of the cache."""
    commands.clean(everything)
