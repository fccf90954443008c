// SPDX-License-Identifier: GPL-2.0-or-later
#include "test_instance.h"

#include <bit>
#include <cerrno>
#include <cstring>

#include <bpf/bpf.h>
#include <cap-ng.h>
#include <sched.h>
#include <sys/mount.h>
#include <unistd.h>

#include "kernel/bpffs.h"
#include "support/plain_settings.h"

namespace linkbal::test {

namespace {

bool is_administrator() { return capng_have_capability(CAPNG_EFFECTIVE, CAP_SYS_ADMIN) != 0; }

// It stays among the permitted ones, so it can be had again.
void be_administrator(bool wanted) {
    CHECK(capng_get_caps_process() == 0);
    CHECK(capng_update(wanted ? CAPNG_ADD : CAPNG_DROP, CAPNG_EFFECTIVE, CAP_SYS_ADMIN) == 0);
    CHECK(capng_apply(CAPNG_SELECT_CAPS) == 0);
}

} // namespace

AsAdministrator::AsAdministrator() : before_(is_administrator()) { be_administrator(true); }
AsAdministrator::~AsAdministrator() { be_administrator(before_); }

std::optional<std::string> enter_namespaces() {
    if (geteuid() != 0) {
        return "needs root";
    }
    be_administrator(true);
    const auto failed = [](const char* what) {
        return std::string(what) + ": " + std::strerror(errno);
    };
    if (unshare(CLONE_NEWNET | CLONE_NEWNS) != 0) {
        return failed("making namespaces");
    }
    if (mount("none", "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0 ||
        mount("bpf", bpffs_path, "bpf", 0, nullptr) != 0) {
        return failed("mounting a bpffs");
    }
    const auto features = probe_features();
    if (!features) {
        return features.error().message;
    }
    if (!features->conntrack_lookup) {
        return "no bpf_skb_ct_lookup: Linux 6.0 and later with conntrack";
    }
    be_administrator(false);
    const auto confined = probe_features();
    be_administrator(!confined || !confined->conntrack_lookup);
    return std::nullopt;
}

TestInstance::TestInstance(const Setup& setup) : setup_(setup) {
    auto settings = plain_settings(embedded_object_id());
    settings.hash_seed = seed;
    settings.mark_mask = setup.mark_mask;
    settings.mark_shift = static_cast<__u8>(std::countr_zero(setup.mark_mask));
    settings.hash_mode = static_cast<__u8>(setup.hash);
    settings.has_conntrack = setup.conntrack ? 1 : 0;
    object_ = need(load_object(settings, {}));
    need(datapath_.install(object_));
    const std::vector<Prefix> bypass = {
        Prefix::parse("192.0.2.0/24").value(), Prefix::parse("224.0.0.0/4").value(),
        Prefix::parse("2001:db8:1::/48").value(), Prefix::parse("ff00::/8").value()};
    need(datapath_.set_bypass(bypass));
    assign(assign_buckets({}, setup.uplinks));
}

TestInstance::~TestInstance() { CHECK(datapath_.remove()); }

void TestInstance::assign(const BucketAssignment& assignment) {
    assignment_ = assignment;
    for (const Family family : families) {
        need(datapath_.set_buckets(family, assignment));
    }
}

int TestInstance::run(std::string_view program, Bytes& packet, __sk_buff& context) {
    Bytes out(packet.size() + 256);
    bpf_test_run_opts options{};
    options.sz = sizeof(options);
    options.data_in = packet.data();
    options.data_size_in = static_cast<__u32>(packet.size());
    options.data_out = out.data();
    options.data_size_out = static_cast<__u32>(out.size());
    options.ctx_in = options.ctx_out = &context;
    options.ctx_size_in = options.ctx_size_out = sizeof(context);
    INFO(program << " on a packet of " << packet.size() << " bytes");
    REQUIRE(bpf_prog_test_run_opts(object_.programs.find(program)->second.get(), &options) == 0);
    out.resize(options.data_size_out);
    packet = out;
    return static_cast<int>(options.retval);
}

Outcome TestInstance::classify(const Bytes& packet) {
    const auto before = need(datapath_.counters());
    Outcome outcome{.packet = packet};
    __sk_buff context{};
    context.mark = foreign_mark;
    outcome.action = run("lb_classify", outcome.packet, context);
    outcome.mark = context.mark;
    const auto after = need(datapath_.counters());
    uint64_t counted = 0;
    for (size_t i = 0; i < LB_VERDICTS; ++i) {
        const uint64_t packets = after.verdicts.at(i).packets - before.verdicts.at(i).packets;
        outcome.verdict = packets != 0 ? static_cast<lb_verdict>(i) : outcome.verdict;
        counted += packets;
    }
    outcome.verdict = counted == 1 ? outcome.verdict : LB_VERDICTS;
    for (size_t id = 0; id < LB_UPLINK_IDS; ++id) {
        outcome.picks += after.uplinks.at(id).picks - before.uplinks.at(id).picks;
    }
    return outcome;
}

uint32_t TestInstance::classified_mark(const Bytes& packet) {
    Bytes copy = packet;
    __sk_buff context{};
    context.mark = foreign_mark;
    (void)run("lb_classify", copy, context);
    return context.mark;
}

uint32_t TestInstance::uplink_of(uint32_t mark) const {
    return (mark & setup_.mark_mask) >> std::countr_zero(setup_.mark_mask);
}

} // namespace linkbal::test
