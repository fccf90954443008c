// SPDX-License-Identifier: GPL-2.0-or-later
#include "kernel/death_events.h"

#include <array>
#include <cstdio>
#include <string>

// libc's headers first: the kernel's make room for them, not the other way round.
#include <arpa/inet.h>
#include <sys/utsname.h>

#include <linux/filter.h>
#include <linux/netfilter/nf_conntrack_common.h>
#include <linux/netfilter/nf_conntrack_tcp.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netfilter/nfnetlink_conntrack.h>

#include "kernel/tcp_connections.h"
#include "util/file.h"

namespace linkbal {

namespace {

// An event takes about 800 bytes, of the twice as much that the kernel makes of this: room for most_resets
// that come before the first is read. Only what is waiting takes memory.
constexpr int receive_room = 32 << 20;

constexpr uint32_t first_attribute = sizeof(nlmsghdr) + sizeof(nfgenmsg);
constexpr auto find = static_cast<uint32_t>(SKF_AD_OFF + SKF_AD_NLATTR);
constexpr auto find_nested = static_cast<uint32_t>(SKF_AD_OFF + SKF_AD_NLATTR_NEST);

sock_filter statement(unsigned code, uint32_t operand) {
    return {static_cast<uint16_t>(code), 0, 0, operand};
}

// Classic BPF, because a socket's filter needs no more: the accumulator is an offset into the message,
// or 0 where an attribute is missing. Loads take network order, so numbers of the host are turned.
class Filter {
  public:
    void load(unsigned size, uint32_t offset) {
        code_.at(length_++) = statement(BPF_LD | size | BPF_ABS, offset);
    }
    void load_at(unsigned size, uint32_t offset) { // from the accumulator
        code_.at(length_++) = statement(BPF_MISC | BPF_TAX, 0);
        code_.at(length_++) = statement(BPF_LD | size | BPF_IND, offset);
    }
    void attribute(uint32_t type, uint32_t way) {
        code_.at(length_++) = statement(BPF_LDX | BPF_IMM, type);
        load(BPF_W, way);
        drop_if(BPF_JEQ, 0);
    }
    void top_attribute(uint32_t type) {
        code_.at(length_++) = statement(BPF_LD | BPF_IMM, first_attribute);
        attribute(type, find);
    }
    // What `more` adds is for messages that have the attribute, the others pass by.
    void if_attribute(uint32_t type, const std::function<void()>& more) {
        code_.at(length_++) = statement(BPF_LD | BPF_IMM, first_attribute);
        code_.at(length_++) = statement(BPF_LDX | BPF_IMM, type);
        load(BPF_W, find);
        const size_t jump = length_++;
        more();
        const auto skipped = static_cast<uint8_t>(length_ - jump - 1);
        code_.at(jump) = {BPF_JMP | BPF_JEQ | BPF_K, skipped, 0, 0};
    }
    void drop_if(unsigned comparison, uint32_t operand) { test(comparison, operand, 0, 1); }
    void drop_unless(unsigned comparison, uint32_t operand) { test(comparison, operand, 1, 0); }
    sock_fprog finish() {
        code_.at(length_++) = statement(BPF_RET | BPF_K, UINT32_MAX);
        return {static_cast<uint16_t>(length_), code_.data()};
    }

  private:
    void test(unsigned comparison, uint32_t operand, uint8_t if_true, uint8_t if_false) {
        code_.at(length_++) = {static_cast<uint16_t>(BPF_JMP | comparison | BPF_K), if_true,
                               if_false, operand};
        code_.at(length_++) = statement(BPF_RET | BPF_K, 0);
    }
    std::array<sock_filter, 64> code_{};
    size_t length_ = 0;
};

void only_ends(Filter& filter) {
    filter.load(BPF_H, offsetof(nlmsghdr, nlmsg_type));
    filter.drop_unless(BPF_JEQ, htons(NFNL_SUBSYS_CTNETLINK << 8 | IPCTNL_MSG_CT_DELETE));
}

// From the accumulator on, which has CTA_PROTOINFO.
void only_believed_tcp(Filter& filter) {
    filter.attribute(CTA_PROTOINFO_TCP, find_nested);
    filter.attribute(CTA_PROTOINFO_TCP_STATE, find_nested);
    filter.load_at(BPF_B, sizeof(nlattr));
    filter.drop_unless(BPF_JGE, TCP_CONNTRACK_ESTABLISHED);
    filter.drop_if(BPF_JGT, TCP_CONNTRACK_LAST_ACK);
}

// The time that an entry had left is in the event only if there was some: what expires has none
// (ctnetlink_dump_timeout() in the kernel, skip_zero).
void only_early_and_ours(Filter& filter, uint32_t mask) {
    filter.top_attribute(CTA_TIMEOUT);
    filter.top_attribute(CTA_MARK);
    filter.load_at(BPF_W, sizeof(nlattr));
    filter.drop_unless(BPF_JSET, mask);
}

Filter filter_for_deaths(uint32_t mask) {
    Filter filter;
    only_ends(filter);
    filter.load(BPF_W, offsetof(nlmsghdr, nlmsg_pid));
    filter.drop_unless(BPF_JEQ, 0);
    filter.top_attribute(CTA_PROTOINFO);
    only_believed_tcp(filter);
    only_early_and_ours(filter, mask);
    return filter;
}

// UDP has no CTA_PROTOINFO.
Filter filter_for_flows(uint32_t mask) {
    Filter filter;
    only_ends(filter);
    filter.if_attribute(CTA_PROTOINFO, [&] { only_believed_tcp(filter); });
    filter.top_attribute(CTA_STATUS);
    filter.load_at(BPF_W, sizeof(nlattr));
    filter.drop_unless(BPF_JSET, IPS_SEEN_REPLY);
    only_early_and_ours(filter, mask);
    return filter;
}

Status check_kernel() {
    utsname name{};
    unsigned major = 0;
    unsigned minor = 0;
    uname(&name);
    // Nothing else shows it but the event itself.
    if (std::sscanf(name.release, "%u.%u", &major, &minor) == 2 &&
        (major < 5 || (major == 5 && minor < 11))) {
        return fail("conntrack's events of an end say too little on this kernel (5.11 has it)");
    }
    const auto events = read_file("/proc/sys/net/netfilter/nf_conntrack_events");
    if (events && events->starts_with('0')) {
        return fail("conntrack makes no events (net.netfilter.nf_conntrack_events = 0)");
    }
    return {};
}

Result<EventSocket> open_ends(Filter filter) {
    if (auto able = check_kernel(); !able) {
        return tl::unexpected(able.error());
    }
    const sock_fprog program = filter.finish();
    return EventSocket::open(NETLINK_NETFILTER, {NFNLGRP_CONNTRACK_DESTROY},
                             {.receive_room = receive_room, .filter = &program});
}

} // namespace

Result<EventSocket> open_death_events(uint32_t mask) { return open_ends(filter_for_deaths(mask)); }

Result<EventSocket> open_flow_end_events(uint32_t mask) {
    return open_ends(filter_for_flows(mask));
}

std::optional<Death> death_of(const nlmsghdr& event,
                              const std::function<bool(const IpAddress&)>& is_behind_us, Time now) {
    const auto entry = tcp_entry_of(event, is_behind_us);
    return entry ? std::optional(Death{entry->connection, entry->outer, now}) : std::nullopt;
}

} // namespace linkbal
