// SPDX-License-Identifier: GPL-2.0-or-later
#include "daemon/bring_up.h"

#include "captured_log.h"
#include "daemon/way_out.h"
#include "loop.h"
#include "two_links.h"

using namespace linkbal;
using namespace linkbal::test;
using namespace std::chrono_literals;

namespace {

CommandWords shell(const std::string& script) { return {"sh", "-c", script}; }

// A link that is usable as soon as `usable` is set.
struct Lab {
    asio::io_context context;
    Processes processes{context};
    Changes changes{context};
    CapturedLog log;
    bool usable = true;
    UplinkConfig uplink;

    Lab() {
        uplink.name = "velox2";
        uplink.interface = "wan2";
        uplink.command_timeout = 20s;
    }
    [[nodiscard]] Result<LinkPlace> place() const {
        LinkPlace place;
        place.address = IpAddress::parse("198.51.102.2");
        place.gateway = IpAddress::parse("198.51.102.1");
        return usable ? Result<LinkPlace>(place) : fail("no gateway");
    }
    asio::awaitable<Status> start() {
        return bring_up_link({.instance = fmt::format("linkbal-test-{}", ::getpid()),
                              .uplink = uplink,
                              .mark = second_mark,
                              .processes = &processes,
                              .changes = &changes,
                              .place = [this] { return place(); }});
    }
    std::string run() {
        const auto status = run_until_done(context, start());
        return status ? "done" : status.error().message;
    }
};

} // namespace

TEST_CASE("the three commands run in order, each told what is known by then") {
    Lab lab;
    lab.usable = false;
    const std::string tell = "echo $LINKBAL_EVENT $LINKBAL_UPLINK $LINKBAL_INTERFACE "
                             "$LINKBAL_MARK [$LINKBAL_ADDRESS] [$LINKBAL_GATEWAY]";
    lab.uplink.bring_up = lab.uplink.log_in = lab.uplink.test = shell(tell);
    std::optional<Status> outcome;
    asio::co_spawn(lab.context, lab.start(),
                   [&](const std::exception_ptr&, Status status) { outcome = std::move(status); });
    REQUIRE(run_until(lab.context, [&] { return lab.log.has("bring_up velox2"); }));
    CHECK(lab.log.has("uplink velox2: bring_up: bring_up velox2 wan2 0x20000 [] []\n"));
    lab.changes.notify(); // something changed, but not enough
    lab.context.restart();
    lab.context.poll();
    CHECK(!lab.log.has("log_in"));
    lab.usable = true;
    lab.changes.notify();
    REQUIRE(run_until(lab.context, [&] { return outcome.has_value(); }));
    CHECK(outcome->has_value());
    const std::string place = " velox2 wan2 0x20000 [198.51.102.2] [198.51.102.1]\n";
    CHECK(lab.log.has("uplink velox2: log_in: log_in" + place + "info: uplink velox2: test: test" +
                      place));
}

TEST_CASE("the first failure ends the bring-up and is named") {
    Lab lab;
    lab.uplink.log_in = shell("echo wrong password; exit 4");
    lab.uplink.test = shell("echo tested");
    CHECK(lab.run() == "uplink velox2: log_in (sh): exit status 4: wrong password");
    CHECK(!lab.log.has("tested"));
    lab.uplink.bring_up = {"/nowhere/dial"};
    CHECK(lab.run() == "uplink velox2: bring_up (/nowhere/dial): exec: No such file or directory");
    lab.uplink.bring_up = shell("kill -KILL $$");
    CHECK(lab.run() == "uplink velox2: bring_up (sh): killed by signal 9 (Killed)");
    lab.uplink.bring_up = {};
    lab.uplink.log_in = {};
    lab.uplink.test = {"sleep", "1000"};
    lab.uplink.command_timeout = 100ms;
    CHECK(lab.run() == "uplink velox2: test (sleep): not done after 0.1 s");
}

TEST_CASE("a link that does not become usable is told with what it lacks") {
    Lab lab;
    lab.usable = false;
    lab.uplink.command_timeout = 200ms;
    CHECK(lab.run() == "done"); // nothing is asked for
    lab.uplink.log_in = shell("echo logged in");
    CHECK(lab.run() == "uplink velox2: not usable within 0.2 s: no gateway");
    CHECK(!lab.log.has("logged in"));
}

TEST_CASE("log-in and test go out by their link, what makes the link by any") {
    LINKBAL_OWN_NAMESPACE();
    make_two_links();
    if (const auto possible = WayOut::make(fmt::format("linkbal-test-{}", ::getpid()), "probe", 1);
        !possible) {
        LINKBAL_SKIP(possible.error().message);
    }
    Lab lab;
    lab.uplink.bring_up = lab.uplink.log_in = lab.uplink.test = {"python3", "-c", socket_report};
    CHECK(lab.run() == "done");
    std::string expected;
    for (const std::string command : {"bring_up", "log_in", "test"}) {
        std::istringstream lines(command == "bring_up" ? expected_report("0x0", "1")
                                                       : expected_report("0x20000", "2"));
        for (std::string line; std::getline(lines, line);) {
            expected += "info: uplink velox2: " + command + ": " + line + "\n";
        }
    }
    CHECK(lab.log.text() == expected);
}
