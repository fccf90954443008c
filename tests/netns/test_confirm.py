# SPDX-License-Identifier: GPL-2.0-or-later
"""`up --confirm` goes back unless `confirm` comes in time, whatever becomes of who waits (S12)."""

import contextlib
import fcntl
import json
import os
import pathlib
import pty
import re
import signal
import subprocess
import termios

import pytest
from lab import Config, differences, snapshot, tcp_who, waituntil
from lab.clients import TWICE
from lab.daemon import Daemon
from lab.foreign import settle_in
from lab.state import state

LAB = {"hosts": 2, "uplinks": 2}
LONG = "3600"


@contextlib.contextmanager
def trial(balancer, seconds=LONG, **options):
    """`up --confirm` that has applied and waits; killed at the end, if it is still there."""
    with contextlib.ExitStack() as stack:
        options = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True, **options}
        process = balancer.lab.gateway.popen(*balancer.words("up", "--confirm", seconds), **options)
        balancer.lab.processes.append(process)
        stack.callback(process.wait)
        stack.callback(process.kill)
        waituntil(lambda: process.poll() is not None or waits(balancer), what="it waits", timeout=20)
        yield process


def remembered(balancer):
    try:
        path = pathlib.Path("/run", balancer.lab.instance, "state.json")
        return json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}


def waits(balancer):
    """Seconds that are left; the clock runs since the change was made."""
    if not remembered(balancer).get("unconfirmed"):
        return None
    told = balancer.run("status", "--json", "--interval", "0")
    status = json.loads(told.stdout) if told.returncode == 0 else {}
    return status.get("uplinks") and status["confirm"]


def ended(process, timeout=30):
    out, err = process.communicate(timeout=timeout)
    return process.returncode, out, err


def weights(balancer):
    return {u["name"]: u["weight"] for u in balancer.json("status")["uplinks"]}


def test_confirmed_from_nothing(lab, balancer):
    before = snapshot(lab)
    balancer.write(Config(lab))
    with trial(balancer, "3600") as process:
        assert process.poll() is None
        left = waits(balancer)
        assert left["waits"] and 3500 < left["seconds_left"] <= 3600
        assert re.search(r"confirm .* s ", balancer.run("status").stdout)
        done = balancer.run("confirm")
        assert (done.returncode, done.stdout) == (0, "confirmed\n"), done
        code, out, err = ended(process)
        assert (code, err) == (0, ""), (code, err)
        assert out.endswith("confirmed\n") and "linkbal confirm" in out
    assert balancer.json("status")["confirm"] is None
    assert balancer.plan() == "nothing to do\n"
    assert len(tcp_who(lab, TWICE)) == 2
    assert balancer.run("confirm").returncode == 1
    balancer.down()
    assert not differences(before, snapshot(lab))


def test_not_confirmed_from_nothing(lab, balancer):
    """As if it had never been, byte for byte, also where others live."""
    settle_in(lab)
    before = snapshot(lab)
    balancer.write(Config(lab))
    done = balancer.run("up", "--confirm", "1", timeout=60)
    assert done.returncode == 1 and "nobody has confirmed" in done.stderr, done
    assert "up: 2 uplinks" in done.stdout
    assert not differences(before, snapshot(lab))


# A link that is no longer configured would stay for what probes have opened.
SILENT = {"health": {"probe": "none"}}


def former(lab):
    return Config(lab, {"velox1": 3}, sections=SILENT)


def other(lab):
    """Another link, other sysctls and other tables than the former one."""
    return Config(lab, {"velox2": 5, "velox1": 1}, sections=SILENT, table="44", table_name='"others"',
                  links={"velox1": {"table": 77}})


