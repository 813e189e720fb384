# shellcheck shell=sh
# What every script of the box shares: where things are, and how to speak up.
# CYGNET_ROOT is empty on the box; tests point it at a scratch tree.

R=${CYGNET_ROOT:-}
STATE=$R/run/cygnet

# To the log alone. /dev/kmsg needs neither a running syslogd nor a process.
note() {
	printf '<13>cygnet: %s\n' "$*" >>"$R/dev/kmsg" || :
} 2>/dev/null

# To the log and to whoever stands at the serial console.
say() {
	printf 'cygnet: %s\n' "$*" >>"$R/dev/console" || :
	note "$*"
} 2>/dev/null

# What this boot found out, for `box status` and the acceptance tests.
stamp() {
	printf '%s=%s\n' "$1" "$2" >>"$STATE/boot"
}

# Sets `value` to what FILE says about KEY ("" if nothing). Fails if it has no such line.
value_of() {
	value=
	[ -r "$1" ] || return 1
	while IFS= read -r _line || [ -n "$_line" ]; do
		case $_line in
		"$2="*) value=${_line#*=} && return 0 ;;
		esac
	done <"$1"
	return 1
}

# Sets `line` to the first line of FILE, without a process; "" if there is none.
first_line() {
	line=
	[ -r "$1" ] || return 1
	IFS= read -r line <"$1" || [ -n "$line" ]
}

# Sets `bits`: how far the kernel's random pool is; ready at POOL_READY. Not with
# `read`, whose single bytes such a file answers with its first digit alone.
POOL_READY=256
pool_bits() {
	bits=$(cat "$R/proc/sys/kernel/random/entropy_avail" 2>/dev/null)
	bits=${bits:-0}
	[ "$bits" -ge "$POOL_READY" ]
}

# Sets `seconds` to whole seconds since the kernel started.
uptime_seconds() {
	first_line "$R/proc/uptime" || line=0
	seconds=${line%%.*}
}

# FILE gets standard input, whole or not at all, whatever happens meanwhile.
replace_file() {
	cat >"$1.new.$$" && mv -f "$1.new.$$" "$1" && return 0
	rm -f "$1.new.$$"
	return 1
}
