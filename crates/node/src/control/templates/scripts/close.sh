# Lets go of the disk of layers, where there is one, and writes everything to the disks.
if mountpoint -q /var/lib/containers; then
    buildah rm --all >/dev/null
    umount "$overlay/$(cat /var/lib/containers/pando-base)/diff"
    rm -rf "$TMPDIR"
    # Nothing of what was removed is kept: a step's secret may have been in it.
    fstrim /var/lib/containers
    umount -R /var/lib/containers
fi
sync
