# The interpreter's end of a shell session: see python.py for what is said.
# Results are what commands print; the last one's exit code is the cell's.

pando_fd=$PANDO_REPL_FD
unset PANDO_REPL_FD

# An interrupt ends the cell: `return` leaves the function that it runs in.
pando_cell() {
    trap 'return 130' INT
    # The agent's line is closed to what the cell starts.
    eval "$pando_code" {pando_fd}<&-
}

trap : INT
printf '{"seq":0,"ready":true}\n' >&"$pando_fd"
while IFS=' ' read -r pando_seq pando_bytes <&"$pando_fd"; do
    LC_ALL=C IFS= read -r -d '' -N "$pando_bytes" pando_code <&"$pando_fd" || [ "$pando_bytes" = 0 ] || exit
    pando_cell </dev/null
    pando_exit=$?
    trap : INT
    printf '{"seq":%d,"done":{"exit":%d}}\n' "$pando_seq" "$pando_exit" >&"$pando_fd"
done
