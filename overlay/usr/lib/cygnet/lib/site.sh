# shellcheck shell=sh
# The site file as the menu writes it, /etc/cygnet/site.toml: what may stand in each of its settings, and the few lines
# of it that the menu can read again. A file with anything else in it is somebody's work, and left alone.

SITE_FILE=$R/etc/cygnet/site.toml
AUTHORIZED_KEYS=$R/root/.ssh/authorized_keys
PPPOE_PASSWORD=$R/etc/cygnet/secrets/pppoe
SITE_HEAD="# Written by the menu on the serial line, which reads it again as long as it has nothing but this in it."
# Of the package that applies the file: a name and its rules a line.
ZONES=$R/usr/lib/python3/dist-packages/cygnet_site/timezones
KEY_LENGTHS="ssh-ed25519:AAAAC3NzaC1lZDI1NTE5AAAAI:68 ssh-rsa:AAAAB3NzaC1yc2EAAAA:"

# Each of these takes a setting as the menu has it, or says in `wrong` what to write instead. `address`: what the box
# itself will have there.

good_name() {
	wrong="letters, digits and hyphens, 63 at most"
	case $1 in *.*) return 1 ;; esac
	is_name "$1"
}

# "none" or empty: not used.
good_port() {
	[ "$1" != none ] && [ -n "$1" ] || return 0
	wrong="a network card such as eth0, perhaps with a VLAN from 1 to 4094: eth0.7"
	is_link "$1"
}

