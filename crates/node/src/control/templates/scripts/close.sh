# Lets go of the disk of layers, where there is one, and writes everything to the disks.
if mountpoint -q /var/lib/containers; then
    buildah rm --all >/dev/null
    umount "$overlay/$(cat /var/lib/containers/pando-base)/diff"
    rm -rf "$TMPDIR"
    umount -R /var/lib/containers
fi
sync
