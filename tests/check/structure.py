# SPDX-License-Identifier: GPL-2.0-or-later
"""Rules about the shape of the source. Each takes a Tree and yields (path, line, message)."""
import re

from tree import is_c

MAX_LINES = 400
LICENSE = "SPDX-License-Identifier: GPL-2.0-or-later"
INCLUDE = re.compile(r'\s*#\s*include\s*([<"])([^>"]+)[>"]')

# Each layer and those that it may include. `cli run` starts the daemon's loop.
LAYERS = {
    "util": {"util"},
    "core": {"core", "util"},
    "kernel": {"kernel", "core", "util"},
    "daemon": {"daemon", "kernel", "core", "util"},
    "cli": {"cli", "daemon", "kernel", "core", "util"},
}
KERNEL_LIBRARY = re.compile(r"(bpf|libnftnl|libmnl|libnetfilter_\w+)/|linux/(netlink|rtnetlink|netfilter)|.*\.skel\.h$")
SHELL_CALL = re.compile(r"(?<![\w.>])(system|popen)\s*\(")


def includes(tree, path):
    """Yields (line, quote, header)."""
    for number, line in enumerate(tree.lines(path), 1):
        if found := INCLUDE.match(line):
            yield number, found[1], found[2]


def code(line):
    """The line without what is surely a comment."""
    return "" if line.lstrip().startswith("*") else line.split("//")[0]


def sources(tree, *directories):
    return [path for path in tree.below(*directories) if is_c(path)]


def layer_of(path):
    return path.parts[1] if len(path.parts) > 2 else "cli"


def layers(tree):
    for path in sources(tree, "userspace"):
        layer = layer_of(path)
        if layer not in LAYERS:
            yield path, 1, f"userspace/{layer} is no layer: {', '.join(LAYERS)}"
            continue
        for number, _, header in includes(tree, path):
            other = header.split("/")[0]
            if other in LAYERS and other not in LAYERS[layer]:
                yield path, number, f"{layer} must not include {other} ({header})"


def pure_core(tree):
    for path in sources(tree, "userspace"):
        if layer_of(path) not in ("core", "util"):
            continue
        for number, _, header in includes(tree, path):
            if KERNEL_LIBRARY.match(header):
                yield path, number, f"{layer_of(path)} is pure: {header} belongs to kernel"


def abi_boundary(tree):
    """bpf/ and userspace/ meet only in include/."""
    for own in ("bpf", "userspace", "include"):
        for path in sources(tree, own):
            for number, quote, header in includes(tree, path):
                if quote == '"' and not resolves(tree, path, own, header):
                    yield path, number, f'"{header}" is neither in {own}/ nor in include/'
                elif own == "bpf" and header.split("/")[0] in LAYERS:
                    yield path, number, f"bpf and userspace meet only in include/ ({header})"


def resolves(tree, path, own, header):
    beside = (tree.root / path).parent / header
    candidates = [beside, tree.root / own / header, tree.root / "include" / header]
    allowed = (tree.root / own, tree.root / "include")
    return any(candidate.is_file() and any(candidate.resolve().is_relative_to(top) for top in allowed)
               for candidate in candidates)


def no_shelling_out(tree):
    for path in sources(tree, "userspace"):
        for number, line in enumerate(tree.lines(path), 1):
            if found := SHELL_CALL.search(code(line)):
                yield path, number, f"{found[1]}(): the program talks to the kernel itself"


def no_vmlinux(tree):
    for path in tree.files:
        if path.name == "vmlinux.h":
            yield path, 1, "declare the few kernel types that are read, with preserve_access_index"


def file_size(tree):
    for path in sources(tree, "bpf", "userspace", "include"):
        count = len(tree.lines(path))
        if count > MAX_LINES:
            yield path, count, f"{count} lines, at most {MAX_LINES}: does it still do one thing?"


def license_header(tree):
    files = {*tree.c_files(), *tree.shell_scripts(), *tree.python_files(), *tree.cmake_files(),
             *tree.manual_pages()}
    for path in sorted(files):
        if not any(LICENSE in line for line in tree.lines(path)[:3]):
            yield path, 1, f"no {LICENSE} in the first three lines"


def one_catch(tree):
    for path in sources(tree, "tests"):
        if path.parts[1] == "support":
            continue
        for number, _, header in includes(tree, path):
            if header.startswith("catch2/"):
                yield path, number, 'include "support/catch.h", which takes Catch2 2 and 3'


RULES = (layers, pure_core, abi_boundary, no_shelling_out, no_vmlinux, file_size, license_header,
         one_catch)
