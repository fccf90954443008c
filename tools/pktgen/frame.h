/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The frame that the generator writes and the receiver recognises. Shared by BPF C and C++.
 *
 * 60 bytes are the shortest Ethernet frame (without its check sequence); 70 the shortest that hold
 * IPv6 and the same two numbers. A flow is a number; source address, destination address and source
 * port are made from it, so that every flow below PKTGEN_MAX_FLOWS is a connection of its own.
 */
#ifndef LINKBAL_PKTGEN_FRAME_H
#define LINKBAL_PKTGEN_FRAME_H

#include <linux/if_ether.h>
#include <linux/ip.h>
#include <linux/ipv6.h>
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

struct pktgen_payload {
    __u32 magic;
    __u32 flow;
} __attribute__((packed));

struct pktgen_frame4 {
    struct ethhdr ethernet;
    struct iphdr ip;
    struct udphdr udp;
    struct pktgen_payload payload;
    __u8 padding[10];
} __attribute__((packed));

struct pktgen_frame6 {
    struct ethhdr ethernet;
    struct ipv6hdr ip;
    struct udphdr udp;
    struct pktgen_payload payload;
} __attribute__((packed));

union pktgen_frame {
    struct pktgen_frame4 ipv4;
    struct pktgen_frame6 ipv6;
};

struct pktgen_counters {
    __u64 packets;
    __u64 bytes;
};

#ifdef __cplusplus
#define PKTGEN_ASSERT(condition, text) static_assert(condition, text)
#else
#define PKTGEN_ASSERT(condition, text) _Static_assert(condition, text)
#endif

PKTGEN_ASSERT(sizeof(struct pktgen_frame4) == 60, "the shortest Ethernet frame");
PKTGEN_ASSERT(sizeof(struct pktgen_frame6) == 70, "the shortest that holds the payload");

#endif
