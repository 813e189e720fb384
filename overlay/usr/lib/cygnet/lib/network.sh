# shellcheck shell=sh
# /etc/cygnet/network: read strictly (never sourced), and turned into one batch
# of `ip` commands. A line that is wrong is named and its default stays, so that
# a typing error leaves a box that can still be reached.

NETWORK_FILE=$R/etc/cygnet/network
LEASES_FILE=$R/etc/cygnet/leases
# How a mistake in it is told: "say" at boot, to the log when a service reads it again.
complain=note

# Sets `list` to comma-separated text as words; values reach it only after a check of each word.
words_of() {
	list='' _rest_words=$1,
	while [ -n "$_rest_words" ]; do
		list="$list ${_rest_words%%,*}" _rest_words=${_rest_words#*,}
	done
}

# is_list CHECK TEXT: comma-separated, every item passes.
is_list() {
	case $2 in
	*[!A-Za-z0-9.,-]* | ,* | *, | *,,*) return 1 ;;
	esac
	words_of "$2"
	# shellcheck disable=SC2086 # only letters, digits, dots and hyphens are left
	every "$1" $list
}

is_range() {
	case $1 in
	*-*) is_host_ipv4 "${1%%-*}" && is_host_ipv4 "${1#*-}" ;;
	*) return 1 ;;
	esac
}

# An interface, or a VLAN on one: eth0.7.
is_link() {
	is_interface "$1" || return 1
	case $1 in
	*.*.*) return 1 ;;
	*.*) is_number "${1#*.}" && [ "${1#*.}" -ge 1 ] && [ "${1#*.}" -le 4094 ] ;;
	esac
}

is_wan_address() {
	case $1 in dhcp | none | pppoe) ;; *) is_host_prefix "$1" ;; esac
}

is_lan_address() {
	[ "$1" = none ] || is_host_prefix "$1"
}

is_servers() {
	is_list is_host_ipv4 "$1"
}

# "off" is a name like any other here.
is_time_servers() {
	is_list is_server "$1"
}

# Who checks the signatures of the DNS: unbound, where the image has it, or the servers that DNS names.
is_dnssec() {
	case $1 in
	box) [ -x "$R/usr/sbin/unbound" ] ;;
	servers) ;;
	*) return 1 ;;
	esac
}

# host[:port]
is_log_server() {
	case $1 in
	*:*) is_number "${1#*:}" && [ "${1#*:}" -ge 1 ] && [ "${1#*:}" -le 65535 ] || return 1 ;;
	esac
	is_server "${1%%:*}"
}

# network_setting KEY VALUE: takes it over, or sets `expected` and fails.
network_setting() {
	case $1 in
	WAN | LAN | LAN[2-8]) _check_value=is_link expected="an interface name, or one with a VLAN of 1 to 4094: eth0.7" ;;
	WAN_ADDRESS) _check_value=is_wan_address expected="dhcp, pppoe, none or address/prefix length" ;;
	LAN_ADDRESS | LAN[2-8]_ADDRESS) _check_value=is_lan_address expected="none or address/prefix length" ;;
	WAN_GATEWAY) _check_value=is_host_ipv4 expected="an IPv4 address" ;;
	LAN_DHCP | LAN[2-8]_DHCP) _check_value=is_range expected="first-last IPv4 address" ;;
	DNS) _check_value=is_servers expected="IPv4 addresses, comma between" ;;
	DNSSEC) _check_value=is_dnssec expected="box, which needs an image with unbound, or servers" ;;
	DOMAIN) _check_value=is_name expected="a domain name" ;;
	NTP) _check_value=is_time_servers expected="names or IPv4 addresses, comma between, or off" ;;
	SYSLOG) _check_value=is_log_server expected="a name or IPv4 address, :port after it if it is not 514" ;;
	*) expected="one of WAN WAN_ADDRESS WAN_GATEWAY LAN LAN_ADDRESS LAN_DHCP (LAN2 to LAN8 too) DNS DNSSEC DOMAIN NTP SYSLOG before the =" && return 1 ;;
	esac
	case $1=$2 in
	*_ADDRESS=) return 1 ;;
	*=) ;;
	*) "$_check_value" "$2" || return 1 ;;
	esac
	eval "$1=\$2"
}

