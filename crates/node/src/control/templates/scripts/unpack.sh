# Makes the new root disk and fills it with the tar on standard input. $1: its MiB.
out=$(disk 1)
mke2fs -q -F -t ext4 -L root -m 1 -O ^metadata_csum_seed \
    -E nodiscard,lazy_itable_init=1,lazy_journal_init=1,root_owner=0:0 "$out" "$1M"
mkdir -p /run/out
mount -o noatime "$out" /run/out
# The first bytes say how it was compressed: tar tells only of a file that it can seek in.
head -c 6 >/run/head
case $(od -An -tx1 /run/head | tr -d ' \n') in
1f8b*) unpack='gzip -dc' ;;
28b52ffd*) unpack='zstd -dc' ;;
fd377a585a00) unpack='xz -dc' ;;
*) unpack=cat ;;
esac
if ! cat /run/head - | $unpack |
    tar -x -C /run/out --numeric-owner --xattrs --xattrs-include='*' -f - 2>/run/failed; then
    tail -n 5 /run/failed >&2
    # tar tells of a disk that becomes full in the midst of a write by its length.
    if grep -q 'No space left\|Wrote only' /run/failed; then exit 28; fi
    exit 1
fi