# Sets `first` and `last` of the network that ADDRESS/LENGTH is in.
network_of() {
	number_of "${1%/*}"
	_size=$((1 << (32 - ${1#*/})))
	first=$((number / _size * _size))
	last=$((first + _size - 1))
}

# is_machine_in ADDRESS PREFIX: within it, and neither of the two addresses that are all of the network. Sets `number`.
is_machine_in() {
	network_of "$2"
	number_of "$1"
	[ "${2#*/}" -lt 31 ] || { [ "$number" -ge "$first" ] && [ "$number" -le "$last" ] && return 0; }
	[ "$number" -gt "$first" ] && [ "$number" -lt "$last" ]
}

overlap() {
	in_network "${1%/*}" "$2" || in_network "${2%/*}" "$1"
}

is_machine_prefix() {
	is_host_prefix "$1" && is_machine_in "${1%/*}" "$1"
}

good_wan_address() {
	wrong="dhcp, pppoe, none, or an address of a machine with its prefix length: 203.0.113.5/24"
	case $1 in dhcp | pppoe | none) return 0 ;; esac
	is_machine_prefix "$1" || return 1
	wrong="a network apart from that of the LAN, $LAN_ADDRESS"
	[ -z "$LAN" ] || ! overlap "$1" "$LAN_ADDRESS"
}

good_gateway() {
	[ "$1" != none ] && [ -n "$1" ] || return 0
	wrong="an address in the network of $address, or none"
	is_host_ipv4 "$1" && is_machine_in "$1" "$address" && [ "$1" != "${address%/*}" ]
}

good_lan_address() {
	wrong="an address of a machine with its prefix length: 192.168.77.1/24"
	is_machine_prefix "$1" || return 1
	wrong="a network apart from that of the WAN, $WAN_ADDRESS"
	case $WAN_ADDRESS in */*) ! overlap "$1" "$WAN_ADDRESS" ;; esac
}

good_range() {
	[ "$1" != none ] && [ -n "$1" ] || return 0
	wrong="two addresses in the network of $address, the lower one first: 192.168.77.100-192.168.77.199; or none"
	is_range "$1" && is_machine_in "${1%-*}" "$address" || return 1
	_lower=$number
	is_machine_in "${1#*-}" "$address" && [ "$_lower" -le "$number" ] || return 1
	_higher=$number wrong="addresses without the box's own, ${address%/*}"
	number_of "${address%/*}"
	[ "$number" -lt "$_lower" ] || [ "$number" -gt "$_higher" ]
}

good_servers() {
	[ "$1" != none ] && [ -n "$1" ] || return 0
	wrong="IPv4 addresses with commas between, or none"
	is_list is_host_ipv4 "$1"
}

good_time_servers() {
	case $1 in '' | none | off) return 0 ;; esac
	wrong="names or IPv4 addresses with commas between, none, or off"
	is_list is_server "$1"
}

good_zone() {
	wrong="a time zone such as UTC, Europe/Vienna, or CET-1CEST,M3.5.0,M10.5.0/3"
	case $1 in '' | *[!A-Za-z0-9/_+,.\<\>-]* | /* | */) return 1 ;; esac
	[ -r "$ZONES" ] || return 0
	is_time_zone "$1" || grep -q "^$1 " "$ZONES" && return 0
	_near=${1##*/}
	case $_near in ????*) _near=${_near%"${_near#???}"} ;; esac
	_near=$({ grep -i "^${1%/*}/$_near" "$ZONES" || grep -i "/$_near" "$ZONES"; } | sed -n 's/ .*//; 1,5p' | tr '\n' ' ')
	wrong="a zone that is known${_near:+, perhaps ${_near% }}"
	return 1
}

good_account() {
	wrong="what the provider calls the account: no blanks, no quotes, no backslashes"
	case $1 in '' | *[!!-~]* | *\"* | *\\*) return 1 ;; esac
}

# A line of authorized_keys without options. A lost character shows in the length, or in the head.
good_key() {
	wrong="one whole line of an .pub file that begins with ssh-ed25519 or ssh-rsa; this one is none, or not whole"
	_kind=${1%% *} _body=${1#* }
	_comment=${_body#* } _body=${_body%% *}
	case $_body in *[!A-Za-z0-9+/=]*) return 1 ;; esac
	case $_comment in *[!A-Za-z0-9@._+:\ -]*) return 1 ;; esac
	for _known in $KEY_LENGTHS; do
		case $_kind:$_body in
		"${_known%:*}"*) [ $((${#_body} % 4)) = 0 ] && { [ -z "${_known##*:}" ] || [ "${#_body}" = "${_known##*:}" ]; } && return 0 ;;
		esac
	done
	return 1
}

# What a box has that no site file describes: all of it comes from /etc/cygnet/network.
stock_site() {
	first_line "$R/etc/hostname"
	NAME=$line ZONE=UTC
	read_network
	[ "$LAN_ADDRESS" != none ] || LAN='' LAN_ADDRESS=''
	first_line "$R/etc/cygnet/pppoe"
	ACCOUNT=$line POLICY_FILE='' KEYS=''
	# Somebody's own policy: the lower layer of /etc has the stock one.
	[ ! -e "$R/data/etc/cygnet/firewall" ] || POLICY_FILE=firewall
}

# Keys that came another way than by a site file are kept. Sets `foreign_keys`: lines that would be lost.
known_keys() {
	foreign_keys=0
	[ -r "$AUTHORIZED_KEYS" ] && [ -z "$KEYS" ] || return 0
	while IFS= read -r _row || [ -n "$_row" ]; do
		case $_row in '' | "#"*) continue ;; esac
		if good_key "$_row"; then
			KEYS="${KEYS:+$KEYS
}$_row"
		else
			foreign_keys=$((foreign_keys + 1))
		fi
	done <"$AUTHORIZED_KEYS"
}

# Whether the network is more than the menu can say.
has_more() {
	[ -n "$SYSLOG${lans#LAN}" ] || [ -s "$R/etc/cygnet/leases" ]
}

# A line of the file, its table in `_table`. Loosely: whatever this misses, read_site finds missing.
read_row() {
	_key=${1%% = *} _value=${1#* = }
	_value=${_value#\"} _value=${_value%\"}
	case $_table$_key in
	name) NAME=$_value ;;
	timezone) ZONE=$_value ;;
	"[wan]interface") WAN=$_value ;;
	"[wan]vlan") WAN=$WAN.$_value ;;
	"[wan]address") WAN_ADDRESS=$_value ;;
	"[wan]gateway") WAN_GATEWAY=$_value ;;
	"[wan.pppoe]user") ACCOUNT=$_value ;;
	"[[lan]]interface") LAN=$_value ;;
	"[[lan]]vlan") LAN=$LAN.$_value ;;
	"[[lan]]address") LAN_ADDRESS=$_value ;;
	"[[lan]]dhcp") LAN_DHCP=$_value ;;
	"[dns]servers") commas "$_value" && DNS=$_value ;;
	"[dns]domain") DOMAIN=$_value ;;
	"[dns]dnssec") DNSSEC=$_value ;;
	"[ntp]servers") commas "$_value" && NTP=$_value ;;
	"[ntp]off") NTP=off ;;
	"[firewall]file") POLICY_FILE=$_value ;;
	"[ssh]    "*) _value=${1#*\"} && KEYS="${KEYS:+$KEYS
}${_value%\",}" ;;
	esac
}

