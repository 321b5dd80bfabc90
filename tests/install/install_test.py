"""Installs into an empty folder, then builds and runs programs against what was installed."""

import os
import shlex
import subprocess
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


if __name__ == "__main__":
    unittest.main(verbosity=2)
