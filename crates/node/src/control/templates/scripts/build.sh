# Builds the Dockerfile.
cd /build/context
exec buildah build --isolation chroot --layers --format docker -f /build/Dockerfile -t localhost/result .
