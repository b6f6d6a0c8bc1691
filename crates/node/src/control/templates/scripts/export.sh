# Makes the new root disk and fills it with the tree of the image. $1: its MiB.
out=$(disk 1)
mke2fs -q -F -t ext4 -L root -m 1 -O ^metadata_csum_seed \
    -E nodiscard,lazy_itable_init=1,lazy_journal_init=1,root_owner=0:0 "$out" "$1M"
mkdir -p /run/out
mount -o noatime "$out" /run/out
container=$(buildah from --pull-never localhost/result)
tree=$(buildah mount "$container")
if ! cp -a "$tree/." /run/out/ 2>/run/failed; then
    tail -n 5 /run/failed >&2
    if grep -q 'No space left' /run/failed; then
        echo "the image holds $(du -smx "$tree" | cut -f1) MiB" >&2
        exit 28
    fi
    exit 1
fi
