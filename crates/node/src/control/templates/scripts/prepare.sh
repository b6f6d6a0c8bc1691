# Mounts the disk of layers, and puts our own template in it as an image.
# $1: which spare disk it is. $2: how many MiB its file system gets where it has none yet.
storage=$(disk "$1")
if dumpe2fs -h "$storage" >/dev/null 2>&1; then is_kept=yes; else is_kept=no; fi
if [ $is_kept = no ]; then
    # Without a journal: it is kept only after it was unmounted, and is a cache.
    mke2fs -q -F -t ext4 -m 0 -O ^has_journal -E nodiscard,lazy_itable_init=1 "$storage" "$2M"
fi
mkdir -p /var/lib/containers /build/context /run/base
mount -o noatime "$storage" /var/lib/containers
mkdir -p "$TMPDIR"
# Nobody writes to it: it was never mounted since it was made.
mount -o ro,noload,noatime "$(disk 2)" /run/base
if [ $is_kept = no ]; then
    # An image of one layer that holds a file which no other has, so that its digest is
    # no other's. The disk is what then stands in for the layer: nothing is copied.
    mkdir -p /build/base
    cat /proc/sys/kernel/random/uuid >/build/base/.pando-base
    {
        echo 'FROM scratch'
        echo 'COPY .pando-base /'
        while IFS= read -r line; do
            case $line in
            *=*) printf 'ENV %s="%s"\n' "${line%%=*}" "${line#*=}" ;;
            esac
        done </run/base/etc/environment
        echo 'WORKDIR /'
    } >/build/base/Dockerfile
    buildah build --quiet --isolation chroot --format docker --layers=false \
        -t localhost/pando/base -t localhost/base -t localhost/code-interpreter /build/base >/dev/null
    for marker in "$overlay"/*/diff/.pando-base; do
        layer=${marker%/diff/.pando-base}
        echo "${layer##*/}" >/var/lib/containers/pando-base
    done
fi
mount --bind /run/base "$overlay/$(cat /var/lib/containers/pando-base)/diff"
