# shellcheck shell=sh
# The time a box starts with, and what it remembers of time. /data/time holds
# two numbers: when it was written, and the latest moment at which it will be
# written again. A power cut in between starts from the second, so that time
# never runs backwards over a boot, clock chip or not.

SAVE_EVERY=900
# A clock this far (20 years) past the image's own date is a broken clock.
LATEST=631152000

# Sets `saved` and `ceiling` (0 if nothing sane was kept).
read_saved_time() {
	saved=0 ceiling=0
	first_line "$R/data/time" || return 0
	case $line in
	*' '*) ;;
	*) return 0 ;;
	esac
	is_number "${line%% *}" && is_number "${line#* }" || return 0
	saved=${line%% *} ceiling=${line#* }
}

# choose_clock KERNEL SAVED CEILING BUILD: sets `clock` and `clock_source`.
choose_clock() {
	_limit=$(($4 + LATEST)) _saved=$2 _ceiling=$3
	if [ "$_ceiling" -gt "$_limit" ] || [ "$_saved" -gt "$_ceiling" ]; then
		_saved=0 _ceiling=0
	fi
	if [ "$1" -ge "$_saved" ] && [ "$1" -ge "$4" ] && [ "$1" -le "$_limit" ]; then
		clock=$1 clock_source=rtc
	elif [ "$_ceiling" -ge "$4" ]; then
		clock=$_ceiling clock_source=saved
	else
		clock=$4 clock_source=build
	fi
}

# The kernel has read the clock chip, if there is one, before init runs.
set_clock() {
	value_of "$R/usr/lib/cygnet/image" epoch
	is_number "$value" || value=0
	read_saved_time
	choose_clock "$(date +%s)" "$saved" "$ceiling" "$value"
	[ "$clock_source" = rtc ] || date -s "@$clock" >/dev/null
	stamp time-source "$clock_source"
}

# save_time [final]: at a clean end nothing has to be allowed for.
save_time() {
	_now=$(date +%s) _next=$SAVE_EVERY
	[ "${1:-}" != final ] || _next=0
	echo "$_now $((_now + _next))" | replace_file "$R/data/time"
}

# Only a clock that NTP has set is better than the chip's own.
set_clock_chip() {
	[ -e "$STATE/ntp-synchronised" ] && [ -e "$R/dev/rtc0" ] || return 0
	hwclock -u -w
}

# For logins and services, which read what is found good here.
set_time_zone() {
	first_line "$R/etc/TZ" || return 0
	is_time_zone "$line" && echo "$line" >"$STATE/TZ" && return 0
	say "/etc/TZ: expected a POSIX time zone, as CET-1CEST,M3.5.0,M10.5.0/3; UTC is used"
}
