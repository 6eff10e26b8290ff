# What scripts that bring labs up have in common; to be sourced. They set `patchbay` before, and then `lab`, the file of
# the lab that is up. The directory `work` is theirs. It and the lab go away with the script.

needs() {  # PROGRAM...: skips the test without root or one of them
  local program
  [[ $EUID -eq 0 ]] || { echo "SKIP: namespaces and TAP interfaces need root"; exit 77; }
  for program in "$@"; do
    command -v "$program" >/dev/null || { echo "SKIP: $program is not installed (tools/install-packages demo test)"; exit 77; }
  done
}

work=$(mktemp -d /tmp/patchbay-test.XXXXXX)
lab=""
clean_up() {
  [[ -z $lab ]] || "$patchbay" destroy -t "$lab" >/dev/null 2>&1 || true
  rm -rf "$work"
}
trap clean_up EXIT

evidence() { :; }  # what else tells why something failed; scripts have their own
fail() {
  echo "FAIL: $*"
  "$patchbay" inspect -t "$lab" --counters || true
  evidence || true
  exit 1
}
check() { echo "-- $* ($SECONDS s)"; }
listing() { "$patchbay" inspect -t "$lab" --format json | jq "$@"; }
balanced() { [[ $(listing .balanced) == true ]] || fail "counters do not balance"; }
# In the background, $! is a shell's number: who wants to end a command calls patchbay.
in_node() { local node=$1; shift; "$patchbay" exec -t "$lab" --node "$node" -- "$@"; }
within() {  # SECONDS COMMAND...: until the command succeeds
  local end=$((SECONDS + $1))
  shift
  until "$@"; do
    [[ $SECONDS -lt $end ]] || return 1
    sleep 0.1
  done
}
end() {  # a process of ours, by its number
  [[ -n $1 ]] || return 0
  kill -KILL "$1" 2>/dev/null || true
  wait "$1" 2>/dev/null || true
}