def test_not_confirmed_from_a_former_configuration(lab, balancer):
    """All is as that one had left it, its orders included."""
    balancer.up(former(lab))
    assert balancer.run("uplink", "velox1", "weight", "9").returncode == 0
    before, memory = state(lab), remembered(balancer)
    balancer.write(other(lab))
    done = balancer.run("up", "--confirm", "1", timeout=60)
    assert done.returncode == 1 and "nobody has confirmed" in done.stderr, done
    assert not differences(before, state(lab))
    assert weights(balancer) == {"velox1": 9}
    after = remembered(balancer)
    for key in ("configuration", "uplinks", "balance_table", "families"):
        assert after[key] == memory[key], key
    balancer.write(former(lab))
    assert balancer.plan() == "nothing to do\n"


def test_confirmed_over_a_former_configuration(lab, balancer):
    balancer.up(former(lab))
    balancer.write(other(lab))
    with trial(balancer) as process:
        assert balancer.run("confirm").returncode == 0
        assert ended(process)[0] == 0
    assert weights(balancer) == {"velox1": 1, "velox2": 5}
    assert balancer.plan() == "nothing to do\n"


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_interrupted(lab, balancer, number):
    """Goes back at once."""
    before = snapshot(lab)
    balancer.write(Config(lab))
    with trial(balancer) as process:
        process.send_signal(number)
        code, _, err = ended(process)
        assert code == 1 and "as it was before" in err
    assert not differences(before, snapshot(lab))


@contextlib.contextmanager
def changed_by_another(lab):
    """Somebody else holds the instance's lock."""
    with open(f"/run/{lab.instance}/lock", "rb") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


BUSY = "is being changed by"


def text_of(path):
    with open(path, encoding="utf-8") as file:
        return file.read()


def test_interrupted_while_another_is_at_work(lab, balancer):
    """It is not left at that: it goes back as soon as it can."""
    before = snapshot(lab)
    balancer.write(Config(lab))
    path = f"{lab.directory}/trial.err"
    with open(path, "wb") as err, trial(balancer, stderr=err) as process:
        with changed_by_another(lab):
            process.terminate()
            waituntil(lambda: text_of(path).count(BUSY) >= 2 or process.poll() is not None, 20, "it tries again")
            assert process.poll() is None, text_of(path)
        assert ended(process)[0] == 1
    assert "as it was before" in text_of(path)
    assert not differences(before, snapshot(lab))


def test_interrupted_twice(lab, balancer):
    """Who insists gets out, and is told what is left."""
    before = snapshot(lab)
    balancer.write(Config(lab))
    path = f"{lab.directory}/trial.err"
    with open(path, "wb") as err, trial(balancer, stderr=err) as process:
        with changed_by_another(lab):
            process.terminate()
            waituntil(lambda: BUSY in text_of(path), 20, "it can't go back")
            assert process.poll() is None, text_of(path)
            process.terminate()
            assert ended(process)[0] == 1
    assert "the change is still there" in text_of(path)
    assert balancer.json("status")["confirm"]["waits"] is False
    balancer.down()
    assert not differences(before, snapshot(lab))


def test_terminal_hung_up(lab, balancer):
    """The session dies with its terminal; the waiting goes on, and so does the way back."""
    before = snapshot(lab)
    balancer.write(Config(lab))
    ours, theirs = pty.openpty()
    words = ("setsid", "--ctty", "--wait", *balancer.words("up", "--confirm", "3"))
    process = lab.gateway.popen(*words, stdin=theirs, stdout=theirs, stderr=theirs)
    lab.processes.append(process)
    os.close(theirs)
    waituntil(lambda: waits(balancer), what="it waits", timeout=20)
    os.close(ours)
    waituntil(lambda: not os.path.exists(f"/run/{lab.instance}"), 30, "everything is gone again")
    process.wait(20)
    assert not differences(before, snapshot(lab))


def test_stopped_and_hung_up_by_signals(lab, balancer):
    """Nobody who plays with the terminal ends or halts it."""
    balancer.write(Config(lab))
    with trial(balancer) as process:
        for number in (signal.SIGHUP, signal.SIGPIPE, signal.SIGTSTP, signal.SIGTTOU, signal.SIGTTIN):
            process.send_signal(number)
        assert balancer.run("confirm").returncode == 0
        assert ended(process)[0] == 0


