/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the classifier wants to know of a packet. Its own file, so that nobody who decides about a
 * packet can reach for its bytes. */
#ifndef LINKBAL_BPF_PACKET_H
#define LINKBAL_BPF_PACKET_H

#include <stdbool.h>

#include "linkbal/abi.h"
#include "linkbal/hash.h"

enum lb_kind {
    LB_KIND_MALFORMED = 0,
    LB_KIND_NOT_IP,
    LB_KIND_SYN,       /* TCP with SYN and without ACK */
    LB_KIND_TCP_LATER, /* any other TCP segment */
    LB_KIND_UDP,
    LB_KIND_OTHER, /* other protocols, and fragments: ports unknown */
};

struct lb_packet {
    struct lb_address client; /* the source: programs that ask look at what comes from the LAN */
    struct lb_address server;
    __u32 family;       /* enum lb_family */
    __be16 source_port; /* of LB_KIND_SYN and LB_KIND_UDP */
    __be16 destination_port;
    __u32 protocol; /* IPPROTO_*, after IPv6 extension headers */
    bool is_answer; /* TCP with SYN and ACK, or with RST */
};

#endif
