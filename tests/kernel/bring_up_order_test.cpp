// SPDX-License-Identifier: GPL-2.0-or-later
// Who is brought up when, and again when; with pauses that a test can wait for.
#include "daemon/bring_up_order.h"

#include <map>
#include <optional>

#include "captured_log.h"
#include "loop.h"

using namespace linkbal;
using namespace linkbal::test;
using namespace std::chrono_literals;

namespace {

constexpr BringUpPauses pauses{.first = 100ms, .longest = 400ms};

UplinkConfig uplink(const std::string& name, const std::string& script) {
    UplinkConfig made;
    made.name = name;
    made.interface = "eth1";
    made.bring_up = {"sh", "-c", script};
    made.command_timeout = 10s;
    return made;
}

struct Lab {
    asio::io_context context;
    CapturedLog log;
    std::vector<std::string> told; // "velox1: ready", "velox1: why not"
    std::map<std::string, UplinkConfig> configured;
    std::optional<BringUpOrder> order;
    bool comes_up = true; // a link whose commands have succeeded

    Lab() {
        order.emplace(
            context, "linkbal-test",
            BringUpOrder::Callbacks{
                .config =
                    [this](const std::string& name) {
                        const auto found = configured.find(name);
                        return found == configured.end() ? std::nullopt
                                                         : std::optional(found->second);
                    },
                .place = [](const std::string&) { return Result<LinkPlace>(LinkPlace{}); },
                .mark = [](const std::string&) { return 0U; },
                .ready =
                    [this](const std::string& uplink, const std::optional<std::string>& reason) {
                        told.push_back(uplink + ": " + reason.value_or("ready"));
                        if (!reason && comes_up) {
                            order->on_up(uplink);
                        }
                    }},
            pauses);
    }
    void start(const std::vector<UplinkConfig>& uplinks) {
        std::vector<std::string> names;
        for (const UplinkConfig& one : uplinks) {
            names.push_back(one.name);
            configured[one.name] = one;
        }
        order->start(names);
    }
    void on_down(const UplinkConfig& one) {
        configured[one.name] = one;
        order->on_down(one.name);
    }
    bool hears(size_t count) {
        return run_until(context, [&] { return told.size() >= count; });
    }
    // For longer than any pause.
    void wait() {
        context.restart();
        context.run_for(700ms);
    }
};

const std::string failed = ": uplink velox1: bring_up (sh): exit status 1";

} // namespace

TEST_CASE("links are brought up one after the other") {
    Lab lab;
    lab.start({uplink("velox1", "sleep 0.2"), uplink("velox2", "true")});
    REQUIRE(lab.hears(4));
    CHECK(lab.told == std::vector<std::string>{"velox1: waits for its turn to be brought up",
                                               "velox2: waits for its turn to be brought up",
                                               "velox1: ready", "velox2: ready"});
}

TEST_CASE("what failed is tried again, after longer and longer pauses") {
    Lab lab;
    lab.start({uplink("velox1", "exit 1")});
    const auto since = std::chrono::steady_clock::now();
    REQUIRE(lab.hears(5));
    CHECK(lab.told.back() == "velox1" + failed);
    const auto waited = std::chrono::steady_clock::now() - since;
    CHECK(waited > 700ms); // 100, 200, 400
    CHECK(waited < 5s);
}

TEST_CASE("a link that is down is brought up again, unless it comes up by itself") {
    Lab lab;
    const UplinkConfig velox1 = uplink("velox1", "true");
    lab.on_down(velox1);
    lab.order->on_up("velox1");
    lab.wait();
    CHECK(lab.told.empty());
    lab.on_down(velox1);
    lab.on_down(velox1); // once is enough
    REQUIRE(lab.hears(1));
    lab.wait();
    CHECK(lab.told == std::vector<std::string>{"velox1: ready"});
}

TEST_CASE("a link that comes up and goes down again within the pause is brought up") {
    Lab lab;
    const UplinkConfig velox1 = uplink("velox1", "true");
    lab.on_down(velox1);
    lab.order->on_up("velox1");
    lab.on_down(velox1);
    REQUIRE(lab.hears(1));
    lab.wait();
    CHECK(lab.told == std::vector<std::string>{"velox1: ready"});
}

TEST_CASE("a link that is down while it waits for its turn is not brought up twice") {
    Lab lab;
    const UplinkConfig velox2 = uplink("velox2", "true");
    lab.start({uplink("velox1", "sleep 0.4"), velox2});
    lab.on_down(velox2);
    REQUIRE(lab.hears(4));
    lab.wait();
    CHECK(lab.told.size() == 4);
}

TEST_CASE("commands that succeed on a link that stays down run again") {
    Lab lab;
    lab.comes_up = false;
    lab.start({uplink("velox1", "true")});
    REQUIRE(lab.hears(3));
    CHECK(lab.told.back() == "velox1: ready");
}

TEST_CASE("a link that is no longer configured is left alone") {
    Lab lab;
    lab.start({uplink("velox1", "exit 1")});
    REQUIRE(lab.hears(2));
    lab.configured.clear();
    lab.wait();
    CHECK(lab.told.size() == 2);
}

TEST_CASE("links without commands are left alone") {
    Lab lab;
    UplinkConfig plain;
    plain.name = "velox1";
    CHECK_FALSE(has_commands(plain));
    lab.on_down(plain);
    lab.wait();
    CHECK(lab.told.empty());
}

TEST_CASE("nobody is told anything once it is destroyed, whatever goes on") {
    const bool waiting = GENERATE(true, false);
    Lab lab;
    lab.start({uplink("velox1", waiting ? "exit 1" : "sleep 20"), uplink("velox2", "true")});
    REQUIRE(lab.hears(waiting ? 3 : 2));
    lab.context.restart();
    lab.context.run_for(50ms);
    const auto before = lab.told;
    lab.order.reset();
    lab.wait();
    CHECK(lab.told == before);
}
