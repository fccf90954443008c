# SPDX-License-Identifier: GPL-2.0-or-later
"""Fixtures of the namespace tests. The program: $LINKBAL, or build/linkbal of this repository."""

import os
import sys

import pytest

sys.path.insert(0, os.path.dirname(__file__))

from lab import Balancer, Lab  # noqa: E402
from lab.balancer import has_tcx, program  # noqa: E402
from lab.fast import Fast  # noqa: E402
from lab.network import remove_on_signals  # noqa: E402


def pytest_configure():
    remove_on_signals()


def pytest_collection_modifyitems(items):
    if os.geteuid() != 0:
        for item in items:
            item.add_marker(pytest.mark.skip(reason="network namespaces need root"))


@pytest.fixture(scope="session")
def linkbal():
    """The path of the program; its absence is an error, never a skip."""
    path = program()
    if not os.access(path, os.X_OK):
        pytest.fail(f"{path}: not there; build first, or set LINKBAL")
    return path


def _lab(request):
    """Options of Lab(...) come from the module's LAB dictionary."""
    return Lab(**getattr(request.module, "LAB", {}))


@pytest.fixture
def lab(request):
    """A network of its own for one test."""
    with _lab(request) as made:
        yield made


@pytest.fixture(scope="module")
def shared_lab(request):
    """A network for all tests of a file that do not change it."""
    with _lab(request) as made:
        yield made


@pytest.fixture
def balancer(linkbal, lab):
    return Balancer(lab, linkbal)


@pytest.fixture(params=["tcx", "clsact"])
def attach(request):
    """Both ways to attach a tc program, as a value of [balance] attach."""
    if request.param == "tcx" and not has_tcx():
        pytest.skip("this kernel has no TCX (6.6 and later have)")
    return f'"{request.param}"'


@pytest.fixture(params=["tc", "xdp"])
def fast(request, linkbal, lab):
    """A gateway of its own that forwards by itself, in both ways."""
    made = Fast(lab, request.param, linkbal)
    made.up()
    return made


@pytest.fixture(scope="module", params=["tc", "xdp"])
def shared_fast(request, linkbal):
    """The same for all tests of a file that do not change it; its network is `shared_fast.lab`."""
    with _lab(request) as lab:
        made = Fast(lab, request.param, linkbal, **getattr(request.module, "FAST", {}))
        made.up()
        yield made
        assert lab.spoofed() == 0
