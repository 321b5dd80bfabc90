"""The scripts, on small inputs: the data recipe, the counting of tests, the summary, the tables, the symbol gate,
the list of kernels."""

import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

SCRIPTS = Path(__file__).resolve().parents[2] / "scripts"
sys.path.insert(0, str(SCRIPTS))

import count_tests
import get_data


def run(script, *arguments):
    return subprocess.run([sys.executable, SCRIPTS / script, *map(str, arguments)], capture_output=True, text=True)


class Folder(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.dir = Path(folder.name)


class StepProfile(Folder):
    def log(self, output):
        stages = {"select": 0.2, "group": 0.1, "forward": 0.1, "backward": 0.4}
        events = [{"event": "run", "threads": 2, "options": {"output": output, "hidden": 100, "batch": 10}}]
        events += [{"event": "step", "step": step, "rows_touched": 1e6, "active_per_sample": 5e5, "stage_seconds": stages}
                   for step in (2, 4)]
        events += [{"event": "rebuild", "candidates_per_sample": 1000}]
        file = self.dir / "log"
        file.write_text("".join(json.dumps(event) + "\n" for event in events))
        return file

    def test_works_out_rates_and_the_share_of_the_limit(self):
        done = run("step_profile.py", self.log("lsh"), "--update-ns", 100)
        self.assertEqual(done.returncode, 0, done.stderr)
        backward = next(line.split() for line in done.stdout.splitlines() if line.startswith("backward"))
        # 0.2 s a step; 1e6 rows x 2,400 B; 4 x 100 x 5e6 + 14 x 100 x 1e6 operations; 0.05 s at the limit
        self.assertEqual(backward, ["backward", "200.00", "50.0", "%", "2400.0", "12.0", "3400.0", "17.0", "25", "%"])

    def test_refuses_what_is_no_log_of_lsh(self):
        for file in (self.log("full"), self.dir / "missing"):
            done = run("step_profile.py", file)
            self.assertEqual(done.returncode, 1)
            self.assertIn("give a log", done.stderr)


class GetData(Folder):
    def write_dictionary(self, **files):
        for name in get_data.FILES.values():
            (self.dir / name).write_text("  1 licence\n" + files.get(name.replace(".", "_"), ""))

    def test_reads_words_pointers_and_gloss(self):
        self.write_dictionary(
            data_noun="00000001 03 n 02 Dog 0 hound(a) 1 002 @ 00000002 n 0000 ! 00000003 s 0101 | a pet; \"it's\" \n",
            data_adj="00000003 00 s 01 canine 0 000 | of dogs\n")
        synsets = get_data.read_synsets(self.dir)
        self.assertEqual(synsets["n00000001"],
                         (["dog", "hound"], [("@", "n00000002"), ("!", "a00000003")], " a pet; \"it's\" "))
        self.assertEqual(synsets["a00000003"][0], ["canine"])

    def test_labels_leave_out_groups_of_many_targets(self):
        synsets = {f"n{i}": ([f"word{i}"], [], "") for i in range(40)}
        synsets["n0"] = (["root"], [("~", f"n{i}") for i in range(1, 34)] + [("@", "n39")], "")
        self.assertEqual(get_data.labels_of(synsets, "n0"), ["root", "word39"])
        synsets["n0"] = (["root"], [("~", f"n{i}") for i in range(1, 33)], "")
        self.assertEqual(len(get_data.labels_of(synsets, "n0")), 33)

    def test_tokens_are_words_of_two_letters_or_more(self):
        self.assertEqual(get_data.tokens_of("A dog's 2nd ball-game"), ["dog", "nd", "ball", "game"])

    def test_builds_a_small_set_in_xmc_text(self):
        lines = "".join(f"{i:08} 03 v 01 run{i % 3} 0 000 01 + 02 00 | move fast and far {'far ' * (i % 2)}\n" for i in range(40))
        self.write_dictionary(data_verb=lines)
        get_data.build(self.dir, self.dir, "v", 1)
        header, *points = (self.dir / "train.txt").read_text().splitlines()
        self.assertEqual(header, f"{len(points)} 4 3")
        for point in points:
            values = [float(item.split(":")[1]) for item in point.split()[1:]]
            self.assertAlmostEqual(sum(value * value for value in values), 1, places=3)
        test = (self.dir / "test.txt").read_text().splitlines()
        self.assertEqual(len(points) + len(test) - 1, 40)

    def test_wrong_package_and_wrong_flags_fail_with_one_line_and_leave_nothing(self):
        package, out = self.dir / "x.deb", self.dir / "out"
        package.write_text("no package")
        for arguments, pattern in [(("--deb", package), "x.deb.*no usable"), (("--deb", self.dir / "nowhere"), "no such file"),
                                   (("--pos", "xyz"), "--pos"), (("--min-label-points", 0), "--min-label-points")]:
            with self.subTest(arguments=arguments):
                done = run("get_data.py", "wordnet-related", out, *arguments)
                self.assertNotEqual(done.returncode, 0)
                self.assertRegex(done.stderr.strip().splitlines()[-1], pattern)
                self.assertEqual(list(out.iterdir()) if out.exists() else [], [])


class CountTests(Folder):
    def write_logs(self, programs, suites):
        logs = self.dir / "meson-logs"
        logs.mkdir(exist_ok=True)
        (logs / "testlog.json").write_text("".join(json.dumps(program) + "\n" for program in programs))
        (logs / "testlog.junit.xml").write_text(f"<testsuites>{suites}</testsuites>")

    @staticmethod
    def program(name, result, returncode=0):
        return {"name": f"slidekit:unit / {name}", "result": result, "returncode": returncode}

    def test_counts_cases_of_googletest_and_other_programs_once(self):
        self.write_logs(
            [self.program("a", "OK"), self.program("lint", "OK"), self.program("vm", "SKIP")],
            '<testsuite name="slidekit.slidekit:unit / a.Suite"><testcase name="one"/><testcase name="two"/>'
            '<testcase name="three"><skipped/></testcase></testsuite>')
        self.assertEqual(count_tests.count(self.dir), [3, 0, 2])

    def test_failed_and_crashed_programs_count_as_failures(self):
        self.write_logs(
            [self.program("a", "FAIL", 1), self.program("crashed", "FAIL", -6), self.program("slow", "TIMEOUT", -15)],
            '<testsuite name="slidekit.slidekit:unit / a.Suite"><testcase name="one"/><testcase name="two"><failure/></testcase></testsuite>')
        self.assertEqual(count_tests.count(self.dir), [1, 3, 0])

    def test_cases_of_an_earlier_run_do_not_count_for_a_crashed_program(self):
        # -6: a signal. 1 without a failed case: a sanitizer's exit.
        for returncode in (-6, 1):
            self.write_logs(
                [self.program("a", "FAIL", returncode)],
                '<testsuite name="slidekit.slidekit:unit / a.Suite"><testcase name="one"/></testsuite>')
            self.assertEqual(count_tests.count(self.dir), [0, 1, 0])

    def test_disabled_cases_do_not_count_and_a_build_without_a_log_is_a_failure(self):
        self.write_logs([self.program("a", "OK")], '<testsuite name="slidekit.slidekit:unit / a.Suite">'
                        '<testcase name="one" status="run"/><testcase name="two" status="notrun"/></testsuite>')
        self.assertEqual(count_tests.count(self.dir), [1, 0, 0])
        done = run("count_tests.py", self.dir, self.dir / "nowhere")
        self.assertEqual((done.stdout, done.returncode), ("1 passed, 1 failed\n", 1))
        self.assertIn("no tests ran", done.stderr)

    def test_ends_with_the_line_and_fails_where_none_ran(self):
        self.write_logs([self.program("a", "OK")], "")
        done = run("count_tests.py", self.dir)
        self.assertEqual((done.stdout, done.returncode), ("1 passed, 0 failed\n", 0))
        self.write_logs([], "")
        done = run("count_tests.py", self.dir)
        self.assertEqual((done.stdout, done.returncode), ("0 passed, 0 failed\n", 1))


class Summary(Folder):
    def test_makes_a_row_a_log_and_marks_runs_out_of_time(self):
        log = self.dir / "full.jsonl"
        events = [{"event": "run", "options": {"output": "full"}, "labels": 200},
                  {"event": "eval", "p_at_1": 0.3, "p_at_3": 0.2, "p_at_5": 0.1},
                  {"event": "done", "epochs": 1.5, "train_seconds": 9, "samples_per_second": 77, "active_per_sample": 200,
                   "peak_rss_bytes": 3e6, "out_of_time": True}]
        log.write_text("".join(json.dumps(event) + "\n" for event in events))
        done = run("summarize_runs.py", log)
        self.assertRegex(done.stdout, r"full\*\s+1\.50\s+9\.0\s+77\s+30\.00\s+20\.00\s+10\.00\s+100\.000\s+-\s+3 MB")
        log.write_text(json.dumps(events[0]) + "\n")
        done = run("summarize_runs.py", log)
        self.assertEqual(done.returncode, 1)
        self.assertIn("did not end", done.stderr)

    def write_run(self, name, rate, curve, **more):
        events = [{"event": "run", "options": {"output": "lsh"}, "labels": 200}]
        events += [{"event": "eval", "train_seconds": seconds, "points": 50, "p_at_1": p, "p_at_3": 0, "p_at_5": 0, **more}
                   for seconds, p in curve]
        events += [{"event": "rebuild", "seconds": seconds} for seconds in (0.1, 0.2, 0.9)]
        events += [{"event": "done", "epochs": 1, "train_seconds": curve[-1][0], "samples_per_second": rate,
                    "active_per_sample": 20, "peak_rss_bytes": 1, "out_of_time": False}]
        log = self.dir / f"{name}.jsonl"
        log.write_text("".join(json.dumps(event) + "\n" for event in events))
        return log

    def test_reads_marks_between_evaluations_and_never_past_them(self):
        logs = [self.write_run("a", 600, [(10, 0.1), (20, 0.3), (40, 0.2)], seconds=0.5),
                self.write_run("b.1", 100, [(5, 0.29), (15, 0.3)]), self.write_run("b.2", 200, [(12, 0), (15, 0.05)])]
        done = run("summarize_runs.py", "--marks", "15,30", "--baseline", "b", "--target", "a", *logs)
        self.assertEqual(done.returncode, 0, done.stderr)
        table = [re.split(r"  +", line) for line in done.stdout.split("\n\n")[1].splitlines()]
        self.assertEqual(table[0], ["run", "samples/s, b = 1", "P@1 % at 15 s", "P@1 % at 30 s", "s to 28.50 %",
                                    "evaluation, points/s", "rebuild, ms"])
        self.assertEqual(table[1], ["a", "4.00", "20.00", "25.00", "19.2", "100", "200"])
        self.assertEqual(table[2], ["b.1", "0.67", "30.00", "-", "<= 5.0", "-", "200"])
        self.assertEqual(table[3], ["b.2", "1.33", "5.00", "-", "-", "-", "200"])

    def test_names_what_it_cannot_compare_with(self):
        log = self.write_run("a", 1, [(1, 0)])
        done = run("summarize_runs.py", "--target", "c", log)
        self.assertEqual((done.returncode, done.stderr), (1, 'summarize_runs.py: --target: no log of "c" among a\n'))
        done = run("summarize_runs.py", "--marks", "x", log)
        self.assertEqual(done.returncode, 2)
        self.assertIn('"x" is no list of seconds', done.stderr)


class PytorchBaseline(Folder):
    """What needs no PyTorch: a module of its name that is none stands in its place."""

    def baseline(self, *arguments):
        (self.dir / "torch.py").write_text("raise ImportError(name='torch')\n")
        (self.dir / "numpy.py").write_text("")
        return subprocess.run([sys.executable, SCRIPTS / "baselines/pytorch_softmax.py", *map(str, arguments)],
                              capture_output=True, text=True, env={**os.environ, "PYTHONPATH": str(self.dir)})

    def test_help_names_the_options_of_slidekit(self):
        done = self.baseline("--help")
        self.assertEqual(done.returncode, 0, done.stderr)
        for option in ("--train", "--test", "--hidden", "--batch", "--negatives", "--lr", "--epochs", "--max-seconds",
                       "--threads", "--eval-points", "--eval-every", "--seed", "--log"):
            self.assertIn(option + " ", done.stdout)

    def test_wrong_arguments_are_usage_errors_that_name_them(self):
        for arguments, pattern in [((), "--train"), (("--output", "lsh"), "--output.*lsh.*full.*uniform"),
                                   (("--batch", "0"), '--batch: "0" is no whole number from 1 on'),
                                   (("--lr", "-1"), "--lr"), (("--lr", "inf"), "--lr"), (("--max-seconds", "nan"), "--max-seconds"),
                                   (("--threads", "two"), '--threads: "two"'), (("--fast",), "--fast")]:
            with self.subTest(arguments=arguments):
                needed = ("--train", "a", "--test", "b") if arguments else ()
                done = self.baseline(*needed, *arguments)
                self.assertEqual(done.returncode, 2, done.stderr)
                self.assertRegex(done.stderr.strip().splitlines()[-1], pattern)

    def test_says_how_to_install_what_is_missing(self):
        done = self.baseline("--train", "a", "--test", "b")
        self.assertEqual((done.returncode, done.stdout), (1, ""))
        self.assertRegex(done.stderr, "^pytorch_softmax.py: torch is missing; run scripts/setup.sh --with pytorch")


class Gates(Folder):
    def test_layer_check_fails_on_a_planted_include(self):
        self.assertEqual(run("check_layers.py", "--self-test").returncode, 0)
        done = run("check_layers.py", self.dir)
        self.assertEqual(done.returncode, 1)
        self.assertIn("no kernels and runtime", done.stderr)

    @unittest.skipUnless(shutil.which("g++") and shutil.which("nm"), "needs g++ and nm")
    def test_symbol_gate_fails_on_a_planted_weak_symbol(self):
        self.assertEqual(run("check_isa_symbols.py", "--self-test").returncode, 0)
        self.assertEqual(run("check_isa_symbols.py", self.dir / "none.a").returncode, 1)


class KernelList(Folder):
    def setUp(self):
        super().setUp()
        shutil.copytree(SCRIPTS.parent / "kernels", self.dir / "kernels")

    def edit(self, name, old, new):
        file = self.dir / "kernels" / name
        text = file.read_text()
        self.assertIn(old, text)
        file.write_text(text.replace(old, new, 1))

    def test_fails_where_the_kept_header_is_not_what_the_list_says(self):
        self.assertEqual(run("kernel_list.py", self.dir / "kernels", "header", "--check").returncode, 0)
        self.edit("src/kernels.def", "SLIDEKIT_KERNEL(axpy, void, (float a,", "SLIDEKIT_KERNEL(axpy, void, (double a,")
        done = run("kernel_list.py", self.dir / "kernels", "header", "--check")
        self.assertEqual(done.returncode, 1)
        self.assertIn("run: scripts/kernel_list.py kernels header", done.stderr)

    def test_names_the_kernel_whose_contract_is_wrong(self):
        self.edit("src/kernels.def", '"x[dim], y[dim]", near,', '"x[dim], z[dim]", near,')
        done = run("kernel_list.py", self.dir / "kernels", "checks", self.dir / "out.hpp")
        self.assertEqual(done.returncode, 1)
        self.assertIn('dot: the contract speaks of "z", which is no parameter', done.stderr)
        self.assertFalse((self.dir / "out.hpp").exists())

    def test_checks_follow_from_the_contract(self):
        done = run("kernel_list.py", self.dir / "kernels", "checks", self.dir / "out.hpp")
        self.assertEqual(done.returncode, 0, done.stderr)
        check = (self.dir / "out.hpp").read_text().split("inline Status check_dot_rows(")[1].split("\n}")[0]
        self.assertIn("array(x, std::size_t{rows.dim}, Null::refused)", check)
        self.assertIn("elements_below(ids, std::size_t{count}, std::size_t{rows.rows}, Order::any)", check)

    def test_takes_figures_from_results_and_keeps_them_without(self):
        catalogue = self.dir / "kernels/README.md"
        results = Path(__file__).resolve().parent / "kernels_bench.json"
        self.assertEqual(run("kernel_list.py", self.dir / "kernels", "catalogue", "--results", results).returncode, 0)
        measured = catalogue.read_text()
        self.assertEqual(run("kernel_list.py", self.dir / "kernels", "catalogue").returncode, 0)
        self.assertEqual(catalogue.read_text(), measured)
        done = run("kernel_list.py", self.dir / "kernels", "catalogue", "--results", self.dir / "none.json")
        self.assertEqual(done.returncode, 1)
        self.assertIn("none.json: no report of scripts/bench.sh kernels", done.stderr)


class BenchTable(unittest.TestCase):
    REPORT = Path(__file__).with_name("kernels_bench.json")

    def lines(self):
        ran = run("bench_table.py", self.REPORT)
        self.assertEqual((ran.returncode, ran.stderr), (0, ""))
        return ran.stdout.splitlines()

    def test_takes_medians_of_single_runs(self):
        warm = self.lines()[-2].split()
        self.assertEqual(warm[:5], ["dot_f32", "warm", "dim=128", "avx2", "4.00"])
        self.assertIn("-O3 10.0x", self.lines()[-2])
        self.assertIn("75 % (L1)", self.lines()[-2])

    def test_measures_cold_rows_against_the_probe_beside_them(self):
        self.assertIn("90 % (rows, L3)", self.lines()[-1])

    def test_says_what_is_wrong_or_missing(self):
        self.assertIn("eigen wrong", self.lines()[-1])
        self.assertIn("  OpenBLAS is missing", self.lines())

    def test_names_sizes_by_their_last_part_where_no_other_has_it(self):
        self.assertIn("cold rows.rows=99 dim=128 x.rows=5", self.lines()[-1])

    def test_refuses_what_is_no_report(self):
        self.assertEqual(run("bench_table.py").returncode, 2)
        ran = run("bench_table.py", Path(__file__))
        self.assertEqual(ran.returncode, 1)
        self.assertIn("no report of kernels_bench", ran.stderr)


class NumaGuests(Folder):
    def guests(self, *arguments, **options):
        return subprocess.run([SCRIPTS / "numa_vm_test.sh", *map(str, arguments)], capture_output=True, text=True, **options)

    def build(self):
        """A build with one program, an earlier run's cases beside it."""
        (self.dir / "tests/numa").mkdir(parents=True)
        shutil.copy("/bin/true", self.dir / "tests/numa/numa_tests")
        (self.dir / "build.ninja").touch()
        (self.dir / "cases.xml").touch()
        return "--builddir", self.dir, f"--gtest_output=xml:{self.dir / 'cases.xml'}"

    def test_names_the_argument_that_is_wrong(self):
        for arguments, name in [(("--topology", "3node"), "--topology.*3node"), (("--accel", "xen"), "--accel.*xen"),
                                (("--builddir", self.dir), "--builddir.*no build"), (("--what",), "--what"),
                                (("--topology",), "--topology")]:
            with self.subTest(arguments=arguments):
                done = self.guests(*arguments)
                self.assertEqual(done.returncode, 2)
                self.assertRegex(done.stderr, name)

    def test_a_missing_tool_is_a_skip_that_says_why_and_leaves_no_cases(self):
        tools = self.dir / "bin"
        tools.mkdir()
        for tool in ("bash", "dirname", "realpath", "rm", "uname"):
            (tools / tool).symlink_to(shutil.which(tool))
        # A user that may install nothing.
        (tools / "id").write_text("#!/bin/bash\necho 1000\n")
        (tools / "id").chmod(0o755)
        done = self.guests(*self.build(), env={"PATH": str(tools), "HOME": str(self.dir)})
        self.assertEqual((done.returncode, done.stderr), (77, ""))
        self.assertRegex(done.stdout, "skipped: no qemu-system-x86_64; scripts/setup.sh --with numa")
        self.assertFalse((self.dir / "cases.xml").exists())


class Bench(unittest.TestCase):
    def refused(self, *arguments):
        ran = subprocess.run([SCRIPTS / "bench.sh", *arguments], capture_output=True, text=True)
        self.assertEqual(ran.returncode, 2, ran.stderr)
        return ran.stderr

    def test_names_the_flag_that_it_refuses(self):
        self.assertIn('unknown flag "--fast"', self.refused("kernels", "--fast"))
        self.assertIn('unknown subject "tables"', self.refused("tables"))
        self.assertIn("--json needs a value", self.refused("kernels", "--json"))
        self.assertIn("--filter", self.refused("kernels", "--filter", "("))
        self.assertIn("name a subject", self.refused())


if __name__ == "__main__":
    unittest.main(verbosity=2)
