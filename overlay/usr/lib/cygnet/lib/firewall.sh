# shellcheck shell=sh
# The firewall: its rules at boot, what stands in their place if they cannot be used, and forwarding, which goes with
# it. Python makes rules from /etc/cygnet/firewall, and is too slow for a boot: those of the stock policy come with the
# image, and `ipsec firewall --apply` puts an administrator's, once confirmed, in the same place.

POLICY=$R/etc/cygnet/firewall
RULES=$R/etc/cygnet/firewall.rules

# is_closed iptables|ip6tables: whether the kernel drops what no rule lets in or through, whoever told it to.
is_closed() {
	"$1" -w -S 2>/dev/null | {
		read -r _in && read -r _through && [ "$_in, $_through" = "-P INPUT DROP, -P FORWARD DROP" ]
	}
}

has_firewall() {
	is_closed iptables && is_closed ip6tables
}

# A file that was cut short may load and filter nothing, so the kernel is asked afterwards.
load_rules() {
	iptables-restore -w <"$RULES/rules.v4" && ip6tables-restore -w <"$RULES/rules.v6" && has_firewall
} 2>>"$R/dev/kmsg"

# both_ways INTERFACE MATCH BACK: a service of this box, and what it answers or asks.
both_ways() {
	echo "-A to-box -i $1 $2 -j ACCEPT"
	echo "-A from-box -o $1 $3 -j ACCEPT"
}

# closed_rules 4|6: loopback; SSH from the LAN; on the WAN IKE, ESP, AH and DHCP. Nothing is forwarded. The chains have
# the names that a policy's have, which may be loaded over them.
closed_rules() {
	printf '*raw\n:sources -\n-A PREROUTING -j sources\nCOMMIT\n*mangle\n:arriving -\n:passing -\n:leaving -\n'
	printf -- '-A INPUT -j arriving\n-A FORWARD -j passing\n-A OUTPUT -j leaving\nCOMMIT\n'
	printf '*nat\n:forwards -\n:masquerade -\n-A PREROUTING -j forwards\n-A POSTROUTING -j masquerade\nCOMMIT\n'
	printf '*filter\n:INPUT DROP\n:FORWARD DROP\n:OUTPUT DROP\n:to-box -\n:through -\n:from-box -\n'
	printf -- '-A INPUT -j to-box\n-A FORWARD -j through\n-A OUTPUT -j from-box\n'
	both_ways lo "-m comment --comment closed-fallback" ""
	# Neighbours and routers, without whom there is no IPv6.
	[ "$1" = 4 ] || for _type in 133 134 135 136; do
		both_ways + "-p ipv6-icmp --icmpv6-type $_type" "-p ipv6-icmp --icmpv6-type $_type"
	done
	[ -z "$LAN" ] || both_ways "$LAN" "-p tcp --dport 22" "-p tcp --sport 22"
	if [ -n "$wan" ]; then
		both_ways "$wan" "-p udp -m multiport --dports 500,4500" "-p udp -m multiport --sports 500,4500"
		both_ways "$wan" "-p esp" "-p esp"
		case $1 in
		4) both_ways "$wan" "-p ah" "-p ah" && both_ways "$wan" "-p udp --dport 68" "-p udp --dport 67" ;;
		6) both_ways "$wan" "-m ah" "-m ah" ;;
		esac
	fi
	echo COMMIT
}

load_closed() {
	closed_rules 4 | iptables-restore -w && closed_rules 6 | ip6tables-restore -w && has_firewall
} 2>>"$R/dev/kmsg"

# Before any interface is up. Fails, having said why, if the rules are not those that should be.
load_firewall() {
	load_rules && return 0
	if load_closed; then
		say "THE FIREWALL'S RULES IN /etc/cygnet/firewall.rules CANNOT BE USED: nothing is forwarded, and nobody"
		say "is answered but SSH from the LAN and IPsec on the WAN. Mend it by: ipsec firewall --apply --confirm"
	else
		say "NO FIREWALL CAN BE LOADED: nothing is forwarded. box log says why."
	fi
	return 1
}

# Whether the rules are made from something else than what stands in /etc/cygnet now.
is_stale() {
	complain=: && read_network
	_now=$({
		cat "$POLICY" 2>/dev/null
		printf 'WAN=%s\nLAN=%s\nWAN_ADDRESS=%s\nLAN_ADDRESS=%s\n' "$WAN" "$LAN" "$WAN_ADDRESS" "$LAN_ADDRESS"
		for _lan in ${lans#LAN}; do
			lan_settings "$_lan"
			printf '%s=%s\n%s_ADDRESS=%s\n' "$_lan" "$lan_link" "$_lan" "$lan_address"
		done
	} | sha256sum)
	first_line "$RULES/rules.v4"
	[ "$line" != "# from: ${_now%% *}" ]
}

# A changed /etc/cygnet/network changes what the policy means, and is followed; a changed policy waits until it is
# applied.
follow_network() {
	cmp -s "$POLICY" "$RULES/firewall" && is_stale || return 0
	note "the firewall follows /etc/cygnet/network"
	ipsec firewall --apply --confirm >>"$R/dev/kmsg" 2>&1 || note "it could not; see box status"
}

# Only with a firewall in force. The one place that turns it on.
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
