# Builds the Dockerfile.
cd /build/context
exec buildah build --pull=false --isolation chroot --layers --format docker -f /build/Dockerfile -t localhost/result .
