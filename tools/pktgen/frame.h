/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The frame that the generator writes and the receiver recognises. Shared by BPF C and C++.
 *
 * 60 bytes are the shortest Ethernet frame (without its check sequence). A flow is a number; source
 * address, destination address and source port are made from it, so that every flow below
 * PKTGEN_MAX_FLOWS is a connection of its own.
 */
#ifndef LINKBAL_PKTGEN_FRAME_H
#define LINKBAL_PKTGEN_FRAME_H

#include <linux/if_ether.h>
#include <linux/ip.h>
#include <linux/types.h>
#include <linux/udp.h>

#define PKTGEN_MAGIC 0x6c62706bu

/*
 * Every number of a flow changes from one packet to the next, as with many people at a time: the
 * kernel reuses the last packet's route if the destination is the same. 199 and 250 have no common
 * divisor, nor do 199 and 64,000, so that the three together repeat after 12,736,000 flows.
 */
#define PKTGEN_SOURCES 199u
#define PKTGEN_FIRST_SOURCE 10u
#define PKTGEN_DESTINATIONS 250u
#define PKTGEN_FIRST_DESTINATION 1u
#define PKTGEN_PORTS 64000u
#define PKTGEN_FIRST_PORT 1024u
#define PKTGEN_MAX_FLOWS 4000000u

struct pktgen_frame {
    struct ethhdr ethernet;
    struct iphdr ip;
    struct udphdr udp;
    __u32 magic;
    __u32 flow;
    __u8 padding[10];
} __attribute__((packed));

struct pktgen_counters {
    __u64 packets;
    __u64 bytes;
};

#ifdef __cplusplus
static_assert(sizeof(struct pktgen_frame) == 60, "the shortest Ethernet frame");
#else
_Static_assert(sizeof(struct pktgen_frame) == 60, "the shortest Ethernet frame");
#endif

#endif
