"""The grammar of ipsec.conf(5): what a file's lines come to."""

from __future__ import annotations

from pathlib import Path

import pytest
from cygnet.conf import ConfError, load
from cygnet.connection.connection import Auto, HostKind, Type

ENDS = "\tleft=10.0.0.1\n\tright=10.12.12.1\n"


def test_comments_blank_lines_and_spaces_around_the_equals_sign_mean_nothing(read):
    found = read(
        "# a comment\n\nversion\t2.0\t# and another\n\nconn west  # named so\n"
        "    # indented comment\n\n\tleft = 10.0.0.1 # here\n\tright\t=\t10.12.12.1\n#a comment at the margin\n\trekey=no\n"
    )
    assert not found.problems
    assert found.series == 2
    assert not found.connections["west"].rekey


def test_a_sharp_sign_within_quotes_or_a_word_is_no_comment(read):
    found = read(f'version 2\nconn west\n{ENDS}\tleftupdown="/bin/up #1" # comment\n\trightid=@west#1\n')
    assert found.connections["west"].here.updown == "/bin/up #1"
    assert str(found.connections["west"].there.id) == "@west#1"


def test_a_file_without_version_has_the_defaults_of_1_9x(read):
    old, new = (read(f"{head}config setup\n\tsyslog=x\nconn west\n{ENDS}") for head in ("", "version 2\n"))
    west_old, west_new = old.connections["west"], new.connections["west"]
    assert (west_old.auth_by.value, west_old.keying_tries, old.setup.unique_ids) == ("secret", 3, False)
    assert (west_new.auth_by.value, west_new.keying_tries, new.setup.unique_ids) == ("rsasig", 0, True)
    assert (west_old.there.keys_from_dns, west_new.there.keys_from_dns) == (False, True)


@pytest.mark.parametrize("number", ["1", "3", "2.1", "", "two"])
def test_another_version_is_an_error_for_the_whole_file(read, number):
    with pytest.raises(ConfError, match="write version 2"):
        read(f"version {number}\nconn west\n{ENDS}")


def test_no_file_is_an_empty_configuration(tmp_path: Path):
    from conf_box import BOX

    found = load(tmp_path / "ipsec.conf", BOX)
    assert not found.connections
    assert "no such file" in found.problems[0]


def test_defaults_serve_where_a_conn_says_nothing(read):
    found = read(
        "version 2\nconn %default\n\tkeylife=1h\n\trekey=no\n\tauto=add\nconn %default\n\tcompress=yes\n"
        f"conn west\n{ENDS}\trekey=yes\n"
    )
    west = found.connections["west"]
    assert (west.key_life, west.rekey, west.compress, west.auto) == (3600, True, True, Auto.ADD)


def test_an_empty_value_is_the_system_default_even_over_percent_default(read):
    found = read(f"version 2\nconn %default\n\tkeylife=1h\nconn west\n{ENDS}\tkeylife=\n")
    assert found.connections["west"].key_life == 28800


@pytest.mark.parametrize("part_first", [True, False])
def test_also_appends_a_section_whichever_comes_first(read, part_first):
    part, west = "conn part\n\trightsubnet=10.2.0.0/16\n", f"conn west\n{ENDS}\talso=part\n"
    found = read("version 2\n" + (part + west if part_first else west + part))
    assert not found.problems
    assert list(found.connections) == ["west"]
    assert str(found.connections["west"].there.subnet) == "10.2.0.0/16"


@pytest.mark.parametrize("part_first", [True, False])
def test_alsoflip_appends_it_mirrored_and_twice_mirrored_is_as_it_was(read, part_first):
    parts = "conn east\n\tleftid=@east\n\tleft=10.12.12.1\n\talsoflip=nets\nconn nets\n\tleftsubnet=10.1.0.0/16\n"
    west = "conn west\n\tleft=10.0.0.1\n\talsoflip=east\n"
    found = read("version 2\n" + (parts + west if part_first else west + parts))
    assert not found.problems
    there, here = found.connections["west"].there, found.connections["west"].here
    assert (there.side, str(there.host), str(there.id), str(here.subnet)) == (
        "right",
        "10.12.12.1",
        "@east",
        "10.1.0.0/16",
    )


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("conn a\n\talso=b\nconn b\n\talso=a\n\tauto=add\n", "also=a: a loop, a -> b -> a"),
        ("conn a\n\talsoflip=a\n", "also=a: a loop, a -> a"),
        ("conn a\n\talso=nobody\n", "also=nobody: there is no conn of this name"),
        ("conn a\n\talso=officf\nconn office\n\tauto=ignore\n", "did you mean office?"),
        (
            "conn a\n\talso=b\n\talso=c\nconn b\n\talso=c\nconn c\n\trekey=no\n",
            "also=c: this section is appended twice",
        ),
        ("conn a\n\talso=b\n\trekey=no\nconn b\n\trekey=yes\n", "rekey has another value at"),
        ("conn a\n\talso=b\nconn b\n\trekkey=yes\n", "also=b: that conn has an error at"),
        ("conn a\n\trekey=no\n\trekey=no\n", "rekey stands here twice, see"),
        ("conn a\n\tlifetime=1h\n\tkeylife=2h\n", "keylife stands here twice"),
        ("conn a\n\tauthyb=secret\n", "there is no parameter authyb; did you mean authby?"),
        ("conn a\n\tinterfaces=eth0\n", "it belongs to config setup"),
        ("conn a\n\tthis is no parameter\n", "this is no parameter: name=value"),
        ('conn a\n\tleftid="@a\n', "this is no parameter"),
        ('conn a\n\tleftid="@a"b\n', "this is no parameter"),
        ("conn a\n\tleftid=one two\n", "must stand in double quotes"),
        ("conn a\n\tleftid=one\x07two\n", "characters that cannot be printed"),
        ("conn %default\n\talso=x\n", "also= and alsoflip= cannot stand in %default"),
        ("conn %default\n\tauthyb=secret\nconn a\n\tauto=add\n", "it needs conn %default, which has an error at"),
        ("conn a\n\tauto=ignore\nconn a\n\tauto=add\n", 'conn "a" is left out: there is one already, at'),
        ("conn\n", "is none: write config setup, conn %default, or conn and a name"),
        ("conn a b\n", "is none: write config setup, conn %default, or conn and a name"),
        ("conn 1a\n", "is none: write config setup, conn %default, or conn and a name"),
        ("config stetup\n", "config stetup is none: write config setup"),
        ("config setup\n\tpluto=yes\nconfig setup\n\tpluto=no\n", "there is one already"),
        ("config setup\n\talso=x\n", "also=x: there is no config of this name"),
        ("connn a\n", "'connn' begins no section"),
        ("\tleft=10.0.0.1\n", "this line is in no section"),
        ("conn a\n\tauto=ignore\nversion 2\n", "version 2 must stand before the first section"),
        ("include\n", "'include' begins no section"),
        ("include a b\n", "include takes one file name"),
        ("include nothing.conf\n", "there is no such file"),
    ],
)
def test_what_is_wrong_is_said_with_its_place_and_the_others_load(read, text, sentence):
    found = read(f"version 2\n{text}conn good\n{ENDS}\tkeylife=2h\n")
    assert any(sentence in problem and ".conf" in problem for problem in found.problems), found.problems
    assert ("good" in found.connections) == ("conn %default" not in text)


