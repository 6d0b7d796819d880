#!/usr/bin/python3
"""Run the image tests, the longest first, and as many at a time as this machine has processors for.

Usage: run.py BINARY [FILTER]...      (cargo calls it so: see `make test-image`)

libtest starts tests in the order of their names, so the longest may begin last; and it counts them, although one that waits for
a guest's watchdog needs no processor, and one that boots a Pi needs a whole one. So each test has a process of its own here,
and WEIGHTS says how long it takes and how many processors it keeps busy. One that is not in there is taken for a long one. A
test's output is kept in LOGS, and shown if it fails.

What is marked `#[ignore]` runs with FARHAND_LONG=1 alone. FARHAND_SEED is the seed for drawing where there are too many cases,
else the commit: see spread.rs. UPDATE_WEIGHTS=1 writes the measured weights. FARHAND_WIDTH is the number of processors, if not all
are to be used.
"""

import os
import re
import subprocess
import sys
import time
from pathlib import Path

TOP = Path(__file__).resolve().parents[2]
WEIGHTS = TOP / "tests/image/weights"
LOGS = TOP / "out/log"
UNKNOWN = (60.0, 1.0)
# Even an idle guest takes memory, and sometimes many compute at once.
LEAST = 0.25
SLOWEST = 10


def weights():
    """Seconds and processors of each job, by its name."""
    lines = (line.split() for line in WEIGHTS.read_text().splitlines() if line and not line.startswith("#"))
    return {name: (float(seconds), float(cores)) for seconds, cores, name in lines}


def listed(binary, *args):
    command = [binary, "--list", "--format", "terse", *args]
    lines = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout.splitlines()
    return [line.removesuffix(": test") for line in lines if line.endswith(": test")]


class Job:
    """Tests that share a process: one, or several with an expensive fixture, in WEIGHTS as `NAME+NAME` or `MODULE::*`."""

    def __init__(self, name, tests, weight):
        self.name, self.tests = name, tests
        self.title = tests[0] if len(tests) == 1 else name
        self.expected, self.cores = weight
        self.log = LOGS / self.title.split("+")[0].replace("::", ".").replace("*", "all")
        self.seconds = self.busy = 0.0
        self.passed, self.ok = 0, False

    def start(self, binary):
        self.begin = time.monotonic()
        # Neither this process nor its children may outlive us.
        command = ["setpriv", "--pdeathsig", "KILL", binary, "--include-ignored", "--exact", "--nocapture", *self.tests]
        with open(self.log, "wb") as log:
            self.process = subprocess.Popen(command, cwd=TOP, stdin=subprocess.DEVNULL, stdout=log, stderr=log)

    def end(self, status, usage):
        self.process.returncode = os.waitstatus_to_exitcode(status)
        self.seconds = time.monotonic() - self.begin
        # Includes all children that it has waited for.
        self.busy = (usage.ru_utime + usage.ru_stime) / self.seconds
        said = self.log.read_text(errors="replace")
        found = re.findall(r"^test result: .* (\d+) passed; (\d+) failed;", said, re.MULTILINE)
        self.passed = int(found[-1][0]) if found else 0
        self.ok = self.process.returncode == 0 and self.passed == len(self.tests)
        if not self.ok:
            print(f"---- {self.title} ----\n{said}", flush=True)
        print(f"test {self.title} ... {'ok' if self.ok else 'FAILED'} ({self.seconds:.1f} s)", flush=True)


def jobs(names, known):
    shared = {part: name for name in known for part in name.split("+")}
    tests = {}
    for name in names:
        module = name[: name.rfind("::") + 2]
        tests.setdefault(shared.get(name) or shared.get(f"{module}*") or name, []).append(name)
    found = [Job(name, inside, known.get(name, UNKNOWN)) for name, inside in tests.items()]
    return sorted(found, key=lambda job: -job.expected)


def run(waiting, binary, width):
    """Runs all jobs; the longest waiting one that there is room for comes next."""
    running, done = {}, []
    while waiting or running:
        free = width - sum(job.cores for job in running.values())
        # A job that could use more than a processor starts with what the others leave, instead of waiting for all of them.
        fits = (job for job in waiting if not running or (min(job.cores, 1) <= free and len(running) < 2 * width))
        if job := next(fits, None):
            waiting.remove(job)
            job.cores = max(LEAST, job.cores)
            job.start(binary)
            running[job.process.pid] = job
            continue
        pid, status, usage = os.wait4(-1, 0)
        if job := running.pop(pid, None):
            job.end(status, usage)
            done.append(job)
    return done


def write(done, known):
    """Writes the measured weights; `known` has those of the tests that did not run."""
    kept = [line for line in WEIGHTS.read_text().splitlines() if line.startswith("#")]
    known = known | {job.name: (job.seconds, job.busy) for job in done if job.ok}
    rows = sorted(known.items(), key=lambda row: -row[1][0])
    WEIGHTS.write_text("\n".join(kept + [f"{seconds:6.1f} {cores:5.2f} {name}" for name, (seconds, cores) in rows]) + "\n")


def main():
    binary, filters = sys.argv[1], sys.argv[2:]
    names, known = listed(binary, *filters), weights()
    out = len(listed(binary)) - len(names)
    ignored = [] if os.environ.get("FARHAND_LONG") else listed(binary, "--ignored", *filters)
    names = [name for name in names if name not in ignored]
    if filters and not names:
        sys.exit(f"there is no image test named {' or '.join(filters)}")
    head = ["git", "rev-parse", "HEAD"]
    if not os.environ.get("FARHAND_SEED"):
        commit = subprocess.run(head, cwd=TOP, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True).stdout.strip()
        os.environ["FARHAND_SEED"] = commit or "none"
    width = float(os.environ.get("FARHAND_WIDTH") or len(os.sched_getaffinity(0)))
    LOGS.mkdir(parents=True, exist_ok=True)
    waiting = jobs(names, known)
    drawn = f"drawn by FARHAND_SEED={os.environ['FARHAND_SEED']}"
    print(f"\nrunning {len(names)} tests on {width:g} processors, {drawn}", flush=True)
    if not filters:
        for name in known.keys() - {job.name for job in jobs(listed(binary), known)}:
            print(f"{WEIGHTS.relative_to(TOP)}: there is no test {name}")
            del known[name]
    begin = time.monotonic()
    done = run(waiting, binary, width)
    seconds = time.monotonic() - begin
    if os.environ.get("UPDATE_WEIGHTS"):
        write(done, known)

    print("\nthe slowest:" if SLOWEST < len(done) else "")
    for job in sorted(done, key=lambda job: -job.seconds)[:SLOWEST]:
        print(f"{job.seconds:7.1f} s, {job.busy:4.2f} processors  {job.title}")
    failures = [job for job in done if not job.ok]
    if failures:
        print("\nfailures:")
        for job in failures:
            print(f"    {job.title}: see {job.log.relative_to(TOP)}")
    passed = sum(job.passed for job in done)
    failed = len(names) - passed
    result = "FAILED" if failures else "ok"
    counts = f"{passed} passed; {failed} failed; {len(ignored)} ignored; 0 measured; {out} filtered out"
    print(f"\ntest result: {result}. {counts}; finished in {seconds:.2f}s\n")
    sys.exit(101 if failures else 0)


main()
