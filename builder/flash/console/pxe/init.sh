#!/bin/sh
# The installer that a board loads over the network: the first program of an initramfs with BusyBox and the image in parts.
# It writes nothing by itself. At the other end of the serial line ./inv flash types the commands below; `unlock` wants
# the token that only this initramfs has, so that a machine that loaded it by chance keeps its disk.
PATH=/bin
mount -t devtmpfs dev /dev
mount -t proc proc /proc
mount -t sysfs sys /sys
# What the kernel has to say would come between answers.
dmesg -n 1

# Each disk: name, size in sectors, partitions with theirs, model.
disks() {
    for disk in /sys/block/[hsv]d?; do
        [ -d "$disk" ] || continue
        parts=
        for part in "$disk/${disk##*/}"*; do
            [ -d "$part" ] && parts="$parts,${part##*/}:$(cat "$part/size")"
        done
        echo "disk=${disk##*/} sectors=$(cat "$disk/size") parts=${parts#,} model=$(cat "$disk/device/model" 2>/dev/null)"
    done
}

# show DISK SECTOR COUNT: what is there, in hexadecimal.
show() {
    dd if="/dev/$1" bs=512 skip="$2" count="$3" status=none | hexdump -v -e '/1 "%02x"'
    echo
}

# unlock TOKEN DISK: what is written from now on.
unlock() {
    [ "$1" = "$(cat /token)" ] || { echo 'this installer was made for another run'; return 1; }
    ln -sf "/dev/$2" /target
}

unlocked() { [ -b /target ] || { echo 'nothing is unlocked'; return 1; }; }

# Blocks of 4,096 bytes. put PART BLOCK; zero BLOCK COUNT; sum BLOCK COUNT: the SHA-256 of what is there.
put() { unlocked && zcat "/parts/$1" | dd of=/target bs=4096 seek="$2" conv=fsync status=none; }
zero() { unlocked && dd if=/dev/zero of=/target bs=4096 seek="$1" count="$2" conv=fsync status=none; }
sum() { unlocked && dd if=/target bs=4096 skip="$1" count="$2" status=none | sha256sum; }

# What `sum` reads next is what the disk has.
forget() { sync && echo 3 >/proc/sys/vm/drop_caches; }

# shellcheck disable=SC3045 # BusyBox has read -t
while printf 'installer> '; read -r -t 300 line; do
    # What is no shell must not end the first program.
    (eval "$line")
done
echo 'nobody has spoken to the installer for 5 minutes: it restarts'
reboot -f
