// SPDX-License-Identifier: GPL-2.0-or-later
#include "daemon/hooks.h"

#include <algorithm>
#include <csignal>
#include <filesystem>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "captured_log.h"
#include "loop.h"
#include "util/file.h"

using namespace linkbal;
using namespace linkbal::test;
using namespace std::chrono_literals;

namespace {

// A hook that is a shell script; what it writes to $OUT is `written()`.
struct Lab {
    asio::io_context context;
    CapturedLog log;
    std::filesystem::path path = std::filesystem::temp_directory_path() /
                                 fmt::format("linkbal-hooks-{}", static_cast<int>(getpid()));
    std::optional<Hooks> hooks;

    explicit Lab(const std::string& script, std::chrono::milliseconds timeout = 20s) {
        hooks.emplace(context, config(script, timeout), "linkbal");
    }
    Lab(const Lab&) = delete;
    Lab& operator=(const Lab&) = delete;
    ~Lab() { std::filesystem::remove(path); }

    [[nodiscard]] HooksConfig config(const std::string& script,
                                     std::chrono::milliseconds timeout = 20s) const {
        return {{"sh", "-c", fmt::format("OUT={}; {}", path.string(), script)}, timeout};
    }
    [[nodiscard]] std::string written() const { return read_file(path).value_or(""); }
    [[nodiscard]] bool wait_for(const std::string& text) {
        return run_until(context, [&] { return written() == text; });
    }
};

LinkChange change(const std::string& uplink, LinkEvent event = LinkEvent::down) {
    LinkChange change;
    change.event = event;
    change.link.uplink = uplink;
    change.link.interface = "eth1";
    change.link.address = IpAddress::parse("192.0.2.2");
    change.link.gateway = IpAddress::parse("192.0.2.1");
    change.link.gateway6 = IpAddress::parse("fe80::1");
    change.link.mark = 0x20000;
    change.state = "down";
    change.previous = "up";
    change.reason = "no answer; it's \"quiet\"";
    return change;
}

} // namespace

TEST_CASE("a hook is told everything of the change") {
    Lab lab("env | grep ^LINKBAL_ | LC_ALL=C sort >$OUT.new; mv $OUT.new $OUT");
    lab.hooks->changed(change("velox1"));
    CHECK(lab.wait_for("LINKBAL_ADDRESS6=\n"
                       "LINKBAL_ADDRESS=192.0.2.2\n"
                       "LINKBAL_EVENT=down\n"
                       "LINKBAL_GATEWAY6=fe80::1\n"
                       "LINKBAL_GATEWAY=192.0.2.1\n"
                       "LINKBAL_INSTANCE=linkbal\n"
                       "LINKBAL_INTERFACE=eth1\n"
                       "LINKBAL_MARK=0x20000\n"
                       "LINKBAL_PREVIOUS=up\n"
                       "LINKBAL_REASON=no answer; it's \"quiet\"\n"
                       "LINKBAL_STATE=down\n"
                       "LINKBAL_UPLINK=velox1\n"));
    for (const auto& [event, name] : {std::pair{LinkEvent::up, "up"},
                                      {LinkEvent::down, "down"},
                                      {LinkEvent::drain, "drain"},
                                      {LinkEvent::resume, "resume"},
                                      {LinkEvent::weight, "weight"}}) {
        CHECK(event_name(event) == name);
    }
}

TEST_CASE("hooks run one at a time, in order") {
    Lab lab("mkdir $OUT.d || echo two at a time >>$OUT; echo $LINKBAL_UPLINK >>$OUT; "
            "rmdir $OUT.d");
    std::string expected;
    for (int i = 0; i < 20; ++i) {
        lab.hooks->changed(change(fmt::format("u{}", i)));
        expected += fmt::format("u{}\n", i);
    }
    CHECK(lab.wait_for(expected));
}

