#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# Installs what is needed, builds, and runs all tests. Ends with a line "N passed, N failed" that
# counts each test and each of the other steps as one; exits with 1 when any failed. Logs, and
# screenshots of the block page, stay in .deps/log/.
# shellcheck disable=SC2317 # many functions are the commands of steps
set -euo pipefail
exec </dev/null

[ $# -eq 0 ] || {
	echo 'usage: check.sh' >&2
	exit 2
}

cd "$(dirname "$0")"
root=$PWD
logs=$root/.deps/log
prefix=$root/.deps/icpgate
mkdir -p "$logs"
work=$(mktemp -d)
declare -A jobs=() # those that run at once: the names, by process
# They stop their servers, and write into $work until they have; they are given 30 s for it.
cleanup() {
	local job
	for job in "${!jobs[@]}"; do
		kill -INT "$job" || true
	done
	for job in "${!jobs[@]}"; do
		wait "$job" || true
	done
	rm -rf "$work"
}
trap cleanup EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

# Real data, which stands beside the checkout where there is any; without it some tests are skipped.
[ ! -d ../shared/data ] || ICP_SHARED_DATA=$(cd ../shared/data && pwd)
export ICP_SHARED_DATA

passed=0 failed=0 skipped=0
failures=() # names of what failed, which are said once more at the end

finish() {
	echo
	[ "$failed" -eq 0 ] || printf 'failed: %s\n' "${failures[@]}"
	[ "$skipped" -eq 0 ] || echo "$skipped skipped"
	echo "$passed passed, $failed failed"
	[ "$failed" -eq 0 ] || exit 1
	exit 0
}

log_of() {
	echo "$logs/check-${1//[^a-z0-9]/-}.log"
}

# Runs a command with its output in a log; sets status and log. Must not be called in a condition,
# where "set -e" would be off in the functions that are the commands of the steps.
run() {
	local name=$1
	shift
	log=$(log_of "$name")
	echo "-- $name"
	set +e
	(
		set -e
		"$@"
	) >"$log" 2>&1
	status=$?
	set -e
}

# step NAME COMMAND...: a step that counts as one.
step() {
	local start=$SECONDS
	run "$@"
	count_step "$1"
}

# Counts a step that began at start and ended with the current status.
count_step() {
	if [ "$status" -eq 0 ]; then
		passed=$((passed + 1))
		echo "ok - $1 ($((SECONDS - start)) s)"
	else
		failed=$((failed + 1))
		failures+=("$1")
		tail -n 50 "$log"
		echo "FAILED - $1 (log: $log)"
	fi
}

skip() {
	skipped=$((skipped + 1))
	echo "skipped - $1 ($2)"
}

# count NAME PASSED FAILED SKIPPED: adds the tests of a test run that ended with the current status.
# A run that failed without a failed test, or that ran none, counts as one failure.
count() {
	local name=$1 p=$2 f=$3 s=$4
	if [ "$f" -eq 0 ] && { [ "$status" -ne 0 ] || [ "$p" -eq 0 ]; }; then
		f=1
		failures+=("$name")
	fi
	passed=$((passed + p)) failed=$((failed + f)) skipped=$((skipped + s))
	if [ "$f" -eq 0 ]; then
		echo "ok - $name: $p passed, $s skipped ($((SECONDS - start)) s)"
	else
		echo "FAILED - $name: $p passed, $f failed, $s skipped (log: $log)"
	fi
}

# bounded SECONDS COMMAND...: takes the place of the shell. The command is ended by SIGINT, so that
# tests still stop their servers; a shell has what it runs in the background ignore it.
bounded() {
	local seconds=$1
	shift
	exec env --default-signal=INT timeout --signal=INT --kill-after=30 "$seconds" "$@"
}

# What runs at once. Tests with programs wait half of their time.

lanes=$(($(nproc) + 1))
declare -A begun=()      # SECONDS, by name
declare -A counted_by=() # by name

