#!/usr/bin/python3 -B
# SPDX-License-Identifier: GPL-2.0-or-later
"""check.py NAME [--root DIRECTORY] [--build DIRECTORY]

Runs one check over the source below --root. Findings are printed as FILE:LINE: message. Exit status:
0 clean, 1 findings, 77 this machine can't judge (the reason is printed).
"""
import argparse
import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import structure
from tree import Tree

SKIPPED = 77
LLVM_VERSION = "19"  # which every supported distribution has


class Skip(Exception):
    pass


def llvm_tool(name):
    """clang-format and clang-tidy judge differently from version to version."""
    for candidate in (f"{name}-{LLVM_VERSION}", name):
        if shutil.which(candidate):
            version = subprocess.run([candidate, "--version"], capture_output=True, text=True).stdout
            if re.search(rf"version {LLVM_VERSION}\.", version):
                return candidate
    raise Skip(f"needs {name} {LLVM_VERSION}")


def run(tree, command, files):
    """True if `command` is content with `files`; its findings go to standard output."""
    if not files:
        return True
    result = subprocess.run([*command, *map(str, files)], cwd=tree.root, text=True,
                            stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    if result.returncode != 0:
        print(result.stdout, end="")
    return result.returncode == 0


def check_structure(tree, _build):
    findings = [(rule, finding) for rule in structure.RULES for finding in rule(tree)]
    for rule, (path, line, message) in findings:
        print(f"{path}:{line}: {message} [{rule.__name__}]")
    return not findings


def check_format(tree, _build):
    return run(tree, [llvm_tool("clang-format"), "--dry-run", "-Werror"], tree.c_files())


def compiled_files(tree, build):
    """The userspace files of compile_commands.json, relative to the root."""
    entries = json.loads((build / "compile_commands.json").read_text())
    paths = (Path(entry["directory"], entry["file"]).resolve() for entry in entries)
    inside = {path for path in paths if path.is_relative_to(tree.root / "userspace")}
    return sorted(path.relative_to(tree.root) for path in inside)


def tidy_key(tree, build, path):
    """Changes with anything that clang-tidy's verdict on the file can depend on in this tree."""
    digest = hashlib.sha256((build / "compile_commands.json").read_bytes())
    headers = [file for file in tree.below("userspace", "include") if file.suffix == ".h"]
    for file in [Path(".clang-tidy"), path, *headers]:
        digest.update(f"{file}\n".encode() + (tree.root / file).read_bytes())
    return digest.hexdigest()


def tidy_is_clean(tree, build, command, path):
    """Remembers clean files in the build directory, for each takes seconds."""
    clean = build / "tidy" / tidy_key(tree, build, path)
    if clean.exists():
        return True
    if not run(tree, command, [path]):
        return False
    clean.parent.mkdir(exist_ok=True)
    clean.touch()
    return True


def check_tidy(tree, build):
    files = compiled_files(tree, build)
    if not files:
        print(f"{build}/compile_commands.json:1: names no userspace file")
        return False
    command = [llvm_tool("clang-tidy"), "--quiet", "-p", str(build)]
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        return all(list(pool.map(lambda path: tidy_is_clean(tree, build, command, path), files)))


def check_shell(tree, _build):
    return run(tree, ["shellcheck", "-x", "-f", "gcc"], tree.shell_scripts())


def check_python(tree, _build):
    return run(tree, [sys.executable, "-B", "-m", "pyflakes"], tree.python_files())


def check_man(tree, _build):
    return run(tree, ["mandoc", "-T", "lint", "-W", "warning"], tree.manual_pages())


CHECKS = {
    "structure": check_structure,
    "format": check_format,
    "tidy": check_tidy,
    "shell": check_shell,
    "python": check_python,
    "man": check_man,
}


def main():
    source = Path(__file__).resolve().parents[2]
    parser = argparse.ArgumentParser()
    parser.add_argument("name", choices=CHECKS)
    parser.add_argument("--root", type=Path, default=source)
    parser.add_argument("--build", type=Path, default=source / "build")
    arguments = parser.parse_args()
    try:
        clean = CHECKS[arguments.name](Tree(arguments.root), arguments.build.resolve())
    except Skip as reason:
        print(f"skipped: {reason}")
        return SKIPPED
    return 0 if clean else 1


if __name__ == "__main__":
    sys.exit(main())
