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
# Mounts the image that was built at $tree.
mount_result() {
    container=$(buildah from --pull-never localhost/result)
    tree=$(buildah mount "$container")
}
# Runs what copies $tree; exit code 28 where that finds no room.
fill() {
    if ! "$@" 2>/run/failed; then
        tail -n 5 /run/failed >&2
        if grep -q 'No space left' /run/failed; then
            echo "the image holds $(du -smx "$tree" | cut -f1) MiB" >&2
            exit 28
        fi
        exit 1
    fi
}
