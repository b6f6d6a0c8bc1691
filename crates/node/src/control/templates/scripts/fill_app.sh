# Puts the tree of the image in the folder $1 of the app's disk, where the sources give way to it.
mount_result
find /app -mindepth 1 -delete
mkdir -p "$1"
fill cp -a "$tree/." "$1/"
