# shellcheck shell=sh
# Whether the serial line offers to set the box up: until it was set up, by the menu, by whoever made the box, or by
# hand (the data partition is the upper layer of /etc), or until somebody did not want it.

DECLINED=$R/etc/cygnet/menu-declined

offers_menu() {
	for _sign in "$R/etc/cygnet/site.toml" "$R/data/etc/cygnet/network" "$DECLINED"; do
		[ ! -e "$_sign" ] || return 1
	done
}