# Sets lan_link, lan_address and lan_range to what LAN, LAN2 ... LAN8 says.
lan_settings() {
	eval "lan_link=\$$1 lan_address=\$${1}_ADDRESS lan_range=\$${1}_DHCP"
}

# Sets WAN ... SYSLOG; `wan` to the interface that has the WAN's address; `lans` to those of LAN ... LAN8 that there
# are. Fails, having said why, if any line was wrong.
read_network() {
	WAN=eth0 WAN_ADDRESS=dhcp WAN_GATEWAY='' LAN=eth1 LAN_ADDRESS=192.168.77.1/24
	LAN_DHCP='' DNS='' DNSSEC='' DOMAIN='' NTP='' SYSLOG='' _number=0 _wrong=0
	for _lan in 2 3 4 5 6 7 8; do
		eval "LAN$_lan='' LAN${_lan}_ADDRESS=none LAN${_lan}_DHCP=''"
	done
	read_settings
	# Whom DHCP names is whoever answered first.
	[ "$DNSSEC" != servers ] || [ -n "$DNS" ] || {
		$complain "$NETWORK_FILE: DNSSEC=servers believes those that DNS names, and it names none: nobody is believed"
		DNSSEC='' _wrong=1
	}
	wan=$WAN
	[ "$WAN_ADDRESS" != pppoe ] || [ -z "$WAN" ] || wan=ppp0
	find_lans
	return $_wrong
}

read_settings() {
	[ -r "$NETWORK_FILE" ] || { $complain "$NETWORK_FILE is missing: defaults are used" && _wrong=1 && return; }
	while IFS= read -r _setting || [ -n "$_setting" ]; do
		_number=$((_number + 1))
		case $_setting in
		'' | '#'*) continue ;;
		*=*) network_setting "${_setting%%=*}" "${_setting#*=}" && continue ;;
		*) expected="KEY=VALUE" ;;
		esac
		# Not the text itself: it may hold anything, and this goes to a terminal.
		$complain "$NETWORK_FILE, line $_number: expected $expected; the default is used"
		_wrong=1
	done <"$NETWORK_FILE"
}

# Two of one interface would have two DHCP servers: the later one is not used.
find_lans() {
	lans=${LAN:+LAN} _links=" $WAN $LAN "
	for _lan in LAN2 LAN3 LAN4 LAN5 LAN6 LAN7 LAN8; do
		lan_settings $_lan
		[ -n "$lan_link" ] || continue
		case $_links in
		*" $lan_link "*)
			$complain "$NETWORK_FILE: $_lan has an interface that another one has; it is not used"
			eval "$_lan=''" && _wrong=1
			;;
		*) lans="$lans $_lan" _links="$_links$lan_link " ;;
		esac
	done
}

has_interface() {
	[ -n "$1" ] && [ -e "$R/sys/class/net/$1" ]
}

# The VLANs of WAN and LANs, on interfaces that there are.
make_vlans() {
	for _lan in WAN $lans; do
		eval "_link=\$$_lan"
		case $_link in *.*) ;; *) continue ;; esac
		has_interface "${_link%.*}" && ! has_interface "$_link" || continue
		printf 'link set dev %s up\nlink add link %s name %s type vlan id %s\n' \
			"${_link%.*}" "${_link%.*}" "$_link" "${_link#*.}" | ip -force -batch - >>"$R/dev/kmsg" 2>&1
	done
}

# Commands for `ip -batch` that bring up one interface with a fixed address, or without.
plan_interface() {
	echo "link set dev $1 up"
	case $2 in
	dhcp | none | pppoe) ;;
	*) echo "address replace $2 brd + dev $1" ;;
	esac
}

