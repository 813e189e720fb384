# shellcheck shell=sh
# /etc/cygnet/network: read strictly (never sourced), and turned into one batch
# of `ip` commands. A line that is wrong is named and its default stays, so that
# a typing error leaves a box that can still be reached.

NETWORK_FILE=$R/etc/cygnet/network
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

# network_setting KEY VALUE: takes it over, or sets `expected` and fails.
network_setting() {
	expected='' _key=$1 _value=$2
	case $_key in
	WAN) expected="an interface name" && { [ -z "$_value" ] || is_interface "$_value"; } && WAN=$_value ;;
	LAN) expected="an interface name" && { [ -z "$_value" ] || is_interface "$_value"; } && LAN=$_value ;;
	WAN_ADDRESS)
		expected="dhcp, none or address/prefix length"
		case $_value in dhcp | none) ;; *) is_host_prefix "$_value" ;; esac && WAN_ADDRESS=$_value
		;;
	LAN_ADDRESS)
		expected="none or address/prefix length"
		case $_value in none) ;; *) is_host_prefix "$_value" ;; esac && LAN_ADDRESS=$_value
		;;
	WAN_GATEWAY) expected="an IPv4 address" && { [ -z "$_value" ] || is_host_ipv4 "$_value"; } && WAN_GATEWAY=$_value ;;
	LAN_DHCP) expected="first-last IPv4 address" && { [ -z "$_value" ] || is_range "$_value"; } && LAN_DHCP=$_value ;;
	DNS) expected="IPv4 addresses, comma between" && { [ -z "$_value" ] || is_list is_host_ipv4 "$_value"; } && DNS=$_value ;;
	DOMAIN) expected="a domain name" && { [ -z "$_value" ] || is_name "$_value"; } && DOMAIN=$_value ;;
	NTP) expected="names or IPv4 addresses, comma between, or off" && { [ -z "$_value" ] || is_list is_server "$_value"; } && NTP=$_value ;;
	*) expected="one of WAN WAN_ADDRESS WAN_GATEWAY LAN LAN_ADDRESS LAN_DHCP DNS DOMAIN NTP before the =" && return 1 ;;
	esac
}

# Sets WAN ... NTP. Fails, having said why, if any line was wrong.
read_network() {
	WAN=eth0 WAN_ADDRESS=dhcp WAN_GATEWAY='' LAN=eth1 LAN_ADDRESS=192.168.77.1/24
	LAN_DHCP='' DNS='' DOMAIN='' NTP='' _number=0 _wrong=0
	[ -r "$NETWORK_FILE" ] || { $complain "$NETWORK_FILE is missing: defaults are used" && return 1; }
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
	return $_wrong
}

has_interface() {
	[ -n "$1" ] && [ -e "$R/sys/class/net/$1" ]
}

# Commands for `ip -batch` that bring up one interface with a fixed address, or without.
plan_interface() {
	echo "link set dev $1 up"
	case $2 in
	dhcp | none) ;;
	*) echo "address replace $2 brd + dev $1" ;;
	esac
}

plan_network() {
	echo "link set dev lo up"
	if has_interface "$WAN"; then
		plan_interface "$WAN" "$WAN_ADDRESS"
		case $WAN_ADDRESS in
		dhcp | none) ;;
		*) [ -z "$WAN_GATEWAY" ] || echo "route replace default via $WAN_GATEWAY dev $WAN onlink" ;;
		esac
	fi
	! has_interface "$LAN" || plan_interface "$LAN" "$LAN_ADDRESS"
}

# write_resolver "SERVER..." DOMAIN, both checked; what the file says comes before what DHCP says.
write_resolver() {
	_servers=$1 _domain=${DOMAIN:-$2}
	[ -z "$DNS" ] || { words_of "$DNS" && _servers=$list; }
	{
		[ -z "$_domain" ] || echo "search $_domain"
		for _server in $_servers; do
			echo "nameserver $_server"
		done
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