# begin COUNT NAME COMMAND...: begins a command as soon as there is a lane for it. When it has ended,
# COUNT NAME counts what it found, by its log and status. It should be bounded.
begin() {
	local count=$1 name=$2
	shift 2
	while [ "${#jobs[@]}" -ge "$lanes" ]; do
		end_one
	done
	# Each has ports of its own: what is free for one may be about to be taken by another.
	local first=$((20000 + ${#begun[@]} % 10 * 1000))
	local -x ICP_PORTS=$first-$((first + 999))
	begun[$name]=$SECONDS counted_by[$name]=$count
	(
		set -e
		"$@"
	) >"$(log_of "$name")" 2>&1 &
	jobs[$!]=$name
}

# Waits for one of them to end, and counts it.
end_one() {
	local job
	status=0
	wait -n -p job "${!jobs[@]}" || status=$?
	local name=${jobs[$job]}
	unset "jobs[$job]"
	log=$(log_of "$name")
	echo "-- $name"
	local start=${begun[$name]}
	"${counted_by[$name]}" "$name"
}

end_all() {
	while [ "${#jobs[@]}" -gt 0 ]; do
		end_one
	done
}

# Unit tests, in the build with sanitizers.

unit_tests() {
	find build-asan -name '*.trs' -delete
	export UBSAN_OPTIONS=print_stacktrace=1
	bounded 5400 make -C build-asan -k check
}

threads() {
	timeout 600 build-tsan/tests/unit/test_gate
	timeout 600 build-tsan/tests/unit/test_stats
}

# sum_of RESULT LOG: the tests that cmocka reports with this result at the end of each group.
sum_of() {
	sed -nE "s/^\[ *$1 *\] ([0-9]+) test\(s\).*/\1/p" "$2" | awk '{ n += $1 } END { print n + 0 }'
}

# Counts the tests in each program: cmocka's, or the program as one where it is not cmocka's.
count_unit_tests() {
	local name=$1 trs result p f s all_p=0 all_f=0 all_s=0
	while read -r trs; do
		result=$(sed -n 's/^:test-result: *\([A-Z]*\).*/\1/p' "$trs")
		p=$(sum_of PASSED "${trs%.trs}.log")
		f=$(sum_of FAILED "${trs%.trs}.log")
		s=$(sum_of SKIPPED "${trs%.trs}.log")
		case $result in
		PASS) [ $((p + f + s)) -gt 0 ] || p=1 ;;
		SKIP) [ $((p + f + s)) -gt 0 ] || s=1 ;;
		*) [ "$f" -gt 0 ] || f=1 ;;
		esac
		if [ "$f" -gt 0 ]; then
			failures+=("${trs%.trs}")
			tail -n 50 "${trs%.trs}.log"
		fi
		sed -nE 's/^\[  SKIPPED \] ([^ ]+)$/skipped - \1/p' "${trs%.trs}.log" | sort -u
		all_p=$((all_p + p)) all_f=$((all_f + f)) all_s=$((all_s + s))
	done < <(find build-asan -name '*.trs')
	[ "$status" -eq 0 ] || [ "$all_f" -gt 0 ] || tail -n 50 "$log"
	count "$name" "$all_p" "$all_f" "$all_s"
}

# Tests with the programs.

# Where a run of pytest leaves what it found; without a space, which LD_PRELOAD does not bear.
results_of() {
	echo "$work/${1//[^a-z0-9]/-}"
}

# run_pytest NAME BUILD ARGUMENT...: runs pytest on the programs of a build directory.
run_pytest() {
	local results build=$2
	results=$(results_of "$1")
	shift 2
	cd "$root/tests"
	export PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1
	export ICP_BUILD=$root/$build ICP_PRELOAD=''
	# A module with a sanitizer needs its library in the daemon, which is not built with it.
	case $build in
	build-asan) ICP_PRELOAD=$(gcc -print-file-name=libasan.so) ;;
	build-tsan) ICP_PRELOAD=$(gcc -print-file-name=libtsan.so) ;;
	esac
	export ICP_UNBOUND=$unbound ICP_NSD=$nsd ICP_POSTGRES=$postgres
	export ICP_PROMTOOL=$promtool ICP_AXE=$axe
	export ICP_TESTBOUND=$testbound ICP_TESTDATA=$source/testdata
	bounded 5400 /usr/bin/python3 -m pytest -q --basetemp="$results.pytest" \
		--junitxml="$results.xml" "$@"
}

