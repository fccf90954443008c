# SPDX-License-Identifier: GPL-2.0-or-later
"""Each check refuses a bad sample, at the right place, and takes a good one."""
import json
import subprocess
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).parent
SKIPPED = 77
LICENSE = "SPDX-License-Identifier: GPL-2.0-or-later"
C = f"// {LICENSE}\n"

# check, path of the bad sample, its text, line of the finding, what is said of it
BAD = [
    ("structure", "userspace/core/a.cpp", C + '#include "kernel/route.h"\n', 2, "core must not include kernel"),
    ("structure", "userspace/util/a.h", C + '#include "core/address.h"\n', 2, "util must not include core"),
    ("structure", "userspace/kernel/a.cpp", C + "#include <daemon/loop.h>\n", 2, "kernel must not include daemon"),
    ("structure", "userspace/daemon/a.cpp", C + '#include "cli/table.h"\n', 2, "daemon must not include cli"),
    ("structure", "userspace/misc/a.cpp", C, 1, "userspace/misc is no layer"),
    ("structure", "userspace/core/a.cpp", C + "\n#include <linux/rtnetlink.h>\n", 3, "core is pure"),
    ("structure", "userspace/core/a.cpp", C + "#include <bpf/libbpf.h>\n", 2, "core is pure"),
    ("structure", "userspace/util/a.cpp", C + "#  include <libmnl/libmnl.h>\n", 2, "util is pure"),
    ("structure", "userspace/core/a.cpp", C + "#include <classify.skel.h>\n", 2, "core is pure"),
    ("structure", "userspace/kernel/a.cpp", C + '#include "../../bpf/packet.h"\n', 2, "is neither in userspace/"),
    ("structure", "bpf/a.bpf.c", C + '#include "userspace/core/address.h"\n', 2, "is neither in bpf/"),
    ("structure", "bpf/a.bpf.c", C + "#include <core/address.h>\n", 2, "meet only in include/"),
    ("structure", "include/linkbal/b.h", C + '#include "bpf/packet.h"\n', 2, "is neither in include/"),
    ("structure", "userspace/kernel/a.cpp", C + 'int a = std::system("ip rule");\n', 2, "system()"),
    ("structure", "userspace/cli/a.cpp", C + 'auto* a = ::popen("nft", "r");\n', 2, "popen()"),
    ("structure", "bpf/vmlinux.h", C, 1, "preserve_access_index"),
    ("structure", "userspace/core/a.cpp", C + "\n" * 400, 401, "401 lines, at most 400"),
    ("structure", "userspace/core/a.cpp", "\n", 1, "no SPDX"),
    ("structure", "tools/a", "#!/usr/bin/env bash\n", 1, "no SPDX"),
    ("structure", "bpf/CMakeLists.txt", "\n", 1, "no SPDX"),
    ("structure", "tests/unit/a.cpp", C + "#include <catch2/catch.hpp>\n", 2, "support/catch.h"),
    ("format", "userspace/core/a.cpp", C + "int  a;\n", 2, "clang-formatted"),
    ("shell", "tools/a", "#!/usr/bin/env bash\nrm $1\n", 2, "SC2086"),
    ("python", "tests/a.py", "import os\n", 1, "imported but unused"),
    ("python", "tests/a.py", "def a(:\n", 1, "invalid syntax"),
    ("man", "docs/linkbal.8", ".Dd $Mdocdate$\n.Dt LINKBAL 8\n.Os\n.Sh NAME\n.Nm linkbal\n.Nd a\n.Xx\n", 7, "unknown macro"),
    ("tidy", "userspace/core/a.cpp", C + "int a(int b) {\n    if (b > 0) return b;\n    return 1;\n}\n", 3, "readability-braces"),
]

GOOD = {
    "structure": ("userspace/cli/a.cpp", C + '#include "daemon/loop.h"\nint a = file.system(1); // system()\n'),
    "format": ("userspace/core/a.cpp", C + "int a;\n"),
    "shell": ("tools/a", f'#!/usr/bin/env bash\n# {LICENSE}\nrm "$1"\n'),
    "python": ("tests/a.py", "import os\nprint(os.name)\n"),
    "man": ("docs/linkbal.8", ".Dd January 1, 2025\n.Dt LINKBAL 8\n.Os\n.Sh NAME\n.Nm linkbal\n.Nd a\n"),
    "tidy": ("userspace/core/a.cpp", C + "struct A {\n    const int* b = nullptr;\n};\n"),
}


def write(root, path, text):
    (root / path).parent.mkdir(parents=True, exist_ok=True)
    (root / path).write_text(text)


def run_check(name, root):
    """The exit status and the output of a check over a tree with the project's style files."""
    for style in (".clang-format", ".clang-tidy"):
        write(root, style, (HERE.parents[1] / style).read_text())
    write(root, "userspace/daemon/loop.h", C)
    sample = root / "userspace/core/a.cpp"
    command = {"directory": str(root), "file": str(sample), "command": f"c++ -std=c++20 -c {sample}"}
    write(root, "build/compile_commands.json", json.dumps([command]))
    result = subprocess.run(
        [sys.executable, "-B", HERE / "check.py", name, "--root", root, "--build", root / "build"],
        capture_output=True, text=True)
    if result.returncode == SKIPPED:
        pytest.skip(result.stdout.strip())
    return result.returncode, result.stdout + result.stderr


@pytest.mark.parametrize("name,path,text,line,message", BAD)
def test_bad_sample_is_refused(tmp_path, name, path, text, line, message):
    write(tmp_path, path, text)
    status, output = run_check(name, tmp_path)
    assert status == 1
    assert any(f"{path}:{line}:" in row and message in row for row in output.splitlines()), output


@pytest.mark.parametrize("name", GOOD)
def test_good_sample_is_taken(tmp_path, name):
    write(tmp_path, *GOOD[name])
    status, output = run_check(name, tmp_path)
    assert (status, output) == (0, "")
