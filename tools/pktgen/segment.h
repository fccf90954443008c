/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The frame of a short TCP connection, as both of its ends write it; see connections.bpf.c. Always 60
 * bytes, the shortest frame: a segment without data has six bytes of padding, one with data six bytes
 * of zeros.
 */
#ifndef LINKBAL_PKTGEN_SEGMENT_H
#define LINKBAL_PKTGEN_SEGMENT_H

#include <linux/if_ether.h>
#include <linux/ip.h>
#include <linux/tcp.h>
#include <linux/types.h>

#define PKTGEN_DATA_SIZE 6
#define PKTGEN_SERVER_PORT 80

struct pktgen_segment {
    struct ethhdr ethernet;
    struct iphdr ip;
    struct tcphdr tcp;
    __u8 data[PKTGEN_DATA_SIZE];
} __attribute__((packed));

#ifndef __cplusplus
_Static_assert(sizeof(struct pktgen_segment) == 60, "the shortest Ethernet frame");
#endif

/* Devices, by number, whose connections are counted. */
#define PKTGEN_DEVICES 1024u

#endif
