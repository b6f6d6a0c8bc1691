# Makes the tree of an image in the folder $1 a root that commands can run in, as a container
# finds it: kernel, devices and names are the sandbox's, all else is the image's own.
set -e
root=$1
if mountpoint -q "$root"; then exit 0; fi
cd "$root"
mkdir -p dev etc proc sys tmp
chmod 1777 tmp
for name in hostname hosts resolv.conf; do
    rm -f "etc/$name"
    : >"etc/$name"
    # So that it is the file which the agent writes to when the machine gets another name.
    : >>"/etc/$name"
done
mount --bind "$root" "$root"
# The disk itself lends nobody rights; programs of the image may be made to.
mount -o remount,bind,nodev,suid,noatime "$root"
for folder in dev proc sys; do
    mount --rbind "/$folder" "$root/$folder"
done
for name in hostname hosts resolv.conf; do
    mount --bind "/etc/$name" "$root/etc/$name"
done
