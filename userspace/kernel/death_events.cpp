// SPDX-License-Identifier: GPL-2.0-or-later
#include "kernel/death_events.h"

#include <array>
#include <cstdio>
#include <string>

// libc's headers first: the kernel's make room for them, not the other way round.
#include <arpa/inet.h>
#include <sys/utsname.h>

#include <linux/filter.h>
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

// The time that an entry had left is in the event only if there was some: what expires has none
// (ctnetlink_dump_timeout() in the kernel, skip_zero).
Filter filter_for(uint32_t mask) {
    Filter filter;
    filter.load(BPF_H, offsetof(nlmsghdr, nlmsg_type));
    filter.drop_unless(BPF_JEQ, htons(NFNL_SUBSYS_CTNETLINK << 8 | IPCTNL_MSG_CT_DELETE));
    filter.load(BPF_W, offsetof(nlmsghdr, nlmsg_pid));
    filter.drop_unless(BPF_JEQ, 0);
    filter.top_attribute(CTA_PROTOINFO);
    filter.attribute(CTA_PROTOINFO_TCP, find_nested);
    filter.attribute(CTA_PROTOINFO_TCP_STATE, find_nested);
    filter.load_at(BPF_B, sizeof(nlattr));
    filter.drop_unless(BPF_JGE, TCP_CONNTRACK_ESTABLISHED);
    filter.drop_if(BPF_JGT, TCP_CONNTRACK_LAST_ACK);
    filter.top_attribute(CTA_TIMEOUT);
    filter.top_attribute(CTA_MARK);
    filter.load_at(BPF_W, sizeof(nlattr));
    filter.drop_unless(BPF_JSET, mask);
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

} // namespace

Result<EventSocket> open_death_events(uint32_t mask) {
    if (auto able = check_kernel(); !able) {
        return tl::unexpected(able.error());
    }
    Filter filter = filter_for(mask);
    const sock_fprog program = filter.finish();
    return EventSocket::open(NETLINK_NETFILTER, {NFNLGRP_CONNTRACK_DESTROY},
                             {.receive_room = receive_room, .filter = &program});
}

std::optional<Death> death_of(const nlmsghdr& event,
                              const std::function<bool(const IpAddress&)>& is_behind_us, Time now) {
    const auto entry = tcp_entry_of(event, is_behind_us);
    return entry ? std::optional(Death{entry->connection, entry->outer, now}) : std::nullopt;
}

} // namespace linkbal
