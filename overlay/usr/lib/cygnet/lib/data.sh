# shellcheck shell=sh
# The data partition: finding it, mounting it whatever its state, the factory
# reset, and the overlay that makes /etc writable. No failure here stops a boot.

DATA=$R/data
RESET_MARK=$DATA/.factory-reset
DATA_OPTIONS=noatime,nosuid,nodev

# Sets `devno` to the major:minor of the root file system.
root_device() {
	devno=
	while read -r _ _ _devno _ _mountpoint _; do
		[ "$_mountpoint" != / ] || devno=$_devno
	done <"$R/proc/self/mountinfo"
	[ -n "$devno" ]
}

# Sets `data_device`, and `data_type` to its file system: partition 4 of the disk that
# holds the root file system, or on flash the UBI volume "data" beside the root's.
find_data() {
	data_device=
	data_type=ext4
	root_device || return 1
	value_of "$R/sys/dev/block/$devno/uevent" DEVNAME
	case $value in
	ubiblock*_*)
		value=${value#ubiblock}
		data_device=ubi${value%_*}:data
		data_type=ubifs
		return 0
		;;
	esac
	# "..": from the partition to its disk, however the disk is called.
	for _partition in "$R/sys/dev/block/$devno/../"*/partition; do
		first_line "$_partition"
		[ "$line" = 4 ] && value_of "${_partition%/partition}/uevent" DEVNAME || continue
		data_device=/dev/$value
		return 0
	done
	return 1
}

mount_device() {
	mount -t "$data_type" -o "$1" "$data_device" "$2" 2>>"$R/dev/kmsg"
}

# What can still be read of a damaged partition goes into the RAM copy, so that
# the box keeps its addresses and keys. Its seed may be used up: not credited.
salvage() {
	mkdir -p "$STATE/damaged"
	_options=ro,nosuid,nodev
	[ "$data_type" != ext4 ] || _options=$_options,noload
	mount_device "$_options" "$STATE/damaged" || return 1
	for _name in etc root time; do
		cp -a "$STATE/damaged/$_name" "$DATA/" 2>/dev/null
	done
	mkdir -p "$DATA/seedrng"
	cat "$STATE/damaged/seedrng/"seed.* >"$DATA/seedrng/seed.no-credit" 2>/dev/null
	umount "$STATE/damaged"
}

# Nothing can be lost any more and a reset was asked for: an empty file system,
# if the image carries one.
reformat_data() {
	[ -n "$data_device" ] && [ "$data_type" = ext4 ] && reset_wanted && [ -r "$R/usr/lib/cygnet/data.ext4.gz" ] || return 1
	say "DATA PARTITION $data_device IS DAMAGED and a factory reset was asked for: writing it anew"
	gunzip -c "$R/usr/lib/cygnet/data.ext4.gz" >"$R$data_device" && sync &&
		mount_device "$DATA_OPTIONS" "$DATA"
}

use_ram_for_data() {
	say "DATA PARTITION ${data_device:-(not found)} CANNOT BE MOUNTED: going on in RAM."
	say "Settings made now are lost at the next boot. Boot with cygnet.reset to start afresh."
	mount -t tmpfs -o "nosuid,nodev,mode=755,size=8m" tmpfs "$DATA"
	[ -n "$data_device" ] && salvage && say "What could be read of it is used." && return 0
	say "Nothing of it could be read: this box runs with factory settings."
}

# Sets `data_state`. The first mount replays the journal of a box that lost power.
mount_data() {
	find_data
	data_state=ok
	[ -n "$data_device" ] && mount_device "$DATA_OPTIONS" "$DATA" && return 0
	data_state=recovered
	[ -n "$data_device" ] && sleep 1 && mount_device "$DATA_OPTIONS" "$DATA" && return 0
	data_state=reformatted
	reformat_data && return 0
	data_state=tmpfs
	use_ram_for_data
}

# By the command factory-reset, or by the kernel's command line when nobody can log in.
reset_wanted() {
	[ ! -e "$RESET_MARK" ] || return 0
	first_line "$R/proc/cmdline"
	case " $line " in
	*" cygnet.reset "*) return 0 ;;
	esac
	return 1
}

# The mark goes last: after a power cut the next boot begins again.
wipe_data() {
	: >"$RESET_MARK" && sync
	for _entry in "$DATA"/* "$DATA"/.[!.]* "$DATA"/..?*; do
		case ${_entry##*/} in
		seedrng | time | .factory-reset) ;;
		*) rm -rf "$_entry" ;;
		esac
	done
	sync
	rm -f "$RESET_MARK"
	sync
}

reset_if_wanted() {
	if [ "$data_state" = tmpfs ] || ! reset_wanted; then
		stamp reset no
		return 0
	fi
	say "Factory reset: settings and keys are being removed."
	wipe_data
	stamp reset "done"
}

data_directories() {
	mkdir -p "$DATA/etc" "$DATA/.etc-work" "$DATA/root" "$DATA/seedrng"
	# The upper directory lends /etc its own mode.
	chmod 755 "$DATA/etc"
	chmod 700 "$DATA/root" "$DATA/seedrng"
	rm -f "$DATA"/time.new.*
}

mount_overlay() {
	mount -t overlay -o "nosuid,nodev,lowerdir=$R/etc,upperdir=$1,workdir=$2" overlay "$R/etc" 2>>"$R/dev/kmsg"
}

mount_etc() {
	mount_overlay "$DATA/etc" "$DATA/.etc-work" && stamp etc "$data_state" && return 0
	# Whatever disturbs the overlay's own work directory, it holds nothing of value.
	rm -rf "$DATA/.etc-work" && mkdir "$DATA/.etc-work"
	mount_overlay "$DATA/etc" "$DATA/.etc-work" && stamp etc "$data_state" && return 0
	say "SETTINGS IN /data/etc CANNOT BE USED: going on with factory settings in RAM."
	mkdir -p "$R/run/etc/upper" "$R/run/etc/work"
	mount_overlay "$R/run/etc/upper" "$R/run/etc/work" && stamp etc ram && return 0
	stamp etc read-only
}