def test_others_are_refused_meanwhile(lab, balancer):
    balancer.up(Config(lab))
    balancer.write(other(lab))
    with trial(balancer) as process:
        before = snapshot(lab)
        for words in (("up",), ("up", "--confirm", "5"), ("uplink", "velox1", "drain"), ("run",)):
            done = balancer.run(*words)
            assert done.returncode == 1, done
            assert "waits for its confirmation" in done.stderr and str(process.pid) in done.stderr
        assert not differences(before, snapshot(lab))
        assert balancer.plan() == "nothing to do\n"
        assert process.poll() is None


def test_down_ends_it(lab, balancer):
    before = snapshot(lab)
    balancer.write(Config(lab))
    with trial(balancer) as process:
        assert balancer.run("down").returncode == 0
        code, _, err = ended(process)
        assert code == 1 and "linkbal down" in err
    assert not differences(before, snapshot(lab))


def test_what_fails_waits_for_nobody(lab, balancer):
    balancer.up(Config(lab))
    before = remembered(balancer)
    text = Config(lab, {"velox1": 4}).text().replace('"eth1"', '"eth9"')
    balancer.write(text)
    done = balancer.run("up", "--confirm", "3600")
    assert done.returncode == 2 and "eth9" in done.stderr
    assert remembered(balancer) == before
    assert balancer.run("confirm").returncode == 1


def test_what_fails_at_first_leaves_nothing(lab, balancer):
    before = snapshot(lab)
    balancer.write(Config(lab).text().replace('"eth1"', '"eth9"'))
    assert balancer.run("up", "--confirm", "3600").returncode == 2
    assert not differences(before, snapshot(lab))


@pytest.mark.parametrize("seconds", ["0", "3601", "-1", "soon"])
def test_no_such_time(lab, balancer, seconds):
    balancer.write(Config(lab))
    assert balancer.run("up", f"--confirm={seconds}").returncode == 2


@contextlib.contextmanager
def unwritable(lab):
    """What is remembered can't be changed, as where /run is full."""
    path = f"/run/{lab.instance}/state.json.new"
    os.makedirs(f"{path}/in the way")
    yield path
    os.rmdir(f"{path}/in the way")
    os.rmdir(path)


def test_the_clock_cannot_be_started(lab, balancer):
    """The change is made, but not that the time begins now: it goes back at the time from before."""
    balancer.up(former(lab))
    before = state(lab)
    balancer.write(Config(lab, {"velox1": 5}, sections=SILENT))
    ours, theirs = pty.openpty()
    termios.tcflow(theirs, termios.TCOOFF)  # it stops at its first line: the change is made then
    path = f"{lab.directory}/trial.err"
    with open(path, "wb") as err:
        process = lab.gateway.popen(*balancer.words("up", "--confirm", "3"), stdout=theirs, stderr=err)
    lab.processes.append(process)
    waituntil(lambda: remembered(balancer)["uplinks"][0]["weight"] == 5, what="the change is made")
    with unwritable(lab) as name:
        termios.tcflow(theirs, termios.TCOON)
        waituntil(lambda: text_of(path).count(name) >= 2, 20, "it can't go back")
        assert process.poll() is None, text_of(path)
    assert process.wait(20) == 1
    for end in (ours, theirs):
        os.close(end)
    assert "the time to confirm runs since before" in text_of(path) and "as it was before" in text_of(path)
    assert not differences(before, state(lab))
    assert balancer.json("status")["confirm"] is None


def plant(balancer, note):
    """As if the end of a change on trial could not be written."""
    path = pathlib.Path("/run", balancer.lab.instance, "state.json")
    path.write_text(json.dumps({**remembered(balancer), "unconfirmed": note}), encoding="utf-8")