def test_a_wrong_line_of_config_setup_is_ignored_and_the_rest_holds(read):
    found = read("version 2\nconfig setup\n\tuniqids=no\n\tkeep_alive=never\n\tuniqueids=no\n")
    assert [problem.rpartition("; ")[2] for problem in found.problems] == ["the line is ignored"] * 2
    assert "did you mean uniqueids?" in found.problems[0]
    assert (found.setup.unique_ids, found.setup.keep_alive) == (False, 20)


def test_includes_are_found_beside_the_including_file_in_the_order_of_their_names(read, tmp_path: Path):
    folder = tmp_path / "more"
    folder.mkdir()
    for name in ("b", "a"):
        (folder / f"{name}.conf").write_text(f"conn {name}\n{ENDS}\talso=shared\n")
    (folder / "all").write_text("include *.conf\n")
    found = read("version 2\ninclude more/all  # all of them\nconn shared\n\trekey=no\n")
    assert not found.problems
    assert list(found.connections) == ["a", "b"]


def test_a_section_goes_on_after_an_include(read):
    found = read(f"version 2\nconn west\n{ENDS}include life.conf\n\trekey=no\n", life="\tkeylife=1h\n")
    assert (found.connections["west"].key_life, found.connections["west"].rekey) == (3600, False)


def test_errors_in_an_included_file_name_that_file(read):
    found = read("version 2\ninclude bad.conf\n", bad="conn a\n\tbad=1\n")
    assert "/bad.conf:2: " in found.problems[0]


def test_a_part_for_others_is_no_connection_but_a_whole_conn_that_lacks_an_end_is_a_problem(read):
    found = read(
        "version 2\nconn %default\n\tauto=add\nconn a\n\tleft=10.0.0.1\n\talso=b\nconn b\n\tright=10.9.9.9\nconn c\n\trekey=no\n"
    )
    assert list(found.connections) == ["a"]
    [problem] = found.problems
    assert 'it has no left=; conn "c" is left out' in problem


def test_the_implicit_conns_of_2_x_are_known_by_name_and_take_nothing_from_percent_default(read):
    found = read(
        "version 2\nconn %default\n\tkeylife=2h\nconn block\n\tauto=ignore\nconn us\n\talso=private-or-clear\n\tleftsubnet=10.1.0.0/16\n"
    )
    assert not found.problems
    us = found.connections["us"]
    assert us.there.kind is HostKind.OPPORTUNISTIC_GROUP
    assert (us.key_life, us.auto, us.rekey, us.keying_tries) == (3600, Auto.ROUTE, False, 3)
    assert list(found.connections) == ["us"]


@pytest.mark.parametrize(
    ("name", "kind", "there"),
    [
        ("clear", Type.PASSTHROUGH, HostKind.GROUP),
        ("clear-or-private", Type.PASSTHROUGH, HostKind.OPPORTUNISTIC_GROUP),
        ("private-or-clear", Type.TUNNEL, HostKind.OPPORTUNISTIC_GROUP),
        ("private", Type.TUNNEL, HostKind.OPPORTUNISTIC_GROUP),
        ("block", Type.REJECT, HostKind.GROUP),
        ("packetdefault", Type.TUNNEL, HostKind.OPPORTUNISTIC),
    ],
)
def test_each_implicit_conn_is_what_the_manual_says(read, name, kind, there):
    one = read(f"version 2\nconn mine\n\talso={name}\n").connections["mine"]
    assert (one.type, one.there.kind, one.auto) == (kind, there, Auto.ROUTE)


def test_a_1_9x_file_has_no_implicit_conns(read):
    assert "there is no conn of this name" in read("conn mine\n\talso=private\n").problems[0]


def test_names_that_begin_with_x_belong_to_the_user(read):
    found = read(f'version 2\nconn west\n{ENDS}\tx-note="any thing"\n\tX_y=1\n')
    assert "west" in found.connections
    assert not found.problems