# Sets `_value` to the texts of an array, with commas between.
commas() {
	_value=${1#[[]\"} _value=${_value%\"]}
	while :; do
		case $_value in
		*'", "'*) _value=${_value%%'", "'*},${_value#*'", "'} ;;
		*) break ;;
		esac
	done
}

# Sets every setting to what the file says. Fails if it says anything that print_site would not say in the same words.
read_site() {
	NAME='' ZONE='' WAN='' WAN_ADDRESS=none WAN_GATEWAY='' ACCOUNT='' LAN='' LAN_ADDRESS='' LAN_DHCP=''
	DNS='' DOMAIN='' DNSSEC='' NTP='' KEYS='' POLICY_FILE='' _table=''
	while IFS= read -r _row || [ -n "$_row" ]; do
		case $_row in
		*[![:print:]]*) return 1 ;;
		[[]*) _table=$_row ;;
		*) read_row "$_row" ;;
		esac
	done <"$SITE_FILE"
	print_site | cmp -s - "$SITE_FILE"
}

text() {
	printf '%s = "%s"\n' "$1" "$2"
}

# texts KEY WORD...: an array.
texts() {
	_separator="$1 = [" && shift
	for _word in "$@"; do
		printf '%s"%s"' "$_separator" "$_word"
		_separator=", "
	done
	echo "]"
}

port() {
	text interface "${1%%.*}"
	case $1 in *.*) echo "vlan = ${1#*.}" ;; esac
}

print_wan() {
	[ -n "$WAN" ] || return 0
	printf '\n[wan]\n'
	port "$WAN"
	text address "$WAN_ADDRESS"
	case $WAN_ADDRESS in
	*/*) [ -z "$WAN_GATEWAY" ] || text gateway "$WAN_GATEWAY" ;;
	pppoe) printf '\n[wan.pppoe]\nuser = "%s"\npassword = { file = "secrets/pppoe" }\n' "$ACCOUNT" ;;
	esac
}

print_lan() {
	[ -n "$LAN" ] || return 0
	printf '\n[[lan]]\n'
	port "$LAN"
	text address "$LAN_ADDRESS"
	[ -z "$LAN_DHCP" ] || text dhcp "$LAN_DHCP"
}

# shellcheck disable=SC2086 # split on purpose: each word has passed its check
print_servers() {
	if [ -n "$DNS$DOMAIN$DNSSEC" ]; then
		printf '\n[dns]\n'
		[ -z "$DNS" ] || { words_of "$DNS" && texts servers $list; }
		[ -z "$DOMAIN" ] || text domain "$DOMAIN"
		[ -z "$DNSSEC" ] || text dnssec "$DNSSEC"
	fi
	case $NTP in
	'') ;;
	off) printf '\n[ntp]\noff = true\n' ;;
	*) printf '\n[ntp]\n' && words_of "$NTP" && texts servers $list ;;
	esac
}

print_keys() {
	[ -n "$KEYS" ] || return 0
	printf '\n[ssh]\nkeys = [\n'
	printf '%s\n' "$KEYS" | while IFS= read -r _key; do
		printf '    "%s",\n' "$_key"
	done
	echo "]"
}

print_site() {
	printf '%s\nformat = 1\n' "$SITE_HEAD"
	text name "$NAME"
	text timezone "$ZONE"
	print_wan
	print_lan
	print_servers
	print_keys
	[ -z "$POLICY_FILE" ] || printf '\n[firewall]\nfile = "%s"\n' "$POLICY_FILE"
}
