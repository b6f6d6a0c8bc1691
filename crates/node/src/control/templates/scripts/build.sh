# Builds the Dockerfile $2 with the context $1. What follows are secrets, each `id=NAME,env=NAME`.
cd "$1"
dockerfile=$2
shift 2
for secret; do
    shift
    set -- "$@" --secret "$secret"
done
exec buildah build --pull=false --isolation chroot --layers --format docker \
    -f "$dockerfile" "$@" -t localhost/result .
