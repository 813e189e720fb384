"""Files that mean harm: nothing but ConfError leaves the readers, and what is read stays bounded."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

import pytest
from conf_box import BOX, resolve
from cygnet.conf import ConfError, load, load_secrets
from cygnet.conf.error import MAX_PROBLEMS
from cygnet.conf.text import MAX_FILE, MAX_LINE
from cygnet.connection.connection import Connection
from cygnet.connection.secret import Secrets
from hypothesis import given, settings
from hypothesis import strategies as st

GOOD = "conn good\n\tleft=10.0.0.1\n\tright=10.12.12.1\n"
WORDS = st.sampled_from(
    [*"conn config setup version 2 include %default west left right also alsoflip = # \" ' : PSK RSA { } \n".split(" "), "\n", "\n\t", "\t", " ", "=%any",
     "10.0.0.1", "0x", "0s", "left=", "also=west", "Modulus:", "\0", "\udcff", "é", "%any", "@[", "@#", "ike=", "esp=", "-", "keylife=", "9" * 30]
)  # fmt: skip
TEXTS = st.lists(WORDS, max_size=60).map("".join).map(lambda text: text.encode("utf-8", "surrogateescape"))


@settings(max_examples=250, deadline=None)
@given(st.one_of(st.binary(max_size=300), TEXTS))
def test_any_bytes_give_a_result_or_conf_error(data):
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "ipsec.conf"
        path.write_bytes(data)
        path.chmod(0o600)
        try:
            found = load(path, BOX, resolve)
        except ConfError:
            pass
        else:
            assert all(isinstance(one, Connection) for one in found.connections.values())
        assert isinstance(load_secrets(path, resolve), Secrets)


def test_nul_bytes_make_a_file_no_text(read):
    with pytest.raises(ConfError, match="NUL"):
        read("version 2\n\0")
    assert "NUL" in read(f"version 2\ninclude bad.conf\n{GOOD}", bad="\0").problems[0]


def test_a_file_that_is_too_large_is_not_read(read):
    with pytest.raises(ConfError, match="larger than"):
        read("#" * (MAX_FILE + 1))
    found = read(f"version 2\ninclude big.conf\n{GOOD}", big="#" * (MAX_FILE + 1))
    assert "larger than" in found.problems[0]
    assert "good" in found.connections


def test_all_files_together_are_bounded(read):
    big = "#" * (MAX_LINE - 2) + "\n"
    text = "version 2\n" + "include big.conf\n" * 8 + GOOD
    found = read(text, big=big * (MAX_FILE // len(big)))
    assert "larger than" in found.problems[0]
    assert "good" in found.connections


def test_a_line_that_is_too_long_is_left_out(read):
    found = read(f"version 2\n{GOOD}\tleftid=@{'x' * MAX_LINE}\n\trekey=no\n")
    assert "longer than" in found.problems[0]
    assert not found.connections["good"].rekey


def test_includes_that_go_round_or_too_deep_end(read, tmp_path):
    found = read(f"version 2\ninclude a.conf\n{GOOD}", a="include b.conf\n", b="include a.conf\ninclude ipsec.conf\n")
    assert len([problem for problem in found.problems if "includes itself in the end" in problem]) == 2
    assert "good" in found.connections
    (tmp_path / "link.conf").symlink_to(tmp_path / "link.conf")
    deep = {f"n{number}": f"include n{number + 1}.conf\n" for number in range(15)}
    found = read(f"version 2\ninclude n0.conf\ninclude link.conf\n{GOOD}", **deep)
    assert "too deep" in found.problems[0]
    assert "link.conf" in found.problems[1]


def test_what_is_no_file_is_not_opened(read, tmp_path):
    os.mkfifo(tmp_path / "pipe.conf")
    (tmp_path / "folder.conf").mkdir()
    found = read(f"version 2\ninclude *.conf\ninclude {'x' * 300}\n{GOOD}")
    assert "good" in found.connections
    assert all(
        any(word in problem for word in ("no file", "includes itself", "too long", "no such"))
        for problem in found.problems
    )
    assert len(found.problems) == 4


def test_also_that_fans_out_or_nests_without_end_is_refused(read):
    chain = "".join(f"conn c{number}\n\talso=c{number + 1}\n" for number in range(100))
    wide = (
        "conn w\n"
        + "".join(f"\talso=w{number}\n" for number in range(500))
        + "".join(f"conn w{number}\n\tx-a=1\n" for number in range(500))
    )
    found = read(f"version 2\n{chain}{wide}{GOOD}")
    assert "good" in found.connections
    assert "more than 64 sections" in "".join(found.problems)
    assert any("more than 64 sections" in problem and '"w"' in problem for problem in found.problems)


def test_problems_are_not_listed_without_end(read):
    found = read("version 2\n" + "".join(f"conn c{number}\n\tnonsense{number}=1\n" for number in range(5000)) + GOOD)
    assert len(found.problems) == MAX_PROBLEMS + 1
    assert "not listed" in found.problems[-1]
    assert "good" in found.connections
