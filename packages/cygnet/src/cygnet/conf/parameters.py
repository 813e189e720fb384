"""Every parameter that a configuration may have, one row each: ipsec.conf(5) of FreeS/WAN 1.9x and 2.x, and those of
Super FreeS/WAN, Openswan and strongSwan that a user of this daemon needs.

A row: name (* stands for left and right), how its value is read, its default as one would write it, the field of
Connection, End or Setup that it sets ("" where it steers how those are made), and where it means nothing here, why.
"""

from __future__ import annotations

from dataclasses import dataclass

from cygnet.conf import hosts, values
from cygnet.conf.values import YES_NO, Reader, choice, duration, never, text, whole, yes_no
from cygnet.connection.connection import AuthBy, Auto, DpdAction, Shunt, Type


@dataclass(frozen=True)
class Parameter:
    """One row. ``old``: the default of 1.9x files where it is another; ``manual``: kept for manual keying."""

    name: str
    read: Reader
    default: str = ""
    sets: str = ""
    reason: str = ""
    old: str = ""
    manual: bool = False


def _table(*rows: Parameter) -> dict[str, Parameter]:
    """By the names that stand in a file."""
    return {row.name.replace("*", side): row for row in rows for side in ("left", "right")[: 1 + ("*" in row.name)]}


_P = Parameter
_AUTHBY = dict.fromkeys(("secret", "psk"), AuthBy.SECRET) | dict.fromkeys(("rsasig", "rsa", "pubkey"), AuthBy.RSASIG)
_AUTHBY |= {"secret|rsasig": AuthBy.EITHER, "rsasig|secret": AuthBy.EITHER, "never": AuthBy.NEVER}
_AUTO = {auto.value: auto for auto in Auto} | {"ondemand": Auto.ROUTE}
_DPD = {action.value: action for action in DpdAction} | {"restart_by_peer": DpdAction.RESTART, "%none": DpdAction.NONE}
_TYPE = {kind.value: kind for kind in Type} | {"pass": Type.PASSTHROUGH}
_SHUNT = {shunt.value: shunt for shunt in Shunt}
_SEND_CERT = {"never": "never", "no": "never", "always": "always", "yes": "always", "ifasked": "ifasked"}
_ESP_AH = choice({"esp": "esp", "ah": "ah"})
_IKEV1 = choice({"ike": 1, "ikev1": 1}, "only IKEv1 is spoken")
_RP_FILTER = choice({"%unchanged": None, "0": 0, "1": 1, "2": 2})
_KLIPS = "belongs to KLIPS, FreeS/WAN's own kernel part; the kernel's XFRM takes its place"
_OPPORTUNISTIC = "a conn says itself that it is opportunistic"

