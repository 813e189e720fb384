"""Numbers of ISAKMP and IKEv1: RFC 2408 section 3, RFC 2409 appendix A, RFC 2407, RFC 3706, RFC 3947."""

from __future__ import annotations

import enum

DOI_IPSEC = 1
SIT_IDENTITY_ONLY = 1
VERSION = 0x10
ZERO_COOKIE = bytes(8)
FLAG_ENCRYPTED = 1
FLAG_COMMIT = 2
FLAGS_KNOWN = 7


class PayloadType(enum.IntEnum):
    """RFC 2408 section 3.1; 20 and 21 from RFC 3947; 132 is the fragment that Cisco began."""

    NONE = 0
    SA = 1
    PROPOSAL = 2
    TRANSFORM = 3
    KE = 4
    ID = 5
    CERT = 6
    CERT_REQUEST = 7
    HASH = 8
    SIGNATURE = 9
    NONCE = 10
    NOTIFY = 11
    DELETE = 12
    VENDOR = 13
    NAT_D = 20
    NAT_OA = 21
    FRAGMENT = 132


class Exchange(enum.IntEnum):
    """RFC 2408 section 3.1 and RFC 2409."""

    MAIN = 2
    AGGRESSIVE = 4
    INFORMATIONAL = 5
    TRANSACTION = 6
    QUICK = 32
    NEW_GROUP = 33


class Protocol(enum.IntEnum):
    """RFC 2407 section 4.4.1."""

    ISAKMP = 1
    AH = 2
    ESP = 3
    IPCOMP = 4


class Ike(enum.IntEnum):
    """Attributes of phase 1 (RFC 2409, appendix A)."""

    ENCRYPTION = 1
    HASH = 2
    AUTHENTICATION = 3
    GROUP = 4
    LIFE_TYPE = 11
    LIFE = 12
    KEY_LENGTH = 14


class Auth(enum.IntEnum):
    """Authentication methods of phase 1."""

    PRESHARED = 1
    RSA_SIGNATURE = 3


class Ipsec(enum.IntEnum):
    """Attributes of phase 2 (RFC 2407, section 4.5); 11 is ESN (RFC 4304)."""

    LIFE_TYPE = 1
    LIFE = 2
    GROUP = 3
    MODE = 4
    INTEGRITY = 5
    KEY_LENGTH = 6
    ESN = 11


class Mode(enum.IntEnum):
    """Encapsulation modes (RFC 2407 section 4.5, RFC 3947 section 5.1)."""

    TUNNEL = 1
    TRANSPORT = 2
    UDP_TUNNEL = 3
    UDP_TRANSPORT = 4


LIFE_SECONDS = 1
LIFE_KILOBYTES = 2
IKE_TRANSFORM = 1
IPCOMP_DEFLATE = 2


class Notify(enum.IntEnum):
    """RFC 2408 section 3.14.1, RFC 2407 section 4.6.3, RFC 3706."""

    INVALID_PAYLOAD_TYPE = 1
    INVALID_COOKIE = 4
    INVALID_MAJOR_VERSION = 5
    INVALID_EXCHANGE_TYPE = 7
    INVALID_MESSAGE_ID = 9
    NO_PROPOSAL_CHOSEN = 14
    BAD_PROPOSAL_SYNTAX = 15
    PAYLOAD_MALFORMED = 16
    INVALID_KEY_INFORMATION = 17
    INVALID_ID_INFORMATION = 18
    INVALID_CERTIFICATE = 20
    INVALID_HASH_INFORMATION = 23
    AUTHENTICATION_FAILED = 24
    INVALID_SIGNATURE = 25
    UNEQUAL_PAYLOAD_LENGTHS = 30
    CONNECTED = 16384
    RESPONDER_LIFETIME = 24576
    REPLAY_STATUS = 24577
    INITIAL_CONTACT = 24578
    R_U_THERE = 36136
    R_U_THERE_ACK = 36137


def notify_name(number: int) -> str:
    """The name of a notification, or its number."""
    try:
        return Notify(number).name
    except ValueError:
        return f"notification {number}"


CERT_X509_SIGNATURE = 4
# Vendor ids that mean something to us: RFC 3947 section 3.1, RFC 3706 section 5.1, and Cisco's fragmentation.
VENDOR_NAT_T = bytes.fromhex("4a131c81070358455c5728f20e95452f")
VENDOR_DPD = bytes.fromhex("afcad71368a1f1c96b8696fc77570100")
VENDOR_FRAGMENTATION = bytes.fromhex("4048b7d56ebce88525e7de7f00d6c2d3")
