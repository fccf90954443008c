# SPDX-License-Identifier: GPL-2.0-or-later
"""`up` does all or nothing: it fails cleanly, is killed, or meets another one."""

import pathlib
import random
import shutil
import signal
import subprocess
import time

import pytest
from lab import Config, differences, snapshot, tcp_who, waituntil
from lab.foreign import settle_in

LAB = {"hosts": 2, "uplinks": 2}
KILLS = 30
KNOB = pathlib.Path("/sys/kernel/rcu_expedited")
KEEPER = pathlib.Path("/run/linkbal-rcu_expedited")


def read_knob():
    return KNOB.read_text().strip() if KNOB.exists() else ""


def kept():
    """What an instance that holds the knob has found; "" before it knows, None where nobody holds it."""
    try:
        return KEEPER.read_text()
    except FileNotFoundError:
        return None


def settled_knob():
    """The knob's value when no instance holds it, though one of another test may just do so."""
    def settled():
        former, now = kept(), read_knob()
        return former or (now if former is None and kept() is None else None)
    return waituntil(settled, what="the former value of the knob") if KNOB.exists() else ""


def works(lab):
    return sum(tcp_who(lab, 40).values()) == 40 and len(tcp_who(lab, 40, 6)) == 2


def test_no_privileges(lab, balancer):
    before = snapshot(lab)
    balancer.write(Config(lab))
    balancer.path = shutil.copy(balancer.path, lab.directory)  # where everybody may read
    done = balancer.run("up", prefix=("setpriv", "--reuid=nobody", "--regid=nogroup", "--clear-groups"))
    assert done.returncode == 1
    assert len(done.stderr.strip().splitlines()) == 1, done.stderr
    assert "CAP_NET_ADMIN" in done.stderr or "CAP_BPF" in done.stderr
    assert not differences(before, snapshot(lab))


def test_hidden_pins_are_not_taken_for_nothing(lab, balancer):
    """`ip netns exec` hides /sys/fs/bpf: neither `up` nor `down` may go on half blind."""
    balancer.up(Config(lab))
    before = snapshot(lab)
    for command in ("up", "down", "plan", "status"):
        done = subprocess.run(["ip", "netns", "exec", lab.gateway.name, *balancer.words(command)],
                              capture_output=True, text=True, check=False, timeout=60)
        assert done.returncode == 1 and "nsenter --net" in done.stderr, done
    assert not differences(before, snapshot(lab))
    assert works(lab)


def test_one_instance_in_a_namespace(lab, balancer):
    balancer.up(Config(lab))
    before = snapshot(lab)
    for command in ("up", "down"):
        done = lab.gateway.run(balancer.path, "--config", balancer.config, "--instance",
                               f"{lab.instance}-other", command, check=False)
        assert done.returncode == 1 and lab.instance in done.stderr, done
    assert not differences(before, snapshot(lab))
    assert works(lab)


@pytest.mark.parametrize("missing, named", [
    ("-net_admin", "CAP_NET_ADMIN"), ("-bpf,-sys_admin", "CAP_"),
], ids=["no CAP_NET_ADMIN", "neither CAP_BPF nor CAP_SYS_ADMIN"])
def test_a_capability_is_missing(lab, balancer, missing, named):
    before = snapshot(lab)
    balancer.write(Config(lab))
    done = balancer.run("up", prefix=("setpriv", f"--inh-caps={missing}", f"--bounding-set={missing}"))
    assert done.returncode == 1
    assert named in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1, done.stderr
    assert not differences(before, snapshot(lab))


def test_interface_missing(lab, balancer):
    settle_in(lab)
    lab.gateway.run("ip", "link", "set", "eth2", "down")
    lab.gateway.run("ip", "link", "set", "eth2", "name", "other2")
    before = snapshot(lab)
    balancer.write(Config(lab))
    done = balancer.run("up")
    assert done.returncode in (1, 2) and "eth2" in done.stderr
    assert not differences(before, snapshot(lab))


def test_interface_missing_when_already_up(lab, balancer):
    """A failed change leaves the balancer that was there at work."""
    balancer.up(Config(lab, {"velox1": 1}))
    before = snapshot(lab)
    text = Config(lab).text().replace('interface = "eth2"', 'interface = "eth7"')
    balancer.write(text)
    done = balancer.run("up")
    assert done.returncode in (1, 2) and "eth7" in done.stderr
    assert not differences(before, snapshot(lab))
    assert set(tcp_who(lab, 20)) == {"192.168.1.2"}


def test_whichever_step_fails_everything_goes_back(lab, balancer):
    """Few file descriptors make one step after the other fail."""
    settle_in(lab)
    before = snapshot(lab)
    balancer.write(Config(lab))
    failed = 0
    for limit in range(4, 80):
        done = balancer.run("up", prefix=("prlimit", f"--nofile={limit}:{limit}"))
        if done.returncode == 0:
            break
        failed += 1
        if limit > 5:  # below, it is the loader that fails
            assert done.returncode == 1 and done.stderr.strip(), done
        assert not differences(before, snapshot(lab)), f"limit {limit}: {done.stderr}"
    assert failed and works(lab)
    balancer.down()
    assert not differences(before, snapshot(lab))


