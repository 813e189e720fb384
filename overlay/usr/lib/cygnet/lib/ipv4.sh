# shellcheck shell=sh
# Arithmetic with IPv4 addresses that have passed check.sh.

# Sets `number` to an address as a number.
number_of() {
	_rest=$1. number=0
	while [ -n "$_rest" ]; do
		number=$((number * 256 + ${_rest%%.*})) _rest=${_rest#*.}
	done
}

# Sets `first` and `last` of the network that address/length is in.
network_of() {
	number_of "${1%/*}"
	_size=$((1 << (32 - ${1#*/})))
	first=$((number / _size * _size))
	last=$((first + _size - 1))
}

# is_within ADDRESS PREFIX
is_within() {
	network_of "$2"
	number_of "$1"
	[ "$number" -ge "$first" ] && [ "$number" -le "$last" ]
}

# An address for a machine: not the network's own first and last one.
is_machine_in() {
	is_within "$1" "$2" || return 1
	[ "${2#*/}" -ge 31 ] || { [ "$number" -ne "$first" ] && [ "$number" -ne "$last" ]; }
}

# Whether two networks have an address in common.
overlap() {
	network_of "$1"
	_first=$first _last=$last
	network_of "$2"
	[ "$first" -le "$_last" ] && [ "$_first" -le "$last" ]
}
