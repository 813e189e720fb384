# shellcheck shell=sh
# When the box runs IPsec, and the kernel settings that go with it.

# The daemon costs memory and turns forwarding on: only for who has a connection.
wants_ipsec() {
	[ -r "$R/etc/ipsec.conf" ] || return 1
	while read -r _section _name _ || [ -n "$_section" ]; do
		case $_section in
		include) return 0 ;;
		conn) [ "$_name" = %default ] || return 0 ;;
		esac
	done <"$R/etc/ipsec.conf"
	return 1
}

forward() {
	# A router listens to no other router's announcements unless told to (2): IPv6 on the WAN must go on.
	for _accept in "$R/proc/sys/net/ipv6/conf/"*/accept_ra; do
		! first_line "$_accept" || [ "$line" != 1 ] || echo 2 >"$_accept"
	done
	for _setting in net/ipv4/ip_forward net/ipv6/conf/all/forwarding; do
		[ ! -e "$R/proc/sys/$_setting" ] || echo 1 >"$R/proc/sys/$_setting"
	done
}

# All of the file again: the kernel takes ICMP redirects once more when forwarding is turned off.
forward_as_configured() {
	sysctl -e -q -p "$R/etc/sysctl.conf"
}