TEST_CASE("a hook that hangs, fails or is not there is reported, and the next one runs") {
    Lab lab("case $LINKBAL_UPLINK in a) exec sleep 1000;; b) echo no route; exit 7;; "
            "*) echo $LINKBAL_UPLINK >$OUT;; esac",
            500ms);
    for (const auto* uplink : {"a", "b", "c"}) {
        lab.hooks->changed(change(uplink));
    }
    CHECK(lab.wait_for("c\n"));
    CHECK(lab.log.has("warning: hook failed hook=sh event=down uplink=a "
                      "reason=\"not done after 0.5 s\"\n"));
    CHECK(lab.log.has("uplink=b reason=\"exit status 7: no route\"\n"));
    lab.hooks->reconfigure({{"/nowhere/hook"}, 1s});
    lab.hooks->changed(change("d"));
    CHECK(run_until(lab.context, [&] {
        return lab.log.has("hook=/nowhere/hook event=down uplink=d "
                           "reason=\"exec: No such file or directory\"\n");
    }));
}

TEST_CASE("the event loop does not wait for a hook") {
    Lab lab("exec sleep 1000");
    lab.hooks->changed(change("velox1"));
    int ticks = 0;
    asio::steady_timer timer(lab.context);
    std::function<void()> tick = [&] {
        timer.expires_after(1ms);
        timer.async_wait([&](error_code) {
            ++ticks;
            tick();
        });
    };
    tick();
    CHECK(run_until(lab.context, [&] { return ticks == 100; }));
}

TEST_CASE("too many changes: the oldest are dropped, and said to be") {
    // The first waits for a reader of the pipe while the others come.
    Lab lab("test $LINKBAL_UPLINK != u0 || read go <$OUT.fifo; echo $LINKBAL_UPLINK >>$OUT");
    const auto fifo = lab.path.string() + ".fifo";
    REQUIRE(mkfifo(fifo.c_str(), 0600) == 0);
    lab.hooks->changed(change("u0"));
    lab.context.poll(); // it runs, and waits no more
    constexpr size_t surplus = 3;
    std::string expected = "u0\n";
    for (size_t i = 1; i <= Hooks::queue_limit + surplus; ++i) {
        lab.hooks->changed(change(fmt::format("u{}", i)));
        expected += i > surplus ? fmt::format("u{}\n", i) : "";
    }
    {
        const Fd writer(open(fifo.c_str(), O_WRONLY | O_CLOEXEC));
    }
    CHECK(lab.wait_for(expected));
    const std::string log = lab.log.text();
    CHECK(std::ranges::count(log, '\n') == static_cast<std::ptrdiff_t>(surplus));
    CHECK(
        lab.log.has("hook too slow: a change is not told to it event=down uplink=u1 state=down\n"));
    std::filesystem::remove(fifo);
}

TEST_CASE("without a hook nothing is run, from a reload on, too") {
    Lab lab("echo $LINKBAL_UPLINK >>$OUT");
    Hooks none(lab.context, {}, "linkbal");
    none.changed(change("velox1"));
    CHECK(lab.context.poll() == 0);
    lab.hooks->changed(change("velox1"));
    lab.hooks->changed(change("velox2"));
    lab.hooks->reconfigure({});
    lab.hooks->changed(change("velox3"));
    lab.context.restart();
    CHECK(lab.context.poll() > 0);
    CHECK(lab.written().empty());
    lab.hooks->reconfigure(lab.config("echo new $LINKBAL_UPLINK >>$OUT"));
    lab.hooks->changed(change("velox4"));
    CHECK(lab.wait_for("new velox4\n"));
}

TEST_CASE("what runs ends with the object") {
    Lab lab("echo $$ >$OUT; exec sleep 1000");
    lab.hooks->changed(change("velox1"));
    lab.hooks->changed(change("velox2"));
    REQUIRE(run_until(lab.context, [&] { return lab.written().ends_with('\n'); }));
    const std::string first = lab.written();
    const pid_t pid = std::stoi(first);
    lab.hooks.reset();
    CHECK(run_until(lab.context, [&] { return kill(pid, 0) != 0; })); // reaped as well
    lab.context.restart();
    lab.context.poll();
    CHECK(lab.written() == first); // the one that waited never ran
    CHECK(lab.log.text().empty());
}
