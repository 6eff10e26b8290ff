#!/usr/bin/env bash
# `patchbay bench` as a user has it, with short trials: the accounts balance, every output can be read by those who
# shall read it, the lab is as before, bad input is refused. Never a rate: machines differ. Usage: bench.sh PATCHBAY EXAMPLES
set -euo pipefail
patchbay=$1 examples=$2
source "$(dirname "$0")/lab.sh"
needs ping jq python3
[[ -w /dev/kvm ]] || { echo "SKIP: /dev/kvm is not usable, and the router is a VM"; exit 77; }

name=bench$$
lab=$work/$name.clab.yml
sed "s/^name: .*/name: $name/" "$examples/two-lans.clab.yml" >"$lab"
cp "$examples/r1.conf" "$work"

bench() { "$patchbay" bench --name "$name" "$@"; }

check "a lab that is not up is brought up and taken down"
"$patchbay" bench -t "$lab" h1 h2:eth1 --quick --rounds 2 --duration 0.1 --sizes 64,imix --output "$work/quick" 2>"$work/progress" ||
  { cat "$work/progress"; fail "bench"; }
[[ ! -e /run/patchbay/$name ]] || fail "the lab is left"
grep -q "MRR 2/2" "$work/progress" || fail "no progress is shown"
! grep -q $'\r' "$work/progress" || fail "progress for terminals, but this is none"

check "every frame is accounted for, in every trial"
jq -e '[.results[].trials[].directions[] |
        (.sent == .received + .lost) and (.sent <= .intended) and .sent > 0 and .received > 0 and
        .duplicates == 0 and .reordered == 0 and .too_late == 0] | all and length > 0' "$work/quick/bench.json" >/dev/null ||
  { jq -c '.results[].trials[].directions[]' "$work/quick/bench.json"; fail "the accounts do not balance"; }
# Nothing stands between the two ends of the reference path.
jq -e '[.results[].trials[] | select(.path == "reference") | .directions[] | .lost == 0] | all and length == 4' \
  "$work/quick/bench.json" >/dev/null || fail "the reference path loses frames"
jq -e '.results[0].mrr.ratio > 0 and .results[0].mrr.rounds.ratio[1] > 0 and .ends[0].next_hop == "10.0.1.1"' "$work/quick/bench.json" >/dev/null ||
  fail "no ratio"

check "a search, latencies, both directions, several flows; the lab is as before"
"$patchbay" deploy -t "$lab"
bench h1:eth1 h2:eth1 --rounds 1 --duration 0.05 --duration-sum 0.15 --max-search-time 3 --sizes 64x3+1000 --flows 100 \
  --bidirectional --output "$work/full" 2>"$work/progress" || { cat "$work/progress"; fail "bench"; }
cat "$work/full/table.txt"
# Where the machine stalls in a trial at the lowest rate, that one trial ends a search.
jq -e '.results[0] | (.latencies | length >= 1) and (.latencies[0] | .count > 0 and .min_ns > 0 and .max_ns >= .median_ns) and
       (.searches | length == 2) and (.trials | map(select(.purpose == "search")) | length >= 1)' "$work/full/bench.json" >/dev/null ||
  fail "the search or its latencies are missing"
[[ $("$patchbay" inspect --name "$name" --format json | jq '.balanced and ([.segments[].name] | index("bench reference") == null)') == true ]] ||
  fail "the switch is not as it was"
"$patchbay" exec --name "$name" --node h1 -- ping -q -c 3 -i 0.2 10.0.2.2 | grep -q ' 0% packet loss' || fail "h1 is not back"

