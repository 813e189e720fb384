# shellcheck shell=sh
# PPPoE on the WAN: who the provider takes this box for, in a file of root alone, and what pppd is told.

PPPOE_FILE=$R/etc/cygnet/pppoe

# Printable, of at most 255 characters.
is_credential() {
	case $1 in
	'' | *[![:print:]]*) return 1 ;;
	esac
	[ ${#1} -le 255 ]
}

# Sets `user` and `password` to the lines of the file, or `expected` and fails.
read_pppoe() {
	user='' password=''
	[ -r "$PPPOE_FILE" ] || { expected="it is missing: write the user's name and the password into it, a line each" && return 1; }
	{ IFS= read -r user && IFS= read -r password; } <"$PPPOE_FILE" || :
	is_credential "$user" && is_credential "$password" && return 0
	expected="expected the user's name and the password, a line each"
	return 1
}

# A word of pppd's options, whatever it holds.
option_word() {
	printf '%s "%s"\n' "$1" "$(printf '%s\n' "$2" | sed 's/[\\"]/\\&/g')"
}

# pppd's options: see pppd(8). It calls again by itself, for ever; a peer that is silent for a minute is gone.
pppoe_options() {
	option_word user "$user"
	option_word password "$password"
	cat <<-end
		plugin pppoe.so
		nic-$WAN
		ifname ppp0
		nodetach
		nolog
		noauth
		noipdefault
		noccp
		usepeerdns
		persist
		maxfail 0
		holdoff 10
		lcp-echo-interval 20
		lcp-echo-failure 3
		ip-up-script $R/usr/lib/cygnet/ppp-up
	end
}
