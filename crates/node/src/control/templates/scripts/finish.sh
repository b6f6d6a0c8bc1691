# What every sandbox has, then the disks are let go of. Standard input: the lines that
# come into its /etc/environment.
cat >/run/environment
root=/run/out
for folder in dev proc sys run tmp etc var/log root; do
    mkdir -p "$root/$folder"
done
chmod 1777 "$root/tmp"
rm -f "$root/etc/resolv.conf" "$root/etc/hostname" "$root/etc/hosts" "$root/etc/machine-id"
echo 'nameserver 172.16.0.1' >"$root/etc/resolv.conf"
echo 'pando' >"$root/etc/hostname"
printf '127.0.0.1 localhost\n::1 localhost\n' >"$root/etc/hosts"
: >"$root/etc/machine-id"
if [ -e "$root/etc/environment" ]; then
    awk -F= 'NR == FNR { new[$1] = 1; next } !($1 in new)' /run/environment "$root/etc/environment" >/run/merged
else
    : >/run/merged
fi
cat /run/environment >>/run/merged
rm -f "$root/etc/environment"
cp /run/merged "$root/etc/environment"
chmod 644 "$root/etc/environment"
umount "$root"
