"""`./inv buildroot build`: a board's image, made by the user's Buildroot.

What each board has in the cache, below buildroot/: ``BOARD.external``, the external tree, brought up to date each time;
``BOARD``, Buildroot's output folder; ``BOARD.menuconfig``, what the user chose in the menu beside what the board asks
for.  Downloads and ccache's files are shared.
"""

from __future__ import annotations

import fcntl
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from builder.boards import Board, load_board
from builder.buildroot import checkout, configuration, publish, sbom
from builder.buildroot.drive import STEP, Make, ended
from builder.buildroot.export import export
from builder.buildroot.output import Output, Record
from builder.buildroot.progress import Watch
from builder.buildroot.sources import fill
from builder.buildroot.tree import defconfig_name
from builder.errors import CygnetError, StepFailed
from builder.plan import Project
from builder.progress import Lines, Progress, progress
from builder.settings import settings
from builder.steps.step import hash_folder

FOLDER = "buildroot"


@dataclass(frozen=True)
class Build:
    """One board's build."""

    project: Project
    board: Board
    make: Make
    output: Output

    @property
    def shown(self) -> Progress:
        """What the user sees."""
        return self.project.progress

    @property
    def chosen(self) -> Path:
        """What the user chose in the menu."""
        return self.output.folder.with_name(f"{self.board.name}.menuconfig")


def build(board: str, place: str, menuconfig: bool, jobs: int) -> None:
    """See tasks.buildroot."""
    with Lines() if menuconfig else progress() as shown:
        project = Project(settings(), shown, jobs=jobs)
        this = _prepared(project, load_board(project.settings.boards, board), place)
        with _alone(this):
            export(project, this.make.external, (board,))
            make_image(this, menuconfig)


def make_image(this: Build, menuconfig: bool = False) -> Path:
    """Configure and build; where the image is."""
    config = configured(this)
    if menuconfig:
        _choose(this)
        config = configured(this)
    release = this.make.checkout.release.name
    this.output.check(release, config)
    info = this.make.show_info()
    _go_on(this, info)
    fill(sbom.read(info), this.make, this.project.settings.downloads)
    this.output.write(Record(release, config, _own_packages(this.make.external)))
    _run(this, info)
    image = publish.publish(this.project, this.board, this.make, this.output, info)
    this.shown.say(f"image: {image}")
    return image


def _prepared(project: Project, board: Board, place: str) -> Build:
    """The Buildroot found, and the folders for it."""
    found = checkout.find(place, project.settings)
    if found.release.warning:
        project.progress.say(f"warning: {found.release.warning}")
    folder = project.settings.cache / FOLDER
    output = Output(folder / board.name)
    output.folder.mkdir(parents=True, exist_ok=True)
    project.settings.logs.mkdir(parents=True, exist_ok=True)
    log = project.settings.logs / f"buildroot-{board.name}.log"
    external = folder / f"{board.name}.external"
    return Build(project, board, Make(found, external, output.folder, folder, log), output)


@contextmanager
def _alone(this: Build) -> Iterator[None]:
    """One build at a time in one output folder; a second one waits and says so."""
    with this.output.folder.with_name(f"{this.board.name}.lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            this.shown.say(f"another build uses {this.output.folder}; waiting for it")
            fcntl.flock(lock, fcntl.LOCK_EX)
        this.make.log.unlink(missing_ok=True)
        yield


def configured(this: Build) -> dict[str, str]:
    """Make Buildroot's .config: what the board asks for, what the user chose, what is this machine's."""
    defconfig = this.make.external / "configs" / defconfig_name(this.board.name)
    own = {"BR2_CCACHE": "y", "BR2_JLEVEL": str(this.project.jobs)}
    chosen = configuration.read(this.chosen.read_text()) if this.chosen.is_file() else {}
    asked = {**configuration.read(defconfig.read_text()), **own, **chosen}
    wanted = this.output.folder / "asked_defconfig"
    wanted.write_text(configuration.write(asked))
    this.make.run(f"BR2_DEFCONFIG={wanted}", "defconfig")
    got = configuration.read(this.output.config.read_text())
    if vanished := configuration.lost(asked, got):
        whose = defconfig.name if set(vanished) - chosen.keys() else str(this.chosen)
        raise CygnetError(
            f"Buildroot {this.make.checkout.release.name} does not take {configuration.words(vanished)} of {whose}: "
            f"it has no such options, or they need others; compare {wanted} with {this.output.config}"
        )
    return got


def _choose(this: Build) -> None:
    """Let the user choose in Buildroot's menu, and keep what is other than before."""
    before = _minimal(this)
    this.make.menuconfig()
    after, full = _minimal(this), configuration.read(this.output.config.read_text())
    changed = configuration.differences(before, after)
    if not changed:
        return
    chosen = configuration.read(this.chosen.read_text()) if this.chosen.is_file() else {}
    values = {name: full.get(name, configuration.OFF) for name in changed}
    this.chosen.write_text(configuration.write({**chosen, **values}))
    this.shown.say(f"what you chose is kept in {this.chosen}; without that file the board is as it was")


def _minimal(this: Build) -> dict[str, str]:
    """The symbols that somebody has to ask for."""
    file = this.output.folder / "minimal_defconfig"
    this.make.run(f"BR2_DEFCONFIG={file}", "savedefconfig")
    return configuration.read(file.read_text())


def _go_on(this: Build, info: Mapping[str, Any]) -> None:
    """Take back what of an earlier build cannot be gone on with."""
    for name in this.output.drop_half_patched(_folders(this.output, info).values()):
        this.shown.say(f"{name} was interrupted while it was unpacked: it is unpacked again")
    for name in this.output.changed(_own_packages(this.make.external)):
        for package in {name, f"host-{name}"} & info.keys():
            this.shown.say(f"{package} has changed: it is built again")
            this.make.run(f"{package}-dirclean")


def _own_packages(external: Path) -> dict[str, str]:
    """The hash of each package of the external tree."""
    return {place.name: hash_folder(place) for place in sorted(external.glob("package/*/"))}


def _folders(output: Output, info: Mapping[str, Any]) -> dict[str, Path]:
    """Where each package's stamps are; a file system image has none."""
    return {name: output.folder / one["stamp_dir"] for name, one in info.items() if "stamp_dir" in one}


def _run(this: Build, info: Mapping[str, Any]) -> None:
    watch = Watch(this.shown, _folders(this.output, info))
    status = this.make.follow(watch.line, "source", "all")
    watch.end()
    if status:
        name = f"{STEP}, {watch.failed}" if watch.failed else STEP
        raise StepFailed(name, f"make {ended(status)}", this.make.log, watch.tail)