@pytest.mark.parametrize("returning", [False, True])
@pytest.mark.parametrize("asked", ["up", "reload"])
def test_a_stale_note_takes_nothing_back(lab, balancer, asked, returning):
    """What is asked for in plain words stays, over the next start."""
    with Daemon(balancer, former(lab)) as daemon:
        balancer.write(other(lab))
        assert balancer.run("up", "--confirm", LONG).returncode == 0
        note = {**remembered(balancer)["unconfirmed"], "returning": returning}
        balancer.write(former(lab))
        assert daemon.stop() == 0, daemon.log
    with Daemon(balancer) as daemon:
        plant(balancer, note)
        balancer.write(other(lab))
        if asked == "up":
            balancer.up()
        else:
            daemon.hup()
        waituntil(lambda: weights(balancer) == {"velox1": 1, "velox2": 5}, what="it is applied")
        waituntil(lambda: balancer.json("status")["confirm"] is None, what="the note is gone")
        assert daemon.stop() == 0, daemon.log
    with Daemon(balancer) as daemon:
        assert weights(balancer) == {"velox1": 1, "velox2": 5}, daemon.log


def test_nothing_to_confirm(lab, balancer):
    done = balancer.run("confirm")
    assert done.returncode == 1 and "nothing to confirm" in done.stderr
    balancer.up(Config(lab))
    with Daemon(balancer):
        done = balancer.run("confirm")
        assert done.returncode == 1 and "nothing to confirm" in done.stderr


def killed(balancer, seconds=LONG):
    with trial(balancer, seconds) as process:
        process.kill()
        process.wait()
    assert balancer.json("status")["confirm"]["waits"] is False


def test_killed_and_confirmed_in_time(lab, balancer):
    balancer.write(Config(lab))
    killed(balancer)
    assert balancer.run("confirm").returncode == 0
    assert len(tcp_who(lab, TWICE)) == 2
    assert balancer.plan() == "nothing to do\n"


def test_killed_and_confirmed_too_late(lab, balancer):
    """Nobody went back in time, so this does."""
    before = snapshot(lab)
    balancer.write(Config(lab))
    killed(balancer, "2")
    waituntil(lambda: balancer.json("status")["confirm"]["seconds_left"] == 0, what="the time is over")
    done = balancer.run("confirm")
    assert done.returncode == 1 and "too late" in done.stderr, done
    assert not differences(before, snapshot(lab))


def test_killed_then_the_next_change_goes_back_first(lab, balancer):
    balancer.up(former(lab))
    balancer.write(other(lab))
    killed(balancer)
    balancer.write(former(lab))
    done = balancer.up()
    assert "not confirmed" in done.stderr and "nothing to do" in done.stdout, done
    assert weights(balancer) == {"velox1": 3}


def test_killed_then_down(lab, balancer):
    before = snapshot(lab)
    balancer.write(Config(lab))
    killed(balancer)
    balancer.down()
    assert not differences(before, snapshot(lab))


def test_killed_then_the_service_starts(lab, balancer):
    """What nobody has confirmed is not taken up because it is in the file."""
    balancer.up(former(lab))
    before = state(lab)
    balancer.write(other(lab))
    killed(balancer)
    with Daemon(balancer) as daemon:
        assert not differences(before, state(lab), "run")
        assert "not confirmed" in daemon.log and "nobody has confirmed this configuration" in daemon.log
        assert balancer.json("status")["confirm"] is None
        assert daemon.stop() == 0
    with Daemon(balancer) as daemon:
        assert not differences(before, state(lab), "run")
        daemon.hup()
        waituntil(lambda: weights(balancer) == {"velox1": 1, "velox2": 5}, what="a reload takes it up")


