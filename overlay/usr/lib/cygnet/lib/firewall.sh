# shellcheck shell=sh
# The firewall: which rules a boot loads, what stands in their place if they cannot be used, and forwarding, which
# goes with it. Python makes the rules and is too slow for a boot: the image brings those of the stock description,
# and `ipsec firewall --apply` leaves an administrator's, once confirmed, in /etc/cygnet/firewall.rules.

STOCK_RULES=$R/usr/lib/cygnet/firewall
OWN_RULES=$R/etc/cygnet/firewall.rules

# is_closed iptables|ip6tables: whether the kernel drops what no rule lets in or through, whoever told it to.
is_closed() {
	"$1" -w -S 2>/dev/null | {
		read -r _in && read -r _through && [ "$_in, $_through" = "-P INPUT DROP, -P FORWARD DROP" ]
	}
}

has_firewall() {
	is_closed iptables && is_closed ip6tables
}

# load_rules FOLDER. A file that was cut short may load and filter nothing, so the kernel is asked afterwards.
load_rules() {
	iptables-restore -w <"$1/rules.v4" && ip6tables-restore -w <"$1/rules.v6" && has_firewall
} 2>>"$R/dev/kmsg"

# both_ways INTERFACE MATCH BACK: a service of this box, and what it answers or asks.
both_ways() {
	echo "-A INPUT -i $1 $2 -j ACCEPT"
	echo "-A OUTPUT -o $1 $3 -j ACCEPT"
}

# closed_rules 4|6: loopback; SSH from the LAN; from the WAN IKE, ESP, AH and DHCP. Nothing is forwarded.
closed_rules() {
	printf '*%s\nCOMMIT\n' raw mangle nat
	printf '*filter\n:INPUT DROP\n:FORWARD DROP\n:OUTPUT DROP\n'
	both_ways lo "" ""
	# Neighbours and routers, without whom there is no IPv6.
	[ "$1" = 4 ] || for _type in 133 134 135 136; do
		both_ways + "-p icmpv6 --icmpv6-type $_type" "-p icmpv6 --icmpv6-type $_type"
	done
	[ -z "$LAN" ] || both_ways "$LAN" "-p tcp --dport 22" "-p tcp --sport 22"
	if [ -n "$WAN" ]; then
		both_ways "$WAN" "-p udp -m multiport --dports 500,4500" "-p udp -m multiport --sports 500,4500"
		both_ways "$WAN" "-p esp" "-p esp"
		both_ways "$WAN" "-p ah" "-p ah"
		[ "$1" = 6 ] || both_ways "$WAN" "-p udp --sport 67 --dport 68" "-p udp --sport 68 --dport 67"
	fi
	echo COMMIT
}

load_closed() {
	closed_rules 4 | iptables-restore -w && closed_rules 6 | ip6tables-restore -w && has_firewall
} 2>>"$R/dev/kmsg"

# Before any interface is up.
load_firewall() {
	_kind=stock _rules=$STOCK_RULES
	[ ! -e "$OWN_RULES" ] || _kind=own _rules=$OWN_RULES
	load_rules "$_rules" || {
		say "THE FIREWALL'S RULES IN ${_rules#"$R"} CANNOT BE USED: nothing is forwarded,"
		say "and the box answers nobody but SSH from the LAN and IPsec from the WAN. See box status."
		_kind=fallback
		load_closed || _kind=none
	}
	echo "$_kind" | replace_file "$STATE/firewall"
}

# forward: only with a firewall in force. The one place that turns it on.
forward() {
	has_firewall || { note "no firewall is in force: nothing is forwarded" && return 1; }
	# A router listens to no other router's announcements unless told to (2): IPv6 on the WAN must go on.
	for _accept in "$R/proc/sys/net/ipv6/conf/"*/accept_ra; do
		! first_line "$_accept" || [ "$line" != 1 ] || echo 2 >"$_accept"
	done
	for _setting in net/ipv4/ip_forward net/ipv6/conf/all/forwarding; do
		[ ! -e "$R/proc/sys/$_setting" ] || echo 1 >"$R/proc/sys/$_setting"
	done
}

# All of the file again: the kernel takes ICMP redirects once more when forwarding is turned off.
hold() {
	sysctl -e -q -p "$R/etc/sysctl.conf"
}
