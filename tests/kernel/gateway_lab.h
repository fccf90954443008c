// SPDX-License-Identifier: GPL-2.0-or-later
// A gateway with two links in namespaces of its own, its files and its bpffs included, and passes over it.
#pragma once

#include <algorithm>
#include <optional>
#include <string>
#include <vector>

#include <sched.h>
#include <sys/mount.h>
#include <unistd.h>

#include "captured_log.h"
#include "daemon/reconciler.h"
#include "kernel/bpffs.h"
#include "own_rcu_knob.h"
#include "two_links.h"

namespace linkbal::test {

inline bool enter_namespaces() {
    return geteuid() == 0 && unshare(CLONE_NEWNET | CLONE_NEWNS) == 0 &&
           mount("none", "/", nullptr, MS_REC | MS_PRIVATE, nullptr) == 0 &&
           mount("tmpfs", "/run", "tmpfs", 0, "mode=0755") == 0 &&
           mount("tmpfs", "/etc", "tmpfs", 0, "mode=0755") == 0 &&
           mount("bpf", bpffs_path, "bpf", 0, nullptr) == 0 &&
           (!has_rcu_knob() || mount_own_rcu_knob());
}

inline UplinkConfig uplink(const std::string& n) {
    UplinkConfig made;
    made.name = "velox" + n;
    made.interface = "wan" + n;
    made.gateway = IpAddress::parse("198.51.10" + n + ".1");
    made.gateway6 = IpAddress::parse("2001:db8:" + n + "::1");
    made.table = 10 + static_cast<uint32_t>(std::stoul(n));
    return made;
}

inline std::string shown(const std::string& words) {
    return run({"sh", "-c", "ip " + words}).output;
}

struct GatewayLab {
    Config config;
    Conditions conditions{.watched = true, .uplinks = {}};
    std::optional<Reconciler> reconciler;
    CapturedLog log;

    GatewayLab() {
        make_network({"lan0", "wan1", "wan2"});
        ip("addr add 192.168.0.1/24 dev lan0");
        for (const std::string n : {"1", "2"}) {
            ip("addr add 198.51.10" + n + ".2/24 dev wan" + n);
            ip("addr add 2001:db8:" + n + "::2/64 nodad dev wan" + n);
            config.uplinks.push_back(uplink(n));
        }
        config.lan.interfaces = {"lan0"};
        config.balance.table = 30;
        config.balance.cache = 1024;
        auto gateway = Gateway::open("linkbal");
        INFO((gateway ? "" : gateway.error().message));
        REQUIRE(gateway);
        reconciler.emplace(*std::move(gateway));
    }
    GatewayLab(const GatewayLab&) = delete;
    GatewayLab& operator=(const GatewayLab&) = delete;
    ~GatewayLab() { CHECK(reconciler->remove()); }

    Reconciler::Pass pass(Reconciler::Occasion occasion = Reconciler::Occasion::routine) {
        auto done =
            reconciler->pass(occasion, config, "f.toml", [&](const Facts&) { return conditions; });
        INFO((done || !done.error().mistakes.empty() ? "" : done.error().error.message));
        REQUIRE(done);
        return *std::move(done);
    }
    // Until nothing is left to do, as events would have it.
    void settle() {
        pass();
        CHECK(pass().actions.empty());
    }
    [[nodiscard]] bool repaired() const { return log.has("somebody else has undone this"); }
};

} // namespace linkbal::test

#define LINKBAL_OWN_GATEWAY(name)                                                                  \
    if (!::linkbal::test::enter_namespaces()) {                                                    \
        LINKBAL_SKIP("no namespaces of our own: needs root");                                      \
    }                                                                                              \
    ::linkbal::test::GatewayLab name
