# shellcheck shell=sh
# Is a string what it claims to be? For everything that comes from a network or
# from a file people edit. Only built-ins; no pattern lets a newline through.

# A plain decimal number of at most 11 digits (no sign, no octal look-alikes).
is_number() {
	case $1 in
	'' | *[!0-9]* | 0?*) return 1 ;;
	esac
	[ ${#1} -le 11 ]
}

is_ipv4() {
	case $1 in
	*[!0-9.]* | *.*.*.*.* | *. | '') return 1 ;;
	*.*.*.*) ;;
	*) return 1 ;;
	esac
	_rest=$1.
	while [ -n "$_rest" ]; do
		_octet=${_rest%%.*} _rest=${_rest#*.}
		[ ${#_octet} -le 3 ] && is_number "$_octet" && [ "$_octet" -le 255 ] || return 1
	done
}

# An address that one machine can have: not "this network", loopback, multicast or reserved.
is_host_ipv4() {
	is_ipv4 "$1" || return 1
	case $1 in
	0.* | 127.* | 22[4-9].* | 23?.* | 24?.* | 25?.*) return 1 ;;
	esac
}

is_prefix_length() {
	case $1 in
	[0-9] | [12][0-9] | 3[0-2]) ;;
	*) return 1 ;;
	esac
}

# address/length, as `ip address add` takes it.
is_host_prefix() {
	case $1 in
	*/*) is_host_ipv4 "${1%%/*}" && is_prefix_length "${1#*/}" && [ "${1#*/}" -gt 0 ] ;;
	*) return 1 ;;
	esac
}

is_interface() {
	case $1 in
	'' | *[!A-Za-z0-9._-]* | [.-]*) return 1 ;;
	esac
	[ ${#1} -le 15 ]
}

# A host or domain name of RFC 1123, without the trailing dot.
is_name() {
	case $1 in
	'' | *[!A-Za-z0-9.-]* | [.-]* | *[.-] | *..* | *.-* | *-.*) return 1 ;;
	esac
	[ ${#1} -le 253 ] || return 1
	_rest=$1.
	while [ -n "$_rest" ]; do
		_label=${_rest%%.*} _rest=${_rest#*.}
		[ ${#_label} -le 63 ] || return 1
	done
}

# A time zone as POSIX has it: CET-1CEST,M3.5.0,M10.5.0/3, <+0330>-3:30. No file's name.
is_time_zone() {
	case $1 in
	*[!A-Za-z0-9+,./:\<\>-]*) return 1 ;;
	\<*\>[-+0-9]*) ;;
	[A-Za-z][A-Za-z][A-Za-z]*)
		case ${1#"${1%%[!A-Za-z]*}"} in [-+0-9]*) ;; *) return 1 ;; esac
		;;
	*) return 1 ;;
	esac
	[ ${#1} -le 63 ]
}

is_server() {
	is_host_ipv4 "$1" && return 0
	# All digits and dots but no address: a typing error, not a name.
	case $1 in
	*[!0-9.]*) is_name "$1" ;;
	*) return 1 ;;
	esac
}

# every CHECK WORD...: each word passes, and there is at least one.
every() {
	_check=$1
	shift
	[ $# -gt 0 ] || return 1
	for _word in "$@"; do
		"$_check" "$_word" || return 1
	done
}