plan_network() {
	echo "link set dev lo up"
	if has_interface "$WAN"; then
		plan_interface "$WAN" "$WAN_ADDRESS"
		case $WAN_ADDRESS in
		dhcp | none | pppoe) ;;
		*) [ -z "$WAN_GATEWAY" ] || echo "route replace default via $WAN_GATEWAY dev $WAN onlink" ;;
		esac
	fi
	for _lan in $lans; do
		lan_settings "$_lan"
		! has_interface "$lan_link" || plan_interface "$lan_link" "$lan_address"
	done
}

# run_anew SERVICE: it has something to do only now, or something else.
run_anew() {
	if [ -e "$R/run/service/$1" ]; then
		sv restart "$R/run/service/$1" >/dev/null
	else
		ln -s "/etc/sv/$1" "$R/run/service/$1"
	fi
}

# Whoever asks on this box asks unbound, and unbound asks `_servers`.
ask_unbound() {
	first_line "$STATE/name-servers"
	if [ "$line" != "$_servers" ]; then
		echo "$_servers" | replace_file "$STATE/name-servers"
		run_anew unbound
	fi
	_servers=127.0.0.1
}

# write_resolver "SERVER..." DOMAIN, both checked; what the file says comes before what DHCP says.
write_resolver() {
	_servers=$1 _domain=${DOMAIN:-$2}
	[ -z "$DNS" ] || { words_of "$DNS" && _servers=${list# }; }
	[ "$DNSSEC" != box ] || ask_unbound
	{
		[ -z "$_domain" ] || echo "search $_domain"
		for _server in $_servers; do
			echo "nameserver $_server"
		done
		[ "$DNSSEC" != servers ] || echo "options trust-ad"
	} | replace_file "$R/run/resolv.conf"
}

# Sets `dotted` to the mask of a prefix length.
mask_of() {
	_bits=$1 dotted=
	for _dot in . . . ''; do
		_take=$((_bits > 8 ? 8 : _bits))
		dotted=$dotted$((256 - (1 << (8 - _take))))$_dot
		_bits=$((_bits - _take))
	done
}

# Sets `number` to an IPv4 address as one number.
number_of() {
	number=0 _rest=$1.
	while [ -n "$_rest" ]; do
		number=$((number * 256 + ${_rest%%.*})) _rest=${_rest#*.}
	done
}

# in_network ADDRESS ADDRESS/LENGTH
in_network() {
	number_of "$1" && _one=$number
	number_of "${2%/*}"
	[ $(((_one ^ number) >> (32 - ${2#*/}))) -eq 0 ]
}

# A network card's address: six pairs of hexadecimal digits.
is_mac() {
	case $1 in
	*[!0-9A-Fa-f:]*) return 1 ;;
	[!:][!:]:[!:][!:]:[!:][!:]:[!:][!:]:[!:][!:]:[!:][!:]) ;;
	*) return 1 ;;
	esac
}

# Sets `lan` to that of LAN ... LAN8 whose network an address is in, and which gives out addresses.
find_lan() {
	for lan in $lans; do
		lan_settings "$lan"
		[ -z "$lan_range" ] || [ "$lan_address" = none ] || ! in_network "$1" "$lan_address" || return 0
	done
	return 1
}

# read_leases COMMAND...: calls it with LAN, MAC and ADDRESS of each line of the leases. A line that is wrong is named
# and left out.
read_leases() {
	_number=0
	[ -r "$LEASES_FILE" ] || return 0
	while read -r _mac _address _name _more || [ -n "$_mac" ]; do
		_number=$((_number + 1))
		case $_mac in '' | '#'*) continue ;; esac
		if ! { is_mac "$_mac" && is_host_ipv4 "$_address" && [ -z "$_more" ] && { [ -z "$_name" ] || is_name "$_name"; }; }; then
			$complain "$LEASES_FILE, line $_number: expected MAC ADDRESS [NAME], as 52:54:00:12:34:56 192.168.77.10 printer; it is left out"
		elif find_lan "$_address"; then
			"$@" "$lan" "$_mac" "$_address"
		else
			$complain "$LEASES_FILE, line $_number: expected an address of a LAN that has a DHCP range; it is left out"
		fi
	done <"$LEASES_FILE"
}
