"""The program as a user runs it: good runs end to end, and every kind of bad input.

Bad input must give one clear line that names file, line, value and remedy, the right exit code, no partial
output, and must leave existing files as they were.
"""

import ctypes
import errno
import gzip
import json
import os
import platform
import re
import resource
import struct
import subprocess
import tempfile
import unittest
from pathlib import Path

from toy_data import FEATURES, LABELS, synthetic

SLIDEKIT = os.environ["SLIDEKIT"]


def run(*arguments, limit=None, env=None):
    return subprocess.run(
        [SLIDEKIT, *map(str, arguments)],
        capture_output=True,
        text=True,
        timeout=120,
        env={**os.environ, **(env or {})},
        preexec_fn=limit,
        restore_signals=False,  # SIGXFSZ stays ignored: a file-size limit is then an error of write()
    )


def read_safetensors(path):
    raw = Path(path).read_bytes()
    (length,) = struct.unpack("<Q", raw[:8])
    return json.loads(raw[8 : 8 + length]), raw[8 + length :]


class Case(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.dir = Path(folder.name)
        self.train = self.dir / "train.txt"
        self.test = self.dir / "test.txt"
        self.train.write_text(synthetic(600, 1))
        self.test.write_text(synthetic(200, 2))

    def train_run(self, *options, **how):
        mix = () if "uniform" in options or "full" in options else ("--mix", "lsh=10,batch=5,uniform=5")
        return run("train", "--train", self.train, "--test", self.test, "--batch", 32, "--epochs", 4, "--lr", 0.01,
                   "--hidden", 16, "--seed", 7, *mix, *options, **how)

    def assert_fails(self, done, pattern, code=1):
        self.assertEqual(done.returncode, code, done.stderr)
        self.assertEqual(done.stdout, "")
        last = done.stderr.strip().splitlines()[-1]
        self.assertRegex(last, "^slidekit: ")
        self.assertRegex(last, pattern)


class GoodRuns(Case):
    def test_each_output_learns_and_fills_the_table(self):
        for output in ("lsh", "uniform", "full"):
            negatives = ("--negatives", 20) if output == "uniform" else ()
            done = self.train_run("--output", output, *negatives, "--epochs", 15, "--label-smoothing", 0.1)
            self.assertEqual(done.returncode, 0, done.stderr)
            header, row = done.stdout.splitlines()
            values = dict(zip(header.replace("train s", "train_s").replace("P@", "P").replace(" %", "").split()[:7],
                              row.split()))
            self.assertEqual(values["output"], output)
            self.assertGreater(float(values["P1"]), 60, done.stdout)

    def test_each_source_of_negatives_learns_and_is_logged(self):
        for source, correction in (("all", "logq"), ("met", "none"), ("popular", "logq")):
            log = self.dir / "run.jsonl"
            done = self.train_run("--output", "uniform", "--negatives", 20, "--epochs", 15, "--negatives-from", source,
                                  "--correction", correction, "--log", log)
            self.assertEqual(done.returncode, 0, done.stderr)
            options = json.loads(log.read_text().splitlines()[0])["options"]
            self.assertEqual((options["negatives-from"], options["correction"]), (source, correction))
            self.assertGreater(float(done.stdout.splitlines()[1].split()[3]), 60, done.stdout)

    def test_model_evaluates_predicts_and_inspects_as_trained(self):
        model, predictions = self.dir / "m.safetensors", self.dir / "p.txt"
        trained = self.train_run("--model", model)
        self.assertEqual(trained.returncode, 0, trained.stderr)
        evaluated = run("evaluate", "--model", model, "--test", self.test, "--top-k", "1,3,5")
        self.assertEqual(evaluated.returncode, 0, evaluated.stderr)
        precisions = re.findall(r"P@\d (\S+) %", evaluated.stdout)
        self.assertEqual(trained.stdout.splitlines()[1].split()[3:6], precisions)

        self.assertEqual(run("predict", "--model", model, "--input", self.test, "--top-k", 3, "--output", predictions).returncode, 0)
        lines = predictions.read_text().splitlines()
        self.assertEqual(len(lines), 200)
        hits = 0
        for line, point in zip(lines, self.test.read_text().splitlines()[1:]):
            items = [item.split(":") for item in line.split()]
            self.assertEqual(len(items), 3)
            scores = [float(score) for _, score in items]
            self.assertEqual(scores, sorted(scores, reverse=True))
            hits += items[0][0] in point.split(" ")[0].split(",")
        self.assertEqual(f"{hits / 2:.2f}", precisions[0])
        self.assertEqual(run("predict", "--model", model, "--input", self.test, "--top-k", 3).stdout, predictions.read_text())

        header, data = read_safetensors(model)
        self.assertEqual(header["output.weight"]["shape"], [LABELS, 16])
        self.assertEqual(max(t["data_offsets"][1] for name, t in header.items() if name != "__metadata__"), len(data))
        shown = run("inspect", model)
        self.assertRegex(shown.stdout, r"input\.weight\s+F32 40 x 16")
        self.assertRegex(run("inspect", self.train).stdout, r"points\s+600 \(0 without label")

    def test_retrieval_by_tables_comes_near_the_exact_precision(self):
        model = self.dir / "m.safetensors"
        self.train_run("--model", model, "--epochs", 15)
        p_at_1 = lambda done: float(re.search(r"P@1 (\S+) %", done.stdout)[1])
        ask = ("evaluate", "--model", model, "--test", self.test)
        exact = run(*ask)
        lsh = run(*ask, "--retrieval", "lsh", "--hash-k", 2, "--hash-l", 30)
        self.assertEqual(lsh.returncode, 0, lsh.stderr)
        self.assertGreater(p_at_1(lsh), 0.9 * p_at_1(exact))
        self.assertGreater(p_at_1(run(*ask, "--retrieval", "scan")), 0.97 * p_at_1(exact))
        self.assertRegex(exact.stderr, r"evaluated 200 points in \S+ s, \d+ points/s\n")
        self.assertRegex(lsh.stderr, r"30 tables, K = 2, of 60 rows")
        self.assertRegex(lsh.stderr, r"points/s; \d+ candidates a point, \S+ % of the labels")
        for hash_k in (2, 20):  # of 20 bits, hardly anything is found
            done = run("predict", "--model", model, "--input", self.test, "--retrieval", "lsh", "--hash-k", hash_k)
            self.assertEqual(done.returncode, 0, done.stderr)
            self.assertRegex(done.stdout, r"^((\d+:\S+( \d+:\S+)*)?\n){200}$")

    def test_retrieval_that_the_model_or_the_flags_do_not_allow(self):
        model = self.dir / "m.safetensors"
        self.train_run("--model", model, "--output", "full")
        for command in (("evaluate", "--test", self.test), ("predict", "--input", self.test)):
            ask = (*command, "--model", model)
            self.assert_fails(run(*ask, "--retrieval", "lsh"), r"m\.safetensors: the model has no hash tables.*exact")
            self.assert_fails(run(*ask, "--hash-l", 9), r"--hash-l.*--retrieval lsh", code=2)
            self.assert_fails(run(*ask, "--hash-k", 9), r"--hash-k.*--retrieval lsh", code=2)
            self.assert_fails(run(*ask, "--retrieval", "best"), r"--retrieval.*best", code=2)
            self.assert_fails(run(*ask, "--retrieval", "lsh", "--hash-k", 25), "--hash-k", code=2)

    def test_same_seed_gives_same_bits_at_any_number_of_threads(self):
        models = []
        for threads in (1, 2, 4, 2):
            model = self.dir / f"{threads}-{len(models)}.safetensors"
            self.assertEqual(self.train_run("--model", model, "--threads", threads).returncode, 0)
            models.append(model.read_bytes())
        self.assertEqual(len(set(models)), 1)
        other = self.dir / "other.safetensors"
        self.train_run("--model", other, "--seed", 8)
        self.assertNotEqual(other.read_bytes(), models[0])

    def test_any_number_of_domains_gives_the_same_bits(self):
        models = []
        for options in ([], ["--domains", 1], ["--domains", 2], ["--domains", 3, "--threads", 1],
                        ["--domains", 2, "--pin", "processor"], ["--domains", 2, "--placement", "first"]):
            model, log = self.dir / "model.safetensors", self.dir / "log.jsonl"
            done = self.train_run("--model", model, "--log", log, *options)
            self.assertEqual(done.returncode, 0, done.stderr)
            models.append(model.read_bytes())
            events = [json.loads(line) for line in log.read_text().splitlines()]
            if "--domains" in options:
                self.assertEqual(len(events[0]["domains"]), options[1])
            for region in events[0]["regions"]:
                self.assertIn(region["verified"], ("one node", "move_pages", "numa_maps", "unknown"))
                if "first" not in options:
                    self.assertEqual(region["misplaced_bytes"], 0, region)
            self.assertGreaterEqual(events[-1]["remote_row_share"], 0)
        self.assertEqual(len(set(models)), 1)

    def test_levels_agree_and_the_log_names_the_one_in_use(self):
        precisions = []
        for isa in ("scalar", "avx2", "avx512", "avx512bf16"):
            log = self.dir / "log.jsonl"
            done = self.train_run("--log", log, env={"SLIDEKIT_ISA": isa})
            self.assertEqual(done.returncode, 0, done.stderr)
            events = [json.loads(line) for line in log.read_text().splitlines()]
            if "cannot run" in done.stderr:
                continue
            self.assertEqual(events[0]["isa"], isa)
            precisions.append([e for e in events if e["event"] == "eval"][-1]["p_at_1"])
        self.assertLess(max(precisions) - min(precisions), 0.05)

    def test_log_holds_the_events_in_order(self):
        log = self.dir / "log.jsonl"
        self.train_run("--log", log, "--rebuild-first", 10)
        events = [json.loads(line) for line in log.read_text().splitlines()]
        kinds = [event["event"] for event in events]
        self.assertEqual(kinds[0], "run")
        self.assertEqual(kinds[-1], "done")
        for kind in ("step", "rebuild", "eval"):
            self.assertIn(kind, kinds)
        self.assertEqual(events[-1]["samples"], 4 * 600)
        recalls = [event["label_recall"] for event in events if "label_recall" in event]
        self.assertTrue(recalls and all(0 <= recall <= 1 for recall in recalls))

    def test_log_ends_with_counters_or_the_reason_why_there_are_none(self):
        log = self.dir / "log.jsonl"
        self.train_run("--log", log)
        telemetry = json.loads(log.read_text().splitlines()[-1])["telemetry"]
        self.assertGreater(telemetry["seconds"], 0)
        self.assertLessEqual({"cycles", "instructions", "llc_misses", "dtlb_load_misses", "remote_accesses"},
                             set(telemetry["counters"]))
        self.assertIn("thp_fault_alloc", telemetry["vmstat"])
        for name, value in {**telemetry["counters"], **telemetry["vmstat"]}.items():
            self.assertEqual(value is None, name in telemetry["unavailable"], name)

    def test_gz_crlf_and_cache_give_the_same_model(self):
        models = []
        for variant in ("plain", "cached", "gz", "crlf"):
            if variant == "gz":
                text = self.train.read_bytes()
                self.train = self.dir / "train.gz"
                self.train.write_bytes(gzip.compress(text))
            if variant == "crlf":
                self.train = self.dir / "crlf.txt"
                self.train.write_bytes(text.replace(b"\n", b"\r\n"))
            model = self.dir / f"{variant}.safetensors"
            self.assertEqual(self.train_run("--model", model).returncode, 0)
            models.append(model.read_bytes())
        self.assertEqual(len(set(models)), 1)

    def test_points_without_labels_or_features_are_accepted_and_counted(self):
        with self.train.open("a") as text:
            text.write(" 3:1 4:1\n5\n")
        lines = self.train.read_text().splitlines()
        lines[0] = f"602 {FEATURES} {LABELS}"
        self.train.write_text("\n".join(lines) + "\n")
        done = self.train_run()
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertIn("1 points have no label, 1 no feature", done.stderr)

    def test_auto_says_what_it_chose(self):
        done = self.train_run()
        self.assertIn("exact (auto); of all neurons met the best 10 by dot", done.stderr)
        done = self.train_run("--centre", "on")  # means something with tables only
        self.assertIn("sampling: top-k (auto); 50 (auto) tables", done.stderr)
        done = self.train_run("--sampling", "top-k")
        self.assertRegex(done.stderr, r"50 \(auto\) tables of simhash, K = 1 \(auto\), buckets of at most 128 \(auto\)")
        self.assertIn("first rebuilt after 50 (auto) steps", done.stderr)
        done = self.train_run("--hash-l", 20, "--hash-k", 3, "--bucket-cap", 0, "--rebuild-drift", 0.25)
        self.assertIn("20 tables of simhash, K = 3, buckets of at most 0, rebuilt when 25 % of", done.stderr)

    def test_rebuilds_of_every_kind_are_logged_with_their_work(self):
        for flags in (("--rebuild", "background"), ("--rebuild-growth", 0), ("--redraw-every", 2), ("--bucket-policy", "fifo")):
            log = self.dir / "log"
            done = self.train_run("--log", log, "--rebuild-first", 10, *flags)
            self.assertEqual(done.returncode, 0, done.stderr)
            events = [json.loads(line) for line in log.read_text().splitlines()]
            rebuilds = [event for event in events if event["event"] == "rebuild"]
            self.assertGreater(len(rebuilds), 1)
            blocking = "background" not in flags
            self.assertEqual(rebuilds[-1]["steps"] == 0, blocking)
            self.assertEqual(rebuilds[-1]["background_seconds"] == 0, blocking)
            self.assertLessEqual(rebuilds[-1]["buckets_used_share"], 1)
            self.assertEqual(events[0]["options"]["rebuild-first"], 10)

    def test_stops_after_max_seconds_and_says_so(self):
        done = self.train_run("--epochs", 100000, "--max-seconds", 0.2)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertIn("stopped by --max-seconds", done.stdout)

    def test_works_without_huge_pages_on_one_thread_in_2_gb(self):
        limit = lambda: resource.setrlimit(resource.RLIMIT_AS, (2 << 30, 2 << 30))
        done = self.train_run("--huge-pages", "never", "--threads", 1, limit=limit)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertIn("on 4K", done.stderr)


class Refused(ctypes.Structure):
    _fields_ = [("length", ctypes.c_ushort), ("filter", ctypes.c_char_p)]


def refuse(call):
    """For `limit`: the kernel answers the system call with EPERM, as in a container with a seccomp filter."""
    numbers = {"x86_64": {"mbind": 237, "madvise": 28, "perf_event_open": 298},
               "aarch64": {"mbind": 235, "madvise": 233, "perf_event_open": 241}}[platform.machine()]

    def limit():
        lines = ((0x20, 0, 0, 0), (0x15, 0, 1, numbers[call]), (0x06, 0, 0, 0x50000 | errno.EPERM),
                 (0x06, 0, 0, 0x7FFF0000))
        program = Refused(len(lines), b"".join(struct.pack("HBBI", *line) for line in lines))
        prctl = ctypes.CDLL(None).prctl
        assert prctl(38, 1, 0, 0, 0) == 0 and prctl(22, 2, ctypes.byref(program)) == 0

    return limit


class Doctor(Case):
    CODES = {"ok": 0, "degraded": 1, "broken": 2}

    def examine(self, *options, **how):
        done = run("doctor", "--json", *options, **how)
        seen = json.loads(done.stdout)
        self.assertEqual(done.returncode, self.CODES[seen["status"]], done.stdout)
        return seen

    def findings(self, seen, severity):
        return "\n".join(f["what"] + "; " + f["mend"] for f in seen["findings"] if f["severity"] == severity)

    def test_the_object_has_its_fields_and_the_page_the_same_status(self):
        seen = self.examine()
        self.assertLessEqual({"status", "kernel", "isa", "processors", "quota", "threads", "unbound", "domains",
                              "memory_only", "topology_note", "tbb", "memory", "pages", "system_calls", "counters",
                              "jemalloc", "probes", "findings"}, set(seen))
        self.assertIn(seen["isa"]["active"], seen["isa"]["available"])
        self.assertEqual(len(seen["probes"]), len(seen["domains"]))
        for probe in seen["probes"]:
            self.assertEqual(sum(probe["bytes_by_node"].values()) + probe["unverified_bytes"], probe["bytes"])
        for finding in seen["findings"]:
            self.assertTrue(all(finding.values()), finding)
        page = run("doctor")
        self.assertEqual(page.returncode, self.CODES[seen["status"]])
        self.assertTrue(page.stdout.startswith(f"slidekit doctor: {seen['status']}\n"), page.stdout)
        self.assertEqual(page.stdout.count("\ndomain "), len(seen["domains"]))

    def test_options_of_the_machine_are_followed(self):
        seen = self.examine("--threads", 3, "--huge-pages", "never", env={"SLIDEKIT_ISA": "scalar"})
        self.assertEqual((seen["threads"], seen["isa"]["active"]), (3, "scalar"))
        self.assertEqual(seen["probes"][0]["pages"], "4K")
        self.assertIn("--huge-pages never", self.findings(seen, "info"))
        self.assert_fails(run("doctor", "--isa", "mmx"), "mmx", code=2)
        self.assert_fails(run("doctor", "--jason"), "--jason.*slidekit doctor --help", code=2)

    def test_another_machine_by_description(self):
        machine = {"HWLOC_SYNTHETIC": "pack:2 [numa(memory=1GB)] core:2 pu:1", "HWLOC_THISSYSTEM": "0"}
        seen = self.examine(env=machine)
        self.assertEqual([d["cpus"] for d in seen["domains"]], ["0-1", "2-3"])
        self.assertEqual([(d["node"], d["tbb_id"], d["package"]) for d in seen["domains"]], [(0, 0, 0), (1, 1, 1)])

    def test_a_description_that_cannot_be_followed_is_degraded(self):
        for also in ({}, {"HWLOC_COMPONENTS": "xml,stop"}):
            seen = self.examine(env={"HWLOC_XMLFILE": "/nonexistent/machine.xml", **also})
            self.assertEqual(seen["status"], "degraded")
            self.assertRegex(self.findings(seen, "degraded"), "HWLOC_XMLFILE=/nonexistent/machine.xml.*unset HWLOC_XML")
            self.assertGreaterEqual(seen["processors"], 1)

    def test_one_processor(self):
        last = max(os.sched_getaffinity(0))
        seen = self.examine(limit=lambda: os.sched_setaffinity(0, {last}))
        self.assertEqual((seen["processors"], seen["threads"], seen["domains"][0]["cpus"]), (1, 1, str(last)))

    def test_refused_calls_are_named_and_their_weight_is_judged(self):
        two_nodes = {"HWLOC_SYNTHETIC": "numa:2 pu:1", "HWLOC_THISSYSTEM": "0"}
        seen = self.examine(limit=refuse("mbind"), env=two_nodes)
        self.assertEqual(seen["system_calls"]["mbind"], "Operation not permitted")
        self.assertRegex(self.findings(seen, "degraded"), "mbind.*SYS_NICE")
        seen = self.examine(limit=refuse("perf_event_open"))
        self.assertRegex(self.findings(seen, "info"), "perf_event_open.*perf_event_paranoid")
        self.assertNotIn("perf_event_open", self.findings(seen, "degraded"))
        self.assertRegex(seen["counters"]["cycles"], "container|paranoid")

    def test_no_huge_pages_is_degraded_and_no_memory_is_broken(self):
        seen = self.examine(limit=lambda: ctypes.CDLL(None).prctl(41, 1, 0, 0, 0))  # PR_SET_THP_DISABLE
        if all(probe["pages"] == "4K" for probe in seen["probes"]):
            self.assertRegex(self.findings(seen, "degraded"), "huge pages are off for this process")
        seen = self.examine("--huge-pages", "never", limit=refuse("madvise"))
        self.assertEqual(seen["status"], "broken")
        self.assertRegex(self.findings(seen, "broken"), "domain 0: probe: 8388608 bytes.*not permitted")


class BadFiles(Case):
    def fails_with_train(self, content, pattern):
        self.train.write_bytes(content if isinstance(content, bytes) else content.encode())
        model, log = self.dir / "m.safetensors", self.dir / "log"
        model.write_text("precious")
        log.write_text("precious")
        self.assert_fails(self.train_run("--model", model, "--log", log), pattern)
        self.assertEqual(model.read_text() + log.read_text(), "preciousprecious")
        self.assertEqual(sorted(p.name for p in self.dir.iterdir() if "cache" not in p.name),
                         ["log", "m.safetensors", "test.txt", "train.txt"])

    def test_text_that_departs_from_the_format(self):
        head = f"2 {FEATURES} {LABELS}\n"
        for content, pattern in [
            ("", r"train\.txt.*empty"),
            ("hello\n", r"train\.txt:1: "),
            ("2 40\n1 2:3\n1 2:3\n", r"train\.txt:1: "),
            (head + "1 2:3\n", r"train\.txt.*1 .*2"),  # fewer points than the header says
            (head + "1 2:3\n" * 3, r"train\.txt:4: "),
            (head + "1 2:3\n60 2:3\n", r"train\.txt:3: label 60 out of range.*0\.\.59"),
            (head + "1 40:3\n1 2:3\n", r"train\.txt:2: feature 40 out of range.*0\.\.39"),
            (head + "1 2:nan\n1 2:3\n", r"train\.txt:2: .*nan"),
            (head + "1 2:inf\n1 2:3\n", r"train\.txt:2: .*inf"),
            (head + "1 2:1e99\n1 2:3\n", r"train\.txt:2: .*1e99"),
            (head + "1 -2:3\n1 2:3\n", r"train\.txt:2: .*-2"),
            (head + "-1 2:3\n1 2:3\n", r"train\.txt:2: .*-1"),
            (head + "1 x:3\n1 2:3\n", r"train\.txt:2: .*x"),
            (head + "1 2:y\n1 2:3\n", r"train\.txt:2: .*y"),
            (head + "1 2\n1 2:3\n", r"train\.txt:2: "),
            (head + "99999999999 2:3\n1 2:3\n", r"train\.txt:2: .*99999999999"),
            (head + "1 99999999999:3\n1 2:3\n", r"train\.txt:2: .*99999999999"),
            ("99999999999 40 60\n1 2:3\n", r"train\.txt:1: .*99999999999"),
            ("4000000000 40 60\n1 2:3\n", r"train\.txt"),
            ("2 0 60\n1\n1\n", r"train\.txt:1: "),
            (gzip.compress((head + "1 2:3\n1 2:3\n").encode())[:-12], r"train\.txt"),
        ]:
            with self.subTest(content=content[:60]):
                self.fails_with_train(content, pattern)

    def test_line_of_100_mb(self):
        self.fails_with_train(f"2 {FEATURES} {LABELS}\n1 " + "2:3 " * 25_000_000 + "\n1 2:3\n", r"train\.txt:2: ")

    def test_missing_file_and_folder_in_place_of_a_file(self):
        for train in (self.dir / "nowhere.txt", self.dir):
            self.assert_fails(run("train", "--train", train, "--test", self.test), re.escape(str(train)))

    def test_data_of_other_widths(self):
        self.test.write_text("1 41 60\n1 2:3\n")
        self.assert_fails(self.train_run(), r"test\.txt: 41 features and 60 labels")

    def test_model_that_is_foreign_torn_or_of_other_shapes(self):
        model = self.dir / "m.safetensors"
        self.train_run("--model", model)
        whole = model.read_bytes()
        torn, foreign, empty = self.dir / "torn", self.dir / "foreign", self.dir / "empty"
        torn.write_bytes(whole[: len(whole) // 2])
        foreign.write_bytes(b"\x89PNG" + bytes(100))
        empty.write_bytes(b"")
        for bad in (torn, foreign, empty, self.dir / "missing", self.train):
            for command in (("evaluate", "--test", self.test), ("predict", "--input", self.test)):
                self.assert_fails(run(*command, "--model", bad), re.escape(str(bad)))
        self.test.write_text("1 41 60\n1 2:3\n")
        self.assert_fails(run("evaluate", "--model", model, "--test", self.test), "40 features and 60 labels.*41 and 60")
        self.assert_fails(run("predict", "--model", model, "--input", self.test), "40 features.*41")

    def test_output_that_cannot_be_written(self):
        nowhere = self.dir / "no" / "such" / "folder" / "x"
        for flag in ("--model", "--log"):
            self.assert_fails(self.train_run(flag, nowhere), re.escape(str(nowhere)))
        self.assert_fails(self.train_run("--log", "/dev/full"), "/dev/full.*No space left")

    def test_full_disk_leaves_the_old_model_and_no_fragment(self):
        model, predictions = self.dir / "m.safetensors", self.dir / "p.txt"
        self.train_run("--model", model)
        before = model.read_bytes()
        limit = lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (2000, 2000))
        done = self.train_run("--model", model, "--cache", "ignore", "--seed", 9, limit=limit)
        self.assert_fails(done, re.escape(str(model)))
        self.assertEqual(model.read_bytes(), before)
        predictions.write_text("precious")
        done = run("predict", "--model", model, "--input", self.test, "--output", predictions, "--cache", "ignore", limit=limit)
        self.assert_fails(done, re.escape(str(predictions)))
        self.assertEqual(predictions.read_text(), "precious")
        self.assertEqual([p.name for p in self.dir.iterdir() if "partial" in p.name or "tmp" in p.name], [])


class BadUsage(Case):
    def test_domains_that_cannot_be(self):
        self.assert_fails(self.train_run("--domains", 65), r"--domains.*65", code=2)
        self.assert_fails(self.train_run("--placement", "node0"), r"--placement.*node0", code=2)
        self.assert_fails(self.train_run("--pin", "all"), r"--pin.*all", code=2)
        self.assert_fails(self.train_run("--domains", 2, "--sampling", "standout"), r"standout.*one domain", code=2)

    def test_flags_with_a_mistake(self):
        for flags, pattern in [
            (("--hash-k", 0), "--hash-k"),
            (("--hash-k", "many"), "--hash-k.*many"),
            (("--hash-k", 99), "99"),
            (("--hash-l", 0), "--hash-l"),
            (("--hash", "pstable", "--hash-width", 0), "--hash-width"),
            (("--hash", "doph", "--hash-k", 65), "65 codes of DOPH"),
            (("--hash", "dwta", "--hash-probes", 4), "hash probes.*4 buckets.*hash family DWTA"),
            (("--hash-k", 4, "--hash-probes", 4, "--correction", "logq"), "correction.*hash probes"),
            (("--hash-l", "many"), "--hash-l.*many"),
            (("--hash-l", 5000), "5000"),
            (("--hash-l", 4096, "--hash-k", 24), "--hash-l.*--hash-k 24 take"),  # 512 GB
            (("--bucket-cap", "-1"), "--bucket-cap.*-1"),
            (("--bucket-policy", "lifo"), "--bucket-policy.*lifo"),
            (("--rebuild", "never"), "--rebuild.*never"),
            (("--rebuild-first", 0), "--rebuild-first.*0"),
            (("--rebuild-drift", 1.5), "--rebuild-drift"),
            (("--rebuild-drift", 0.3, "--rebuild-first", 9), "--rebuild-first excludes --rebuild-drift"),
            (("--rebuild-growth", 0, "--rebuild-drift", 0.3), "--rebuild-growth excludes --rebuild-drift"),
            (("--hidden", 0), "--hidden"),
            (("--hidden", -5), "--hidden"),
            (("--batch", 0), "--batch"),
            (("--batch", 601), "601.*600"),
            (("--epochs", 0), "--epochs"),
            (("--lr", 0), "--lr"),
            (("--lr", "fast"), "--lr"),
            (("--mix", "lsh=1,foo=2"), "--mix.*foo"),
            (("--mix", "lsh=0"), "--mix"),
            (("--mix", "lsh=0,batch=5,uniform=5"), "--mix.*--output is lsh"),
            (("--mix", "lsh=3000"), "--mix.*lsh=3000.*labels"),
            (("--output", "uniform", "--sampling", "vanilla"), "--sampling.*--output is uniform"),
            (("--output", "full", "--negatives", 10), "--negatives.*--output is full"),
            (("--threshold", 3), "--threshold.*--sampling threshold"),
            (("--sampling", "nearest"), "--sampling.*nearest is none of auto, exact"),
            (("--sampling", "exact", "--rank", "count"), "--rank.*--sampling exact"),
            (("--sampling", "union", "--rank", "count"), "--rank.*--sampling is union"),
            (("--hash", "dwta", "--correction", "logq"), "correction.*SimHash"),
            (("--output", "half"), "--output"),
            (("--optimizer", "adamw"), "--optimizer.*adamw"),
            (("--precision", "fp8"), "--precision.*fp8"),
            (("--feature-dropout", 1), "--feature-dropout"),
            (("--label-smoothing", 1), "--label-smoothing"),
            (("--isa", "mmx"), "--isa.*mmx"),
            (("--no-such-flag",), "no-such-flag"),
            (("--resume",), "resume"),  # not built: absent, not ignored
        ]:
            with self.subTest(flags=flags):
                self.assert_fails(self.train_run(*flags), pattern, code=2)

    def test_a_mistake_that_only_the_data_shows_leaves_the_log_as_it_was(self):
        log = self.dir / "log"
        log.write_text("precious")
        self.assert_fails(self.train_run("--log", log, "--batch", 601), "601.*600", code=2)
        self.assertEqual(log.read_text(), "precious")

    def test_missing_arguments_and_commands(self):
        self.assert_fails(run(), "subcommand", code=2)
        self.assert_fails(run("trian"), "trian|subcommand", code=2)
        self.assert_fails(run("train", "--train", self.train), "--test", code=2)
        self.assert_fails(run("evaluate", "--model", "m"), "--test", code=2)

    def test_help_is_no_error(self):
        for arguments in (("--help",), ("train", "--help"), ("--version",)):
            done = run(*arguments)
            self.assertEqual(done.returncode, 0)
            self.assertTrue(done.stdout)

    def test_unknown_level_in_the_environment_is_said_and_survived(self):
        done = self.train_run(env={"SLIDEKIT_ISA": "mmx"})
        self.assertEqual(done.returncode, 0)
        self.assertIn("SLIDEKIT_ISA names no known level", done.stderr)


if __name__ == "__main__":
    unittest.main(verbosity=2)
