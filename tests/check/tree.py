# SPDX-License-Identifier: GPL-2.0-or-later
"""The files of the tree by kind. Found by walking it, so git need not be there or trust its owner."""
import os
import re
from pathlib import Path

NOT_SOURCE = re.compile(r"^(\.git|build|build-.*|__pycache__|\.pytest_cache)$")
SHELL = re.compile(rb"#!.*\b(ba|da)?sh\b")
PYTHON = re.compile(rb"#!.*\bpython3?\b")


def walk(root):
    """Every file below `root` that may be committed, as paths relative to it, sorted."""
    files = []
    for directory, subdirectories, names in os.walk(root):
        subdirectories[:] = [name for name in subdirectories if not NOT_SOURCE.match(name)]
        files += [Path(directory, name).relative_to(root) for name in names if name != ".git"]
    return sorted(files)


def first_line(path):
    with open(path, "rb") as file:
        return file.readline(200)


def is_c(path):
    return path.suffix in (".c", ".h", ".cpp", ".hpp")


class Tree:
    def __init__(self, root):
        self.root = Path(root).resolve()
        self.files = walk(self.root)

    def below(self, *directories):
        return [path for path in self.files if path.parts[0] in directories]

    def c_files(self):
        return [path for path in self.files if is_c(path)]

    def shell_scripts(self):
        return self._scripts((".sh", ".bash"), SHELL)

    def python_files(self):
        return self._scripts((".py",), PYTHON)

    def manual_pages(self):
        return [path for path in self.below("docs") if re.fullmatch(r"\.[1-8]", path.suffix)]

    def cmake_files(self):
        return [path for path in self.files if path.name == "CMakeLists.txt" or path.suffix == ".cmake"]

    def lines(self, path):
        return (self.root / path).read_text(encoding="utf-8").splitlines()

    def _scripts(self, suffixes, interpreter):
        return [path for path in self.files
                if path.suffix in suffixes
                or (not path.suffix and interpreter.match(first_line(self.root / path)))]