def test_daemon_confirmed(lab, balancer):
    with Daemon(balancer, former(lab)):
        balancer.write(other(lab))
        done = balancer.run("up", "--confirm", LONG)
        assert done.returncode == 0 and "linkbal confirm" in done.stdout, done
        left = waits(balancer)
        assert left["waits"] and 3500 < left["seconds_left"] <= 3600
        for words in (("up",), ("up", "--confirm", "5"), ("uplink", "velox1", "drain")):
            refused = balancer.run(*words)
            assert refused.returncode == 1 and "waits for its confirmation" in refused.stderr, refused
        assert balancer.run("confirm").stdout == "confirmed\n"
        assert weights(balancer) == {"velox1": 1, "velox2": 5}
        assert balancer.json("status")["confirm"] is None
        assert balancer.run("up").stdout == "nothing to do\n"


def test_daemon_not_confirmed(lab, balancer):
    with Daemon(balancer, former(lab)) as daemon:
        before = state(lab)
        balancer.write(other(lab))
        assert balancer.run("up", "--confirm", "1").returncode == 0
        daemon.wait_log("nobody has confirmed")
        assert not differences(before, state(lab))
        assert set(weights(balancer)) == {"velox1"}
        assert balancer.run("confirm").returncode == 1


def test_daemon_reload_is_refused_meanwhile(lab, balancer):
    with Daemon(balancer, former(lab)) as daemon:
        balancer.write(other(lab))
        assert balancer.run("up", "--confirm", LONG).returncode == 0
        balancer.write(Config(lab, {"velox1": 7}))
        daemon.hup()
        daemon.wait_log("not reloaded")
        assert weights(balancer) == {"velox1": 1, "velox2": 5}


def test_daemon_stopped_meanwhile(lab, balancer):
    """Nobody would keep the time: it goes back before it ends."""
    with Daemon(balancer, former(lab)) as daemon:
        before = state(lab)
        balancer.write(other(lab))
        assert balancer.run("up", "--confirm", LONG).returncode == 0
        assert daemon.stop() == 0, daemon.log
    assert not differences(before, state(lab), "run")
    assert balancer.json("status")["confirm"] is None


def test_daemon_stopped_while_another_is_at_work(lab, balancer):
    """It goes back before it ends, as soon as it can."""
    with Daemon(balancer, former(lab)) as daemon:
        before = state(lab)
        balancer.write(other(lab))
        assert balancer.run("up", "--confirm", LONG).returncode == 0
        with changed_by_another(lab):
            daemon.process.terminate()
            daemon.wait_log("go back to what was there before: ", 2)
            done = balancer.run("confirm")
            assert done.returncode == 1 and "too late" in done.stderr, done
        assert daemon.ended() == 0, daemon.log
    assert not differences(before, state(lab), "run")
    assert balancer.json("status")["confirm"] is None


def test_daemon_stopped_twice(lab, balancer):
    """It ends, says what is left, and the next one goes back."""
    with Daemon(balancer, former(lab)) as daemon:
        before = state(lab)
        balancer.write(other(lab))
        assert balancer.run("up", "--confirm", LONG).returncode == 0
        with changed_by_another(lab):
            daemon.process.terminate()
            daemon.wait_log("go back to what was there before: ")
            assert daemon.stop() == 1, daemon.log
        assert "the next start goes back" in daemon.log
    assert balancer.json("status")["confirm"]["waits"] is False
    with Daemon(balancer):
        assert not differences(before, state(lab), "run")


def test_daemon_killed_meanwhile(lab, balancer):
    """The next one goes back, and does not take up what is in its file."""
    with Daemon(balancer, former(lab)) as daemon:
        before = state(lab)
        balancer.write(other(lab))
        assert balancer.run("up", "--confirm", LONG).returncode == 0
        daemon.kill()
    assert balancer.json("status")["confirm"]["waits"] is False
    with Daemon(balancer):
        assert not differences(before, state(lab), "run")
        assert balancer.run("confirm").returncode == 1


def test_daemon_brought_down_meanwhile(lab, balancer):
    before = snapshot(lab)
    with Daemon(balancer, former(lab)) as daemon:
        balancer.write(other(lab))
        assert balancer.run("up", "--confirm", LONG).returncode == 0
        balancer.down()
        assert daemon.ended() == 0, daemon.log
    assert not differences(before, snapshot(lab))