CONN = _table(
    _P("type", choice(_TYPE), "tunnel", "type"),
    _P("auto", choice(_AUTO), "ignore", "auto"),
    _P("authby", choice(_AUTHBY), "rsasig", "auth_by", old="secret"),
    _P("keyexchange", _IKEV1, "ike"),
    _P("ikev2", never("only IKEv1 is spoken"), "no"),
    _P("aggrmode", never("aggressive mode shows everyone a hash of the secret"), "no"),
    _P("auth", _ESP_AH, "esp"),
    _P("phase2", _ESP_AH, "esp"),
    _P("ike", text),
    _P("esp", text),
    _P("ah", text),
    _P("pfs", yes_no, "yes", "pfs"),
    _P("pfsgroup", text),
    _P("keylife", duration(24, 1), "8h", "key_life"),
    _P("ikelifetime", duration(8, 1), "1h", "ike_lifetime"),
    _P("rekey", yes_no, "yes", "rekey"),
    _P("rekeymargin", duration(24), "9m", "rekey_margin"),
    _P("rekeyfuzz", values.percent, "100%", "rekey_fuzz"),
    _P("keyingtries", values.tries, "%forever", "keying_tries", old="3"),
    _P("compress", yes_no, "no", "compress"),
    _P("failureshunt", choice(_SHUNT), "none", "failure_shunt"),
    _P("dnssec", yes_no, "no", "dnssec"),
    _P("dpdaction", choice(_DPD), "hold", "dpd_action"),
    _P("dpddelay", duration(24), "0s", "dpd_delay"),
    _P("dpdtimeout", duration(24, 1), "120s", "dpd_timeout"),
    _P("forceencaps", yes_no, "no", "force_encaps"),
    _P("fragmentation", choice({**YES_NO, "force": True, "accept": True}), "yes", "fragmentation"),
    _P("replay_window", whole(0, 4096), "32", "replay_window"),
    _P("mtu", whole(0, 65535), "0", "mtu"),
    _P("metric", whole(0, 0x7FFFFFFF), "0", "metric"),
    _P("mark", whole(0, 0xFFFFFFFF), "0", "mark"),
    _P("connaddrfamily", choice({"ipv4": 4, "ipv6": 6})),
    _P("*", hosts.host, "", "host"),
    _P("*subnet", hosts.subnet, "", "subnet"),
    _P("*subnetwithin", hosts.subnet, "", "subnet_within"),
    _P("*nexthop", hosts.nexthop, "%direct", "nexthop"),
    _P("*updown", text, "", "updown"),
    _P("*firewall", yes_no, "no", "firewall"),
    _P("*id", hosts.identity, "", "id"),
    _P("*rsasigkey", values.rsa_key, "%dnsondemand", "public_keys", old="%none"),
    _P("*rsasigkey2", values.rsa_key, "%none", "public_keys"),
    _P("*protoport", hosts.protoport, "%any", "protocol"),
    _P("*sourceip", hosts.source_ip, "", "source_ip"),
    _P("*cert", values.certificate, "", "cert"),
    _P("*ca", values.authority, "%any", "ca"),
    _P("*sendcert", choice(_SEND_CERT | {"sendifasked": "ifasked"}), "ifasked", "send_cert"),
    _P("*xauthserver", never("XAUTH is not supported"), "no"),
    _P("*xauthclient", never("XAUTH is not supported"), "no"),
    _P("*modecfgserver", never("mode config is not supported"), "no"),
    _P("*modecfgclient", never("mode config is not supported"), "no"),
    _P("overlapip", never("two peers cannot have one subnet at a time"), "no"),
    _P("sha2_truncbug", never("SHA-2 is cut to 128 bits as RFC 4868 has it"), "no"),
    _P("disablearrivalcheck", yes_no, "no", reason="the kernel always checks what comes out of a tunnel", old="yes"),
    _P("_plutodevel", text, reason="was for the developers of Pluto"),
    # Manual keying: kept as written.
    *(_P(name, text, manual=True) for name in ("spi", "spibase", "espenckey", "espauthkey", "ahkey")),
    *(_P(name, text, manual=True) for name in ("espreplay_window", "ahreplay_window")),
    *(_P(f"*{name}", text, manual=True) for name in ("espenckey", "espauthkey", "ahkey", "espspi", "ahspi")),
)
SETUP = _table(
    _P("interfaces", values.interfaces, "%defaultroute", "interfaces"),
    _P("myid", hosts.identity),
    _P("uniqueids", choice({**YES_NO, "keep": True, "replace": True}), "yes", "unique_ids", old="no"),
    _P("nat_traversal", yes_no, "yes", "nat_traversal"),
    _P("keep_alive", duration(1, 1), "20s", "keep_alive"),
    _P("forwardcontrol", yes_no, "no", "forward_control"),
    _P("rp_filter", _RP_FILTER, "0", "rp_filter"),
    _P("overridemtu", whole(0, 65535), "0", "override_mtu"),
    _P("syslog", text, "daemon.error", "syslog"),
    _P("plutodebug", values.words, "none", "debug"),
    _P("pluto", yes_no, "yes", "pluto"),
    _P("plutowait", yes_no, "no", "pluto_wait", old="yes"),
    _P("prepluto", text, "", "prepluto"),
    _P("postpluto", text, "", "postpluto"),
    _P("manualstart", values.words, "", "manual_start"),
    _P("strictcrlpolicy", yes_no, "no", "strict_crl"),
    _P("crlcheckinterval", duration(24), "0s", "crl_check_interval"),
    _P("nocrsend", yes_no, "no", "no_cr_send"),
    _P("ikeport", whole(1, 65535), "500", "port"),
    _P("plutoload", values.words, "%search"),
    _P("plutostart", values.words, "%search"),
    _P("virtual_private", text, reason="vhost: and vnet: would need it, and are not supported"),
    _P("klipsdebug", text, "none", reason=_KLIPS),
    _P("no_eroute_pass", yes_no, "no", reason=_KLIPS),
    _P("packetdefault", text, "drop", reason="what a route leads into ipsecN and no connection is for is rejected"),
    _P("fragicmp", yes_no, "yes", reason="the kernel always tells senders the size that fits"),
    _P("hidetos", yes_no, "yes", "hide_tos"),
    _P("opportunistic", yes_no, "no", reason=_OPPORTUNISTIC),
    _P("oe", yes_no, "no", reason=_OPPORTUNISTIC),
    _P("plutoopts", text, reason="the daemon is no Pluto and has other options"),
    _P("plutobackgroundload", yes_no, "no", reason="loading is always in the background"),
    _P("plutorestartoncrash", yes_no, "yes", reason="the system's supervisor restarts the daemon"),
    _P("plutostderrlog", text, reason="the log goes to syslog"),
    _P("plutostderrlogtime", yes_no, "no", reason="the log goes to syslog"),
    _P("dumpdir", text, reason="the daemon is in Python and leaves no core dumps"),
    _P("dump", text, "no", reason="the daemon is in Python and leaves no core dumps"),
    _P("force_keepalive", yes_no, "no", reason="keep-alives are sent wherever a NAT is found"),
    _P("disable_port_floating", never("RFC 3947 moves to port 4500"), "no"),
    _P("protostack", text, "netkey", reason="XFRM (netkey) is the only one"),
    _P("nhelpers", text, "0", reason="the daemon is one process"),
)
ALIASES = {
    "lifetime": "keylife",
    "salifetime": "keylife",
    "rekeystart": "rekeymargin",
    "rekeytries": "keyingtries",
    "phase2alg": "esp",
    "aggressive": "aggrmode",
    "replay-window": "replay_window",
    "ike_frag": "fragmentation",
}
TABLES = {"conn": CONN, "config": SETUP}