check "the histogram is one of the HdrHistogram family's"
jq -r '.results[0].latencies[0].hdr_v2[0]' "$work/full/bench.json" >"$work/hdr"
python3 - "$work/hdr" "$(jq '.results[0].trials[] | select(.purpose == "latency") | .directions[0].latency.count' "$work/full/bench.json" | head -1)" <<'PYTHON' || fail "not a V2 histogram"
import base64, struct, sys, zlib
data = base64.b64decode(open(sys.argv[1]).read())
cookie, length = struct.unpack(">II", data[:8])
assert cookie == 0x1C849314 and length == len(data) - 8, (hex(cookie), length)
plain = zlib.decompress(data[8:])
cookie, length, offset, digits, lowest, highest, ratio = struct.unpack(">IIIIQQd", plain[:40])
assert (cookie, offset, digits, lowest, ratio) == (0x1C849313, 0, 3, 1, 1.0) and length == len(plain) - 40
total, at = 0, 40
while at < len(plain):
    value = shift = 0
    for i in range(9):
        byte = plain[at]; at += 1
        value |= (byte if i == 8 else byte & 0x7F) << shift
        shift += 7
        if byte < 0x80: break
    value = value >> 1 ^ -(value & 1)
    total += max(value, 0)
assert total == int(sys.argv[2]), (total, sys.argv[2])
PYTHON

check "outputs for other tools"
for file in bigger smaller; do
  jq -e 'length > 0 and all(.[]; has("name") and has("unit") and (.value | type == "number"))' \
    "$work/full/$file-is-better.json" >/dev/null || fail "github-action-benchmark, $file"
done
jq -e '[.[] | .[] | .value | type == "number"] | all and length > 0' "$work/full/bencher.json" >/dev/null || fail "Bencher"
for file in junit.xml throughput.svg latency.svg; do
  python3 -c 'import sys, xml.etree.ElementTree as t; t.parse(sys.argv[1])' "$work/full/$file" || fail "$file is no XML"
done

check "requirements and comparison decide the exit status"
run=(h1 h2 --quick --rounds 1 --duration 0.05 --sizes 64 --output "$work/judged")
jq '.figures = [{name: "64 B MRR ratio", unit: "ratio", value: 1e-9, spread: 0, bigger_is_better: true}]' "$work/quick/bench.json" >"$work/low.json"
jq '.figures = [{name: "64 B MRR ratio", unit: "ratio", value: 1e9, spread: 0, bigger_is_better: true}]' "$work/quick/bench.json" >"$work/high.json"
bench "${run[@]}" --require '64 B MRR > 0' 2>/dev/null && fail "'>' is no requirement"
bench "${run[@]}" --require '64 B MRR >= 0' --compare "$work/low.json" >"$work/out" 2>/dev/null || fail "a requirement that is met"
[[ $(grep -c '^ok ' "$work/out") -eq 2 ]] || fail "two verdicts expected"
status=0; bench "${run[@]}" --compare "$work/high.json" --max-regression 50% >"$work/out" 2>/dev/null || status=$?
[[ $status -eq 1 ]] && grep -q '^FAIL' "$work/out" && grep -q '<failure' "$work/judged/junit.xml" || fail "a regression must fail (status $status)"

check "a client that goes away in mid-trial gives the link ends back"
"$patchbay" bench --name "$name" h1 h2 --quick --duration 30 2>/dev/null &
client=$!
sleep 1
kill "$client"; wait "$client" 2>/dev/null || true
for _ in $(seq 50); do
  [[ $("$patchbay" inspect --name "$name" --format json | jq '[.segments[].name] | index("bench reference")') != null ]] || break
  sleep 0.1
done
"$patchbay" exec --name "$name" --node h1 -- ping -q -c 1 -W 5 10.0.2.2 >/dev/null || fail "h1 is not back"

check "bad input is refused with status 2"
refused() {
  local words=$1; shift
  status=0; "$@" >"$work/out" 2>"$work/errors" || status=$?
  [[ $status -eq 2 ]] && grep -q "$words" "$work/errors" || { cat "$work/errors"; fail "status $status for: $*"; }
}
refused "no link end" bench h1:eth9 h2
refused "no node" bench h9 h2
refused "has 2 interfaces" bench r1 h2
refused "named twice" bench h1 h1
refused "no frame size" bench h1 h2 --sizes 64,x
refused "outside 64 to" bench h1 h2 --sizes 12
refused "no share" bench h1 h2 --max-regression 5
refused "cannot read" bench h1 h2 --compare "$work/absent.json"
refused "gives r1:eth0 no IPv4 address" bench r1:eth0 h2
refused "right is LINK-END=VALUE" bench h1 h2 --via r1=10.0.0.1
refused "ARP" bench h1 h2 --via h1:eth1=10.0.1.77
echo "passed"
