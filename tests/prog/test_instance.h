// SPDX-License-Identifier: GPL-2.0-or-later
// A loaded datapath in namespaces of its own, and BPF_PROG_TEST_RUN on it.
#pragma once

#include <optional>
#include <string>

#include <linux/bpf.h>

#include "core/buckets.h"
#include "kernel/datapath.h"
#include "kernel/features.h"
#include "packets.h"
#include "support/catch.h"

namespace linkbal::test {

// Moves this process into a network and a mount namespace of its own, with a bpffs of its own: all
// that a test makes is gone with the process. From then on it works without CAP_SYS_ADMIN, unless this
// kernel asks for it to let programs look into conntrack. A reason if that can't be done here.
std::optional<std::string> enter_namespaces();

// Has CAP_SYS_ADMIN while it lives, to mount or to stand for a privileged command.
class AsAdministrator {
  public:
    AsAdministrator();
    ~AsAdministrator();
    AsAdministrator(const AsAdministrator&) = delete;
    AsAdministrator& operator=(const AsAdministrator&) = delete;

  private:
    bool before_;
};

#define LINKBAL_NEED_NAMESPACES()                                                                  \
    if (const auto reason = ::linkbal::test::enter_namespaces(); reason) {                         \
        LINKBAL_SKIP(*reason);                                                                     \
    }

// The value, or the test fails with the error's message.
template <typename T>
T need(Result<T> result) {
    if (!result) {
        FAIL(result.error().message);
    }
    return std::move(*result);
}
inline void need(const Status& status) {
    if (!status) {
        FAIL(status.error().message);
    }
}

struct Setup {
    HashMode hash = HashMode::connection;
    bool conntrack = true;
    uint32_t mark_mask = 0x00ff0000;
    std::vector<WeightedUplink> uplinks = {{1, 1}, {2, 1}};
};

// What became of a packet.
struct Outcome {
    Bytes packet{};
    uint32_t mark = 0;
    int action = 0;
    lb_verdict verdict = LB_VERDICTS; // LB_VERDICTS unless exactly one was counted, once
    uint64_t picks = 0;               // counted by all uplinks together
};

class TestInstance {
  public:
    static constexpr uint32_t seed = 0x12345678;
    static constexpr uint32_t foreign_mark = 0xab00cdef;

    explicit TestInstance(const Setup& setup = {});
    ~TestInstance();
    TestInstance(const TestInstance&) = delete;
    TestInstance& operator=(const TestInstance&) = delete;

    [[nodiscard]] Datapath& datapath() { return datapath_; }
    [[nodiscard]] const BucketAssignment& assignment() const { return assignment_; }
    void assign(const BucketAssignment& assignment);

    // Runs the classifier, with foreign_mark on the packet.
    Outcome classify(const Bytes& packet);
    // As fast as can be, without looking at the counters: the mark.
    uint32_t classified_mark(const Bytes& packet);
    // Runs a program by name; `context` is in and out.
    int run(std::string_view program, Bytes& packet, __sk_buff& context);
    // The uplink in our bits of a mark.
    [[nodiscard]] uint32_t uplink_of(uint32_t mark) const;

  private:
    Setup setup_;
    Datapath datapath_{"linkbal-test"};
    BpfObject object_;
    BucketAssignment assignment_;
};

} // namespace linkbal::test
