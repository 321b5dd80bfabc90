"""Installs into an empty folder, then builds and runs programs against what was installed."""

import os
import shlex
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path


class Install(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.temporary = tempfile.TemporaryDirectory()
        cls.folder = Path(cls.temporary.name)
        subprocess.run(["meson", "install", "-C", os.environ["BUILD_DIR"], "--no-rebuild", "--quiet",
                        "--destdir", cls.folder], check=True, stdout=subprocess.DEVNULL)

    @classmethod
    def tearDownClass(cls):
        cls.temporary.cleanup()

    def run_against(self, package, compiler, source):
        """What the program prints, which has to build without a warning and to end well."""
        pc_file, = self.folder.rglob(f"{package}.pc")
        env = {**os.environ, "PKG_CONFIG_PATH": str(pc_file.parent), "PKG_CONFIG_SYSROOT_DIR": str(self.folder)}
        flags = subprocess.run(["pkg-config", "--cflags", "--libs", package], env=env, check=True,
                               capture_output=True, text=True).stdout
        library, = self.folder.rglob(f"lib{package}.so")
        program = self.folder / Path(source).stem
        sanitize = os.environ["SANITIZE"]
        command = [*compiler, "-Wall", "-Wextra", "-Werror", source, "-o", str(program), *shlex.split(flags),
                   *([] if sanitize in ("", "none") else [f"-fsanitize={sanitize}"])]
        subprocess.run(command, check=True)
        done = subprocess.run([str(program)], env={**os.environ, "LD_LIBRARY_PATH": str(library.parent)},
                              capture_output=True, text=True)
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        return done.stdout

    def test_consumer_builds_and_trains_against_the_installed_library(self):
        compiler = [*shlex.split(os.environ["CXX"]), "-std=c++20"]
        self.assertIn("loss", self.run_against("slidekit", compiler, os.environ["CONSUMER"]))

    def test_c99_program_calls_the_installed_kernels(self):
        compiler = [*shlex.split(os.environ["CC"]), "-std=c99", "-pedantic"]
        printed = self.run_against("slidekit-kernels", compiler, os.environ["KERNELS_CONSUMER"])
        self.assertIn("an id is not below its bound", printed)

    # A library that needs an allocator of its own cannot be loaded into a program that runs.
    def test_python_loads_the_library_with_and_without_jemalloc(self):
        if os.environ["SANITIZE"] not in ("", "none"):
            self.skipTest("a sanitizer has to be there when the program starts")
        library, = self.folder.rglob("libslidekit.so")
        kernels, = self.folder.rglob("libslidekit-kernels.so")
        load = (f"import ctypes; ctypes.CDLL({str(kernels)!r}, ctypes.RTLD_GLOBAL); ctypes.CDLL({str(library)!r}); "
                f"text = ctypes.CDLL({str(kernels)!r}).slidekit_status_text; text.restype = ctypes.c_char_p; "
                "print(text(0).decode(), any('jemalloc' in line for line in open('/proc/self/maps')))")
        for preload, loaded in (("", "False"), ("libjemalloc.so.2", "True")):
            with self.subTest(preload=preload):
                done = subprocess.run([sys.executable, "-c", load], capture_output=True, text=True,
                                      env={**os.environ, "LD_PRELOAD": preload})
                self.assertEqual(done.returncode, 0, done.stderr)
                self.assertEqual(done.stderr, "")
                self.assertRegex(done.stdout, rf"\S.* {loaded}\n")


if __name__ == "__main__":
    unittest.main(verbosity=2)
