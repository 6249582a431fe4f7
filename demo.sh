#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# Shows icpgate at work: sets everything up, compiles the range database and the feed of conf/demo/,
# starts an Unbound with the module on a loopback port and asks it for each name of conf/demo/. Then
# it loads a delta and a bad feed, goes back, and asks for the names that change.
# Exits with 1 when an answer is not what the verdict on its name calls for.
set -euo pipefail
exec </dev/null
export LC_ALL=C

usage='usage: demo.sh [--keep]
  --keep   leave Unbound running, and say how to ask it and how to stop it'

root=$(cd "$(dirname "$0")" && pwd)
demo=$root/conf/demo
logs=$root/.deps/log
icpgate=$root/.deps/icpgate/bin/icpgate
loader=$root/.deps/icpgate/sbin/icpgate-load
work=
unbound_pid=
port=

keep=no
case ${1-} in
'') ;;
--keep) keep=yes ;;
--help) echo "$usage" && exit 0 ;;
*) echo "$usage" >&2 && exit 2 ;;
esac

leave() {
	if [ -n "$unbound_pid" ]; then
		kill "$unbound_pid" 2>/dev/null || true
		wait "$unbound_pid" 2>/dev/null || true
	fi
	[ -z "$work" ] || rm -rf "$work"
}
trap leave EXIT
trap 'exit 129' HUP
trap 'exit 130' INT
trap 'exit 143' TERM

die() {
	echo "demo.sh: $*" >&2
	exit 1
}

# Says what goes on and does it, quietly unless it fails: step TITLE LOG COMMAND...
step() {
	local title=$1 log=$2
	shift 2
	echo "$title ..."
	if ! "$@" >"$log" 2>&1; then
		tail -n 50 "$log" >&2
		die "failed: $title (log: $log)"
	fi
}

# fill TEMPLATE OUT: writes a configuration of conf/demo/ with this run's paths and port.
fill() {
	sed -e "s|@DIR@|$work|g" -e "s|@ZONES@|$demo|g" -e "s|@PORT@|$port|g" \
		-e "s|@MODULE@|$root/.deps/icpgate/lib/icpgate/icpgate.so|g" "$demo/$1" >"$2"
}

ask() {
	dig -r +noall +answer +comments +tries=3 +time=2 @127.0.0.1 -p "$port" "$1" "$2"
}

# Waits until Unbound answers; fails when it ends instead.
wait_for_unbound() {
	local deadline=$((SECONDS + 30))
	while kill -0 "$unbound_pid" 2>/dev/null; do
		if ask example. SOA 2>/dev/null | grep -q 'status: NOERROR'; then
			return 0
		fi
		[ "$SECONDS" -lt "$deadline" ] || return 1
		sleep 0.1
	done
	return 1
}

# Starts Unbound on a free port: tries one, and another when somebody has it.
start_unbound() {
	local log=$work/unbound.log
	for _ in 1 2 3 4 5; do
		port=$((20000 + RANDOM % 12000))
		fill unbound.conf.in "$work/unbound.conf"
		# In a session of its own, so that with --keep it outlives this terminal.
		ICPGATE_CONF=$work/icpgate.conf setsid "$unbound" -d -c "$work/unbound.conf" \
			>"$log" 2>&1 &
		unbound_pid=$!
		if wait_for_unbound; then
			return 0
		fi
		kill "$unbound_pid" 2>/dev/null || true
		wait "$unbound_pid" || true
		unbound_pid=
		grep -q 'Address already in use' "$log" || break
	done
	tail -n 50 "$log" >&2
	die 'Unbound did not start'
}

# points_at NAME TYPE: the addresses that the zones hold for a name, through its CNAMEs, sorted.
points_at() {
	awk -v name="$1." -v type="$2" '
		$4 == "CNAME" { target[$1] = $5 }
		$4 == type { addresses[$1] = addresses[$1] $5 "\n" }
		END {
			while (name in target)
				name = target[name]
			printf "%s", addresses[name]
		}' "$demo"/*.zone | sort | xargs
}

# Takes dig's output apart: sets got to the addresses of an answer, sorted, or to its kind, and ede
# to the text of its extended error.
read_answer() {
	local answer=$1 type=$2
	got=$(awk -v type="$type" '!/^;/ && $4 == type { print $5 }' <<<"$answer" | sort | xargs)
	if [ -z "$got" ]; then
		got=$(sed -n 's/.*status: \([A-Z]*\),.*/\1/p' <<<"$answer")
		[ "$got" != NOERROR ] || got=NODATA
	fi
	ede=$(sed -nE '/^; EDE: /{s///; s/: \((.*)\)$/: \1/; p}' <<<"$answer")
}

