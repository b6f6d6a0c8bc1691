#!/bin/sh
# Finishes the root file system of the builder: $1 is its root. Runs on the host, as
# mmdebstrap's last hook.
set -eu
root=$1

# Certificates that this host trusts beyond Debian's, as in `base`: registries are asked
# from here.
bundle=/etc/ssl/certs/ca-certificates.crt
if [ -r "$bundle" ]; then
    mkdir -p "$root/usr/local/share/ca-certificates"
    awk -v known="$root$bundle" -v out="$root/usr/local/share/ca-certificates/host" '
        BEGIN { while ((getline line < known) > 0) seen[line] = 1 }
        /BEGIN CERTIFICATE/ { text = ""; fresh = 0; inside = 1 }
        inside { text = text $0 "\n"; if (!/-----/ && !($0 in seen)) fresh = 1 }
        /END CERTIFICATE/ { inside = 0; if (fresh) printf "%s", text > (out "-" ++count ".crt") }
    ' "$bundle"
    chroot "$root" update-ca-certificates >/dev/null 2>&1
fi

# Images of Docker Hub go by their short names, as Dockerfiles have them.
mkdir -p "$root/etc/containers"
cat >"$root/etc/containers/registries.conf" <<'TEXT'
unqualified-search-registries = ["docker.io"]
short-name-mode = "permissive"
TEXT
# Layers are kept by overlayfs, on the disk that is mounted there. What is mounted below that,
# in the place of a layer, must be seen: so no second mount is put over it.
cat >"$root/etc/containers/storage.conf" <<'TEXT'
[storage]
driver = "overlay"
graphroot = "/var/lib/containers/storage"
runroot = "/run/containers/storage"
[storage.options.overlay]
skip_mount_home = "true"
TEXT
# Steps run in this machine's own network: nothing is looked for that would make another.
cat >"$root/etc/containers/containers.conf" <<'TEXT'
[network]
network_backend = "cni"
TEXT

echo 'nameserver 172.16.0.1' >"$root/etc/resolv.conf"
echo 'pando' >"$root/etc/hostname"
printf '127.0.0.1 localhost\n::1 localhost\n' >"$root/etc/hosts"
echo '/dev/vda / ext4 defaults,noatime 0 1' >"$root/etc/fstab"
: >"$root/etc/machine-id"
rm -rf "$root"/var/lib/apt/lists/* "$root"/var/cache/apt/* "$root"/var/log/* "$root"/tmp/*