def test_a_failing_change_leaves_what_was(lab, balancer):
    balancer.up(Config(lab, {"velox1": 1}))
    before = snapshot(lab)
    balancer.write(Config(lab))
    for limit in range(6, 80, 2):
        done = balancer.run("up", prefix=("prlimit", f"--nofile={limit}:{limit}"))
        if done.returncode == 0:
            break
        assert not differences(before, snapshot(lab)), f"limit {limit}: {done.stderr}"
    assert works(lab)


@pytest.mark.parametrize("stream", ["2>&1", "2>&1 >/dev/null"], ids=["both", "standard error"])
def test_the_reader_goes_away(lab, balancer, stream):
    """As in `linkbal -v up 2>&1 | head -n 1`: the change is made whole all the same."""
    settle_in(lab)
    before = snapshot(lab)
    balancer.write(Config(lab))
    for command, words in (("up", 1), ("down", 0)):
        line = " ".join(balancer.words("-v", command))
        lab.gateway.run("bash", "-c", f"{line} {stream} | head -n {words}; exit ${{PIPESTATUS[0]}}")
        if command == "up":
            assert works(lab)
            assert "nothing to do" in balancer.run("up").stdout
    assert not differences(before, snapshot(lab))


def test_anothers_directory(lab, balancer):
    directory = pathlib.Path("/run", lab.instance)
    directory.mkdir()
    try:
        (directory / "pid").write_text("1\n")
        balancer.write(Config(lab))
        done = balancer.run("up")
        assert done.returncode == 1 and "holds pid" in done.stderr, done
        assert [path.name for path in directory.iterdir()] == ["pid"]
    finally:
        shutil.rmtree(directory)


def test_anothers_table_names(lab, balancer):
    path = pathlib.Path("/etc/iproute2/rt_tables.d", f"{lab.instance}.conf")
    path.write_text("7 seven\n")
    try:
        before = snapshot(lab)
        balancer.write(Config(lab))
        done = balancer.run("up")
        assert done.returncode == 1 and "not written by linkbal" in done.stderr, done
        assert balancer.run("down").returncode == 0
        assert path.read_text() == "7 seven\n"
        assert not differences(before, snapshot(lab))
    finally:
        path.unlink()


def test_two_at_once(lab, balancer):
    settle_in(lab)
    before = snapshot(lab)
    balancer.write(Config(lab))
    for _ in range(5):
        both = [balancer.popen("up") for _ in range(2)]
        results = [(*process.communicate(timeout=30), process.returncode) for process in both]
        codes = sorted(code for *_, code in results)
        assert codes == [0, 0] or (codes == [0, 1] and any(
            "lock" in error or "running" in error for _, error, _ in results)), results
        assert works(lab)
        balancer.down()
        assert not differences(before, snapshot(lab))


def test_up_and_down_at_once(lab, balancer):
    before = snapshot(lab)
    balancer.write(Config(lab))
    for _ in range(5):
        both = [balancer.popen("up"), balancer.popen("down")]
        for process in both:
            process.communicate(timeout=30)
        balancer.up()
        assert works(lab)
        balancer.down()
        assert not differences(before, snapshot(lab))


def kill_somewhere(balancer, command, duration, dice):
    """Starts a command and kills it at a moment of its own choice."""
    process = balancer.popen(command)
    time.sleep(dice.uniform(0, duration))  # a random moment is the point
    process.send_signal(signal.SIGKILL)
    process.communicate()


def duration_of(balancer, command):
    start = time.monotonic()
    assert balancer.run(command).returncode == 0
    return time.monotonic() - start


def test_killed_up_is_mended(lab, balancer):
    """By the next `up` or by `down`, in turn."""
    settle_in(lab)
    seed = random.randrange(1 << 32)
    print("seed", seed)
    dice = random.Random(seed)
    before, knob = snapshot(lab), settled_knob()
    balancer.write(Config(lab))
    duration = duration_of(balancer, "up")
    balancer.down()
    for n in range(KILLS):
        kill_somewhere(balancer, "up", duration, dice)
        if n % 2:
            balancer.up()
            assert works(lab)
        balancer.down()
        assert not differences(before, snapshot(lab)), f"after kill {n}, seed {seed}"
    # The machine's own knob, which other instances may be holding at this moment.
    waituntil(lambda: read_knob() == knob, 20, f"{KNOB} is what it was")


def test_killed_down_is_mended(lab, balancer):
    settle_in(lab)
    seed = random.randrange(1 << 32)
    print("seed", seed)
    dice = random.Random(seed)
    before = snapshot(lab)
    balancer.up(Config(lab))
    duration = duration_of(balancer, "down")
    for n in range(KILLS // 2):
        balancer.up()
        kill_somewhere(balancer, "down", duration, dice)
        if n % 2:
            balancer.up()
            assert works(lab)
        balancer.down()
        assert not differences(before, snapshot(lab)), f"after kill {n}, seed {seed}"


def test_killed_change_is_mended(lab, balancer):
    seed = random.randrange(1 << 32)
    print("seed", seed)
    dice = random.Random(seed)
    before = snapshot(lab)
    balancer.up(Config(lab))
    balancer.write(Config(lab, {"velox1": 5}))
    duration = duration_of(balancer, "up")
    for n in range(KILLS // 2):
        balancer.write(Config(lab, {"velox1": 1 + n, "velox2": 1} if n % 2 else {"velox1": 5}))
        kill_somewhere(balancer, "up", duration, dice)
        balancer.up(Config(lab))
        assert works(lab)
    balancer.down()
    assert not differences(before, snapshot(lab)), f"seed {seed}"
