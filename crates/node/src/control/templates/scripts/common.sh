# What the scripts of a builder share. `disk N`: the device of a spare disk.
set -eu
export TMPDIR=/var/lib/containers/tmp
overlay=/var/lib/containers/storage/overlay
disk() {
    for found in /sys/block/vd*; do
        if [ "$(cat "$found/serial")" = "pando-spare$1" ]; then
            echo "/dev/${found##*/}"
            return
        fi
    done
    echo "this machine has no spare disk $1" >&2
    return 1
}
