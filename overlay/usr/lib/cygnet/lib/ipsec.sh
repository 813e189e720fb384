# shellcheck shell=sh
# When the box runs IPsec.

# The daemon costs memory, and nothing is forwarded until it is ready: only for who has a connection
# or a policy group.
wants_ipsec() {
	for _group in "$R/etc/ipsec.d/policies/"*; do
		[ ! -s "$_group" ] || return 0
	done
	[ -r "$R/etc/ipsec.conf" ] || return 1
	while read -r _section _name _ || [ -n "$_section" ]; do
		case $_section in
		include) return 0 ;;
		conn) [ "$_name" = %default ] || return 0 ;;
		esac
	done <"$R/etc/ipsec.conf"
	return 1
}
