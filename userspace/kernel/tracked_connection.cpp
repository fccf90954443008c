// SPDX-License-Identifier: GPL-2.0-or-later
#include "kernel/tracked_connection.h"

// libc's headers first: the kernel's make room for them, not the other way round.
#include <arpa/inet.h>
#include <netinet/in.h>

#include <linux/netfilter/nfnetlink.h>
#include <linux/netfilter/nfnetlink_conntrack.h>

#include "kernel/nfnetlink.h"

namespace linkbal {

namespace {

IpAddress address_of(const nlattr& attribute) {
    const size_t size = mnl_attr_get_payload_len(&attribute) == 4 ? 4 : 16;
    return IpAddress({static_cast<const uint8_t*>(mnl_attr_get_payload(&attribute)), size});
}

// False: without addresses.
bool read_addresses(const nlattr& nest, FlowTuple& tuple) {
    unsigned found = 0;
    for_each_nested(nest, [&](const nlattr* attribute) {
        switch (mnl_attr_get_type(attribute)) {
        case CTA_IP_V4_SRC:
        case CTA_IP_V6_SRC:
            tuple.source = address_of(*attribute);
            found |= 1;
            break;
        case CTA_IP_V4_DST:
        case CTA_IP_V6_DST:
            tuple.destination = address_of(*attribute);
            found |= 2;
            break;
        default:
            break;
        }
    });
    return found == 3;
}

void read_ports(const nlattr& nest, FlowTuple& tuple) {
    for_each_nested(nest, [&](const nlattr* attribute) {
        switch (mnl_attr_get_type(attribute)) {
        case CTA_PROTO_NUM:
            tuple.protocol = mnl_attr_get_u8(attribute);
            break;
        case CTA_PROTO_SRC_PORT:
            tuple.source_port = ntohs(mnl_attr_get_u16(attribute));
            break;
        case CTA_PROTO_DST_PORT:
            tuple.destination_port = ntohs(mnl_attr_get_u16(attribute));
            break;
        default:
            break;
        }
    });
}

bool read_tuple(const nlattr& nest, FlowTuple& tuple) {
    bool addressed = false;
    for_each_nested(nest, [&](const nlattr* attribute) {
        if (mnl_attr_get_type(attribute) == CTA_TUPLE_IP) {
            addressed = read_addresses(*attribute, tuple);
        } else if (mnl_attr_get_type(attribute) == CTA_TUPLE_PROTO) {
            read_ports(*attribute, tuple);
        }
    });
    return addressed;
}

void add_counters(const nlattr& nest, TrackedConnection& connection) {
    for_each_nested(nest, [&](const nlattr* attribute) {
        if (mnl_attr_get_type(attribute) == CTA_COUNTERS_PACKETS) {
            connection.packets += be64toh(mnl_attr_get_u64(attribute));
        } else if (mnl_attr_get_type(attribute) == CTA_COUNTERS_BYTES) {
            connection.bytes += be64toh(mnl_attr_get_u64(attribute));
        }
    });
}

std::optional<uint8_t> tcp_state_of(const nlattr& protocol) {
    std::optional<uint8_t> state;
    for_each_nested(protocol, [&](const nlattr* nest) {
        if (mnl_attr_get_type(nest) != CTA_PROTOINFO_TCP) {
            return;
        }
        for_each_nested(*nest, [&](const nlattr* attribute) {
            if (mnl_attr_get_type(attribute) == CTA_PROTOINFO_TCP_STATE) {
                state = mnl_attr_get_u8(attribute);
            }
        });
    });
    return state;
}

} // namespace

std::optional<TrackedConnection> tracked_connection_of(const nlmsghdr& message) {
    std::optional<TrackedConnection> found(std::in_place);
    unsigned tuples = 0;
    for_each_attribute(message, sizeof(nfgenmsg), [&](const nlattr* attribute) {
        switch (mnl_attr_get_type(attribute)) {
        case CTA_TUPLE_ORIG:
            tuples += read_tuple(*attribute, found->original) ? 1 : 0;
            break;
        case CTA_TUPLE_REPLY:
            tuples += read_tuple(*attribute, found->reply) ? 1 : 0;
            break;
        case CTA_MARK:
            found->mark = ntohl(mnl_attr_get_u32(attribute));
            break;
        case CTA_STATUS:
            found->status = ntohl(mnl_attr_get_u32(attribute));
            break;
        case CTA_COUNTERS_ORIG:
        case CTA_COUNTERS_REPLY:
            add_counters(*attribute, *found);
            break;
        case CTA_PROTOINFO:
            found->tcp_state = tcp_state_of(*attribute);
            break;
        default:
            break;
        }
    });
    return tuples == 2 ? found : std::nullopt;
}

} // namespace linkbal