# Columns that a text takes on a terminal: each of the Chinese characters, which are three bytes,
# takes two.
columns() {
	local beyond_ascii=${1//[ -~]/}
	echo $((${#1} - ${#beyond_ascii} / 3))
}

# print_row COLOUR NAME POINTS VERDICT REASON GOT: one line of the table.
print_row() {
	local colour=$1 padding
	printf -v padding '%*s' $((22 - $(columns "$2"))) ''
	printf '%s%s  %-24s  %s%-7s%s  %-24s  %s\n' "$2" "$padding" "$3" "${colour}" "$4" \
		"${colour:+$plain}" "$5" "$6"
}

# Judges one name with the operator's tool, asks Unbound for it and shows both.
show() {
	local name=$1 type=$2 ascii points judged verdict reason expected colour note=
	local -a addresses
	# "lookup" exits with 1 for a blocked name.
	ascii=$("$icpgate" --json lookup "$name" | jq -r .name) || [ -n "$ascii" ]
	points=$(points_at "$ascii" "$type")
	read -ra addresses <<<"$points"
	judged=$("$icpgate" --json lookup "$name" "${addresses[@]}" |
		jq -r '[.verdict, .reason] | @tsv') || [ -n "$judged" ]
	IFS=$'\t' read -r verdict reason <<<"$judged"
	read_answer "$(ask "$ascii" "$type")" "$type"

	case $verdict,$type in
	pass,*) expected=$points colour=$green ;;
	*,A) expected=$block_ipv4 colour=$red ;;
	*) expected=$block_ipv6 colour=$red ;;
	esac
	if [ "$got" != "$expected" ]; then
		note="   <- not $expected"
		wrong=$((wrong + 1))
	fi
	if [ "$verdict" = pass ]; then
		passed=$((passed + 1))
	else
		blocked=$((blocked + 1))
	fi
	print_row "$colour" "$name" "$points" "$verdict" "$reason" "$got$note"
	[ -z "$ede" ] || echo "    ${faint}EDE $ede$plain"
}

# change NAME TITLE ARGUMENT...: runs the loader beside Unbound, and shows the name when its answer
# has changed.
change() {
	local name=$1 title=$2 before deadline=$((SECONDS + 10))
	shift 2
	read_answer "$(ask "$name" A)" A
	before=$got
	echo
	echo "$bold$title$plain"
	"$loader" "$@"
	while [ "$got" = "$before" ] && [ "$SECONDS" -lt "$deadline" ]; do
		sleep 0.1
		read_answer "$(ask "$name" A)" A
	done
	show "$name" A
}

green='' red='' faint='' bold='' plain=''
if [ -t 1 ] && [ -z "${NO_COLOR-}" ]; then
	green=$'\e[32m' red=$'\e[31m' faint=$'\e[2m' bold=$'\e[1m' plain=$'\e[0m'
fi

mkdir -p "$logs"
step 'installing packages' "$logs/demo-install.log" "$root/tools/install-deps" --demo
step 'building Unbound with the dynlib module (some minutes, the first time)' \
	"$logs/demo-unbound.log" "$root/tools/get-unbound"
unbound=$("$root/tools/get-unbound")
step 'building icpgate' "$logs/demo-build.log" "$root/tools/build"

work=$(mktemp -d)
mkdir "$work/store"
fill icpgate.conf.in "$work/icpgate.conf"
export ICPGATE_CONF=$work/icpgate.conf
step 'compiling the range database' "$logs/demo-ranges.log" \
	"$icpgate" ranges "$demo/ranges.csv" "$work/ranges.mmdb"
step 'loading the feed' "$logs/demo-load.log" "$loader" full "$demo/feed.csv"
start_unbound
echo "Unbound answers on 127.0.0.1, port $port"
echo

block_ipv4=$(sed -n 's/^ *ipv4: *//p' "$work/icpgate.conf")
block_ipv6=$(sed -n 's/^ *ipv6: *//p' "$work/icpgate.conf")
passed=0 blocked=0 wrong=0
printf '%s' "$bold"
print_row '' name 'points at' verdict reason 'the client got'
printf '%s' "$plain"
while read -r name type; do
	case $name in '' | '#'*) continue ;; esac
	show "$name" "$type"
done <"$demo/names.txt"

echo
echo "$passed names are served as they are, $blocked get the block page."

cd "$demo"
change elsewhere.example 'A delta: the transfer of elsewhere.example passed its review.' \
	delta delta.csv
change filed.example "The night's feed lacks filed.example." full bad.csv
change filed.example 'Back to the generation before.' rollback
[ "$wrong" -eq 0 ] || die "$wrong answers are not what the verdicts call for"

if [ "$keep" = yes ]; then
	echo
	echo 'Unbound goes on running. Ask it:'
	echo "  dig @127.0.0.1 -p $port unfiled.example"
	echo 'Look behind it:'
	echo "  ICPGATE_CONF=$work/icpgate.conf $icpgate lookup unfiled.example 198.51.100.28"
	echo 'Stop it:'
	echo "  kill $unbound_pid && rm -r $work"
	unbound_pid='' work=''
fi
