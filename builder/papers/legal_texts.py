"""The words that go with legal-info."""

README = """\
Cygnet {version}, board {board}: licences and source code
==========================================================

This folder goes with every box, or is offered to whoever got one. It holds the source code from which
the software on the box was made, complete, with what is needed to make it again, and the
terms under which each part may be used, changed and given on.

What is where
-------------
<package>/sources/    the source files as Debian publishes them, not touched
<package>/patches/    our own changes, in the order in which they are applied after Debian's
<package>/recipe/     how the package is configured, compiled and installed
<package>/licences/   licence texts out of the source, and Debian's account of them (debian-copyright)
{scripts}
                      the scripts that control compiling and put the image together: all of Cygnet itself
manifest.csv          every file here: package, version, licence (an SPDX expression), SHA-256. Its column
                      "in the image" says how the package got there: as files of its own (yes), as a part
                      of others' programs (linked in), or as what it names
tools.csv             the compilers and other programs that were run, with versions and hashes

Making the image again
----------------------
On a Debian 12 or 13 machine with network:
    tar --extract --file={scripts}
    cd cygnet-{version}
    ./inv build --board={board} --frozen

The sources are fetched from Debian's archive, where they can still be had; each is checked against its hash.
Where they have gone from there, put those of this folder into the cache by hand: as
~/.cache/cygnet/downloads/<SHA-256 of the file>/<name of the file>. The hashes stand in manifest.csv.
The result is the same image, byte by byte, if the tools are those of tools.csv.

To use changed software: change the sources through a patch in packages/<package>/patches, build, and write
the new image to the box.
"""

MISSING = "The sources of these parts of the image could not be had; without them this folder is not complete:"
