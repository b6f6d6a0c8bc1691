# Makes the new root disk and fills it with the tree of the image. $1: its MiB. $2: `base`
# where the disk begins as a copy of base's.
out=$(disk 1)
mkdir -p /run/out
mount_result
# The layers below it, the lowest one last.
layers=$(cat "${tree%/merged}/lower")
base=l/$(cat "$overlay/$(cat /var/lib/containers/pando-base)/link")
if [ "$2" = base ] && [ "${layers##*:}" = "$base" ]; then
    # What the image has of base is there already: only the rest is copied.
    mount -o noatime "$out" /run/out
    if [ "$(($1 * 256))" -gt "$(stat -f -c %b /run/out)" ]; then
        resize2fs "$out" "$1M" >/dev/null 2>&1
    fi
    fill rsync -aHAX --numeric-ids --delete "$tree/" /run/out/
    # A file of base that has another content now, and its length and time as before.
    above=${layers%"$base"}
    (
        cd "$overlay"
        IFS=:
        for layer in $above; do
            (cd "$layer/" && find . -type f)
        done
    ) >/run/above
    fill rsync -aHAX --numeric-ids --ignore-times --ignore-missing-args \
        --files-from=/run/above "$tree/" /run/out/
else
    mke2fs -q -F -t ext4 -L root -m 1 -O ^metadata_csum_seed \
        -E nodiscard,lazy_itable_init=1,lazy_journal_init=1,root_owner=0:0 "$out" "$1M"
    mount -o noatime "$out" /run/out
    fill cp -a "$tree/." /run/out/
fi
