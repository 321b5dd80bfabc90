"""Installs into an empty folder, then builds and runs a program against what was installed."""

import os
import shlex
import subprocess
import tempfile
import unittest
from pathlib import Path


class Install(unittest.TestCase):
    def test_consumer_builds_and_trains_against_the_installed_library(self):
        with tempfile.TemporaryDirectory() as folder:
            subprocess.run(["meson", "install", "-C", os.environ["BUILD_DIR"], "--no-rebuild", "--quiet", "--destdir", folder],
                           check=True, stdout=subprocess.DEVNULL)
            pc_files = list(Path(folder).rglob("slidekit.pc"))
            self.assertEqual(len(pc_files), 1)
            env = {**os.environ, "PKG_CONFIG_PATH": str(pc_files[0].parent), "PKG_CONFIG_SYSROOT_DIR": folder}
            flags = subprocess.run(["pkg-config", "--cflags", "--libs", "slidekit"], env=env, check=True,
                                   capture_output=True, text=True).stdout
            libraries = next(Path(folder).rglob("libslidekit.so")).parent
            program = Path(folder) / "consumer"
            sanitize = os.environ["SANITIZE"]
            command = [*shlex.split(os.environ["CXX"]), "-std=c++20", os.environ["CONSUMER"], "-o", str(program),
                       *shlex.split(flags), *([] if sanitize in ("", "none") else [f"-fsanitize={sanitize}"])]
            subprocess.run(command, check=True)
            done = subprocess.run([str(program)], env={**os.environ, "LD_LIBRARY_PATH": str(libraries)},
                                  capture_output=True, text=True)
            self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
            self.assertIn("loss", done.stdout)


if __name__ == "__main__":
    unittest.main(verbosity=2)
