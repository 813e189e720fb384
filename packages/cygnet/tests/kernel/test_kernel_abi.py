"""The layout of the kernel's structures, as C compilers laid them out from <linux/xfrm.h>.

Sizes and offsets were printed by a small program, built with zig cc for x86_64-linux-musl and x86-linux-musl; for
arm-linux-musleabi, mips-linux-musl and mipsel-linux-musl the compiler's constants are those of x86_64.
"""

import struct

import pytest
from cygnet.kernel import structs

SIZES = [
    ("xfrm_selector", structs.SELECTOR.size, 56),
    ("xfrm_id", structs.ID.size, 24),
    ("xfrm_lifetime_cfg", structs.LIFETIME.size, 64),
    ("xfrm_lifetime_cur", structs.CURRENT.size, 32),
    ("xfrm_stats", structs.STATS.size, 12),
    ("xfrm_usersa_id", structs.SA_ID.size, 24),
    ("xfrm_userpolicy_id", structs.POLICY_ID.size, 64),
    ("xfrm_user_tmpl", structs.TEMPLATE.size, 64),
    ("xfrm_encap_tmpl", structs.ENCAPSULATION.size, 24),
    ("xfrm_user_mapping", structs.MAPPING.size, 64),
    ("xfrm_algo", structs.ALGORITHM.size, 68),
    ("xfrm_algo_auth", structs.CHECKED_ALGORITHM.size, 72),
    ("xfrm_replay_state", structs.REPLAY.size, 12),
    ("xfrm_replay_state_esn", structs.REPLAY_ESN.size, 24),
    ("xfrm_mark", structs.MARK.size, 8),
    ("xfrm_usersa_info.curlft", structs.SA_CURRENT_AT, 160),
    ("xfrm_usersa_info.stats", structs.SA_STATS_AT, 192),
]
# Alignment of 64-bit fields: size of xfrm_usersa_info, xfrm_userpolicy_info, xfrm_user_expire.
WITH_U64 = {4: (220, 164, 224), 8: (224, 168, 232)}


@pytest.mark.parametrize(("ours", "theirs"), [row[1:] for row in SIZES], ids=[row[0] for row in SIZES])
def test_structures_are_as_large_as_the_compilers_say(ours: int, theirs: int) -> None:
    assert ours == theirs


@pytest.mark.parametrize("alignment", WITH_U64)
def test_structures_with_64_bit_fields_end_as_the_machine_aligns_them(alignment: int) -> None:
    def sized(bare: int) -> int:
        return bare + structs.abi_tail(bare, alignment)

    sa = sized(structs.SA_BARE)
    assert (sa, sized(structs.POLICY_BARE), sized(sa + 1)) == WITH_U64[alignment]


def test_this_machine_is_one_of_the_table() -> None:
    assert struct.calcsize("@BQ") - 8 == structs.U64_ALIGNMENT
    assert WITH_U64[structs.U64_ALIGNMENT][:2] == (structs.SA_SIZE, structs.POLICY_SIZE)