# Counts what a run of pytest found.
count_pytest() {
	local name=$1 found
	mapfile -t found < <(/usr/bin/python3 - "$(results_of "$name").xml" <<-'PYTHON'
		import sys, xml.etree.ElementTree
		suite = xml.etree.ElementTree.parse(sys.argv[1]).getroot().find("testsuite")
		tests, *others = (int(suite.get(k)) for k in ("tests", "failures", "errors", "skipped"))
		print(tests - sum(others), others[0] + others[1], others[2])
		for case in suite.iter("testcase"):
		    if case.find("failure") is not None or case.find("error") is not None:
		        print(case.get("classname") + "::" + case.get("name"))
	PYTHON
	)
	# shellcheck disable=SC2086 # three numbers
	count "$name" ${found[0]:-0 0 0}
	failures+=("${found[@]:1}")
}

# show_pytest NAME: its output, which nobody has seen yet, and what it found.
show_pytest() {
	cat "$log"
	count_pytest "$1"
}

# pytests NAME BUILD ARGUMENT...: begins such a run.
pytests() {
	begin show_pytest "$1" run_pytest "$@"
}

# keep_screenshots NAME: those of a run of pytest go to the logs, where they can be looked at.
keep_screenshots() {
	local from
	from=$(results_of "$1").pytest/screenshots
	rm -rf "$logs/screenshots"
	[ ! -d "$from" ] || cp -r "$from" "$logs/screenshots"
}

# Checks of the sources.

# files GLOB: the C files of ours with such a name, NUL-separated.
files() {
	find "$root"/{blockpage,core,db-tools,loader,module,tests} -name "$1" -print0
}

format() {
	files '*.[ch]' | xargs -0 clang-format-14 --dry-run -Werror
}

# With the flags of the build: those of the module and of all libraries, for every file.
tidy() {
	local -a flags
	# shellcheck disable=SC2016 # the variables are make's
	local print='print-flags: ; @echo $(module_icpgate_la_CPPFLAGS) $(AM_CFLAGS) $(PSL_CFLAGS) \
		$(JANSSON_CFLAGS) $(ARCHIVE_CFLAGS) $(CRYPTO_CFLAGS) $(PQ_CFLAGS) \
		$(EVENT_CFLAGS) $(EVHTTP_CFLAGS) $(SYSTEMD_CFLAGS) $(CMOCKA_CFLAGS)'
	cd build
	read -ra flags < <(make -s --eval="$print" print-flags)
	files '*.c' >"$work/sources"
	bounded 5400 xargs -0 -a "$work/sources" -I{} clang-tidy-14 --quiet {} -- "${flags[@]}"
}

manuals() {
	mandoc -T lint -W warning doc/*.[1578]
}

# Shell scripts; of those in Python, names that nobody uses or that hide others, such as tests.
scripts() {
	local -a list
	local found
	mapfile -t list < <(grep -lsE '^#!(/bin/sh|/usr/bin/env bash)$' \
		./*.sh .ci/* tools/* conf/*/* debian/*.postrm debian/tests/* tests/*/*)
	shellcheck "${list[@]}"
	/usr/bin/python3 -m pyflakes --version >/dev/null
	# Fixtures are imported by conftest.py alone, for the tests beside it.
	found=$(/usr/bin/python3 -m pyflakes tests | grep -v '/conftest.py:.* imported but unused$') || true
	[ -z "$found" ] || { echo "$found"; return 1; }
}

# Checks of what is built.

exports() {
	nm -D --defined-only --format=posix build/module/.libs/icpgate.so | cut -d ' ' -f 1 | sort \
		>"$work/exports"
	printf '%s\n' clear deinit get_mem inform_super init operate | diff - "$work/exports"
}

installation() {
	local file
	make -C build install DESTDIR="$work/stage"
	for file in bin/icpgate sbin/icpgate-load sbin/icpgated sbin/icpgate-blockpage \
		lib/icpgate/icpgate.so; do
		test -x "$work/stage$prefix/$file"
	done
	for file in icpgate.conf.example filing.sql unbound.conf.example; do
		test -s "$work/stage$prefix/etc/icpgate/$file"
	done
	for file in doc/*.[1578]; do
		test -s "$work/stage$prefix/share/man/man${file##*.}/${file#doc/}"
	done
}

# The demo ends well, shows every reason that a table of names can show, and leaves nothing behind.
demo() {
	local reason
	mkdir "$work/demo"
	TMPDIR=$work/demo ./demo.sh | tee "$work/demo.out"
	rmdir "$work/demo"
	for reason in not-gated exempt filed changing rectifying transfer-preapproved; do
		grep -qE "  pass +$reason  " "$work/demo.out" || { echo "no $reason"; return 1; }
	done
	for reason in pending transfer-expired transfer-cancelled deregistered rectify-overdue \
		licence-address-mismatch filed-elsewhere unfiled; do
		grep -qE "  block +$reason  " "$work/demo.out" || { echo "no $reason"; return 1; }
	done
}

# With --keep the lines that it prints work.
demo_keep() {
	local answer stop
	./demo.sh --keep | tee "$work/demo.out"
	stop=$(grep '^  kill ' "$work/demo.out")
	answer=$(eval "$(grep '^  dig ' "$work/demo.out")") || true
	eval "$stop"
	grep -E '^unfiled\.example\..*A\s+203\.0\.113\.80$' <<<"$answer"
}

step 'installation of packages' tools/install-deps --check
[ "$failed" -eq 0 ] || finish
step 'unbound with dynlib' tools/get-unbound
step 'testbound' tools/get-unbound --testbound
step 'nsd' tools/get-nsd
step 'postgresql' tools/get-postgres
step 'promtool' tools/get-promtool
step 'axe-core' tools/get-axe
[ "$failed" -eq 0 ] || finish
unbound=$(tools/get-unbound)
testbound=$(tools/get-unbound --testbound)
source=$(tools/get-unbound --source)
nsd=$(tools/get-nsd)
postgres=$(tools/get-postgres)
promtool=$(tools/get-promtool)
axe=$(tools/get-axe)

step 'format' format
step 'manuals' manuals
step 'scripts' scripts

before=$failed
step 'build' tools/build
step 'build with sanitizers' tools/build --sanitizers
step 'build with TSan' tools/build --thread-sanitizer
if [ "$failed" -eq "$before" ]; then
	step 'exported symbols' exports
	step 'files of make install' installation
	# The longest first, so that none is left alone at the end.
	crashes=(tools/test_{damage,daemon_kills,failing_calls,full_disk,kills,power_cuts}.py)
	pytests 'tests of crashes' build "${crashes[@]}"
	pytests 'tests of the programs' build tools model replay bench \
		blockpage packages "${crashes[@]/#/--ignore=}"
	pytests 'tests of the resolver' build e2e --ignore=e2e/test_leaks.py
	pytests 'tests of leaks' build e2e/test_leaks.py
	begin count_unit_tests 'unit tests with sanitizers' unit_tests
	begin count_step 'clang-tidy' tidy
	# Without those that compare with other daemons, or take long to find what TSan looks for, or do
	# a part of what others do, and without those in which none of our code runs: resolvers without
	# the module, PostgreSQL alone.
	pytests 'tests of the resolver, with sanitizers' build-asan e2e \
		--ignore=e2e/test_{leaks,transparency,stress,daemon}.py
	pytests 'tests of leaks, with sanitizers' build-asan e2e/test_leaks.py \
		--deselect=e2e/test_leaks.py::test_without_the_module_it_leaks
	ICP_CASES=20000 pytests 'tests of the programs, with sanitizers' build-asan tools model \
		blockpage --ignore=blockpage/test_browser.py --ignore=tools/test_filing.py \
		"${crashes[@]/#/--ignore=}"
	pytests 'tests of crashes, with sanitizers' build-asan "${crashes[@]}"
	end_all
	keep_screenshots 'tests of the programs'
	step 'threads with TSan' threads
	ICP_STRESS_SECONDS=10 pytests 'stress with TSan' build-tsan e2e/test_stress.py
	end_all
	step 'demo' demo
	step 'demo that keeps running' demo_keep
else
	skip 'all tests' 'the build failed'
fi
finish
