/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The binary interface between the datapath and everything that reads its maps. This is the only
 * header that BPF C and C++ both include; every size and offset is asserted in both worlds.
 *
 * Maps, pinned below /sys/fs/bpf/INSTANCE/ (INSTANCE is "linkbal" unless --instance says otherwise):
 *
 *   settings          ARRAY[1], frozen     struct lb_settings; what the loaded programs were built with
 *   buckets           ARRAY_OF_MAPS[2]     enum lb_family -> ARRAY[1] of struct lb_buckets; one update
 *                                          of the outer map switches a whole family at once
 *   buckets_ipv4, buckets_ipv6             what it holds
 *   turns             ARRAY[LB_TURNS]      __u32; next turn of each (client, server, transport) group
 *   bypass4, bypass6  LPM_TRIE             destinations that are never balanced
 *   devices           HASH                 __u32 ifindex -> struct lb_device
 *   interfaces        ARRAY[LB_INTERFACES] slot -> struct lb_interface; the same devices, as flows
 *                                          name them
 *   redirects         DEVMAP               slot -> __u32 ifindex; where XDP may send to
 *   flows_ipv4, flows_ipv6                 ARRAY, can be mapped; struct lb_flow4, struct lb_flow6: the
 *                                          flow cache, settings.flow_buckets buckets of LB_WAYS each
 *   tags_ipv4, tags_ipv6                   ARRAY, bucket -> struct lb_tags; what may be in it
 *   lease             ARRAY[1]             struct lb_lease_control; how long leases are at present
 *   uplinks           ARRAY[LB_UPLINK_IDS] struct lb_uplink; names and weights for readers
 *   uplink_counters   PERCPU_ARRAY         uplink id -> struct lb_uplink_counters
 *   verdict_counters  PERCPU_ARRAY         enum lb_verdict -> struct lb_verdict_counters
 *   fast_counters     PERCPU_ARRAY         enum lb_fast -> struct lb_verdict_counters
 *   handshakes        LRU_HASH             struct lb_handshake_key -> struct lb_handshake; what has
 *                                          not been answered (yet)
 *   handshake_counters ARRAY               uplink id * LB_FAMILIES + enum lb_family ->
 *                                          struct lb_handshake_counters
 *   epochs            ARRAY[LB_UPLINK_IDS] __u32; bumped when an uplink fails or its connections are
 *                                          ended: what was remembered under an older number is void
 */
#ifndef LINKBAL_ABI_H
#define LINKBAL_ABI_H

#include <linux/types.h>

#ifdef __cplusplus
#define LB_STATIC_ASSERT(condition, text) static_assert(condition, text)
#else
#define LB_STATIC_ASSERT(condition, text) _Static_assert(condition, text)
#endif

/* Changes whenever a reader of the maps would misread them. */
#define LB_ABI_VERSION 3

/*
 * Buckets of one family. A power of two, so that a hash is reduced by a mask and a turn wraps
 * without a seam. 65536 gives each of 255 uplinks of weight 1 to 1000 a share that is off by less
 * than one bucket, 0.0015 %.
 */
#define LB_BUCKETS 65536u
#define LB_TURNS 65536u

/* Uplink ids run from 1 to 255; 0 means "no uplink". A mark of zero bits is therefore "not ours". */
#define LB_NO_UPLINK 0
#define LB_UPLINK_IDS 256u
#define LB_NAME_SIZE 16u

enum lb_family {
    LB_IPV4 = 0,
    LB_IPV6 = 1,
    LB_FAMILIES = 2,
};

/* What the bucket of a new connection is made from; [balance] hash in the configuration. */
enum lb_hash_mode {
    LB_HASH_CONNECTION = 0, /* hash of client and server, plus the pair's turn */
    LB_HASH_SOURCE = 1,
    LB_HASH_DESTINATION = 2,
    LB_HASH_SOURCE_DESTINATION = 3,
};

/*
 * Known at load, constant afterwards: the programs see them as `const volatile` data.
 *
 * The mark of a packet and of its conntrack entry:
 *
 *    31              24 23              16 15                               0
 *   +------------------+------------------+----------------------------------+
 *   |  others, kept    |    uplink id     |           others, kept           |
 *   +------------------+------------------+----------------------------------+
 *                      '--- mark_mask ----'  default 0x00ff0000, mark_shift 16
 */
struct lb_settings {
    __u64 object_id; /* identifies the embedded BPF object that was loaded */
    __u32 abi_version;
    __u32 hash_seed; /* random per instance, kept as long as the instance lives */
    __u32 mark_mask;
    __u8 mark_shift;
    __u8 hash_mode;     /* enum lb_hash_mode */
    __u8 has_conntrack; /* bpf_skb_ct_lookup is there (kernel 6.0 and later with BTF) */
    __u8 fast_path;     /* the flow cache is used; needs has_conntrack */
    __u32 flow_buckets[LB_FAMILIES]; /* of LB_WAYS entries each; at least 1 */
    __u32 ticks_per_second; /* of the leases' clock, which counts jiffies64 >> tick_shift */
    __u32 tcp_timeout;      /* nf_conntrack_tcp_timeout_established, in seconds */
    __u16 tag; /* not 0; tells what tc has forwarded by itself from what the kernel forwards */
    __u8 tick_shift;
    __u8 has_xfrm;    /* the kernel has bpf_skb_get_xfrm_state (4.18) and IPsec at all */
    __u8 has_timeout; /* bpf_ct_change_timeout is there (kernel 6.0 and later) */
    __u8 padding[3];
};
LB_STATIC_ASSERT(sizeof(struct lb_settings) == 48, "lb_settings is 48 bytes");

/*
 * One family's buckets. A sticky hash mode takes uplink[hash]: when weights change, the fewest
 * buckets change hands. LB_HASH_CONNECTION takes uplink[order[hash + turn]]: `order` lists the
 * buckets so that neighbours belong to different uplinks wherever the weights allow it.
 */
struct lb_buckets {
    __u16 uplink[LB_BUCKETS]; /* bucket -> uplink id, LB_NO_UPLINK where there is none */
    __u16 order[LB_BUCKETS];  /* position -> bucket, a permutation */
};
LB_STATIC_ASSERT(sizeof(struct lb_buckets) == 4 * LB_BUCKETS, "lb_buckets has no padding");

/* Keys of the LPM tries; addresses in network byte order. */
struct lb_prefix4 {
    __u32 length; /* bits */
    __u8 address[4];
};
struct lb_prefix6 {
    __u32 length; /* bits */
    __u8 address[16];
};
LB_STATIC_ASSERT(sizeof(struct lb_prefix4) == 8, "lb_prefix4 is 8 bytes");
LB_STATIC_ASSERT(sizeof(struct lb_prefix6) == 20, "lb_prefix6 is 20 bytes");

struct lb_device {
    __u32 uplink; /* uplink id, LB_NO_UPLINK for a LAN device */
    __u32 slot;   /* in `interfaces` */
};

/* Slots are few and stay with their device, so that a flow can name one in two bytes. A slot that
 * changes hands ends the epochs of all uplinks. */
#define LB_INTERFACES 1024u

struct lb_interface {
    __u32 ifindex; /* 0: nobody's */
    __u16 mtu[LB_FAMILIES];
    __u8 mac[6];
    __u8 uplink;   /* id, LB_NO_UPLINK for a LAN device */
    __u8 ethernet; /* 0: frames begin with the IP header */
    __u8 xdp;      /* XDP may redirect to it; else flows that leave by it are tc's */
    __u8 padding[15];
};
LB_STATIC_ASSERT(sizeof(struct lb_interface) == 32, "lb_interface is 32 bytes");

/* For readers of the maps only: the programs never look at it. */
struct lb_uplink {
    char name[LB_NAME_SIZE];
    char interface[LB_NAME_SIZE];
    __u32 ifindex;
    __u32 weight;
};
LB_STATIC_ASSERT(sizeof(struct lb_uplink) == 40, "lb_uplink is 40 bytes");

/* Forwarded packets only; bytes as on the wire, link-layer header included. */
struct lb_uplink_counters {
    __u64 tx_packets;
    __u64 tx_bytes;
    __u64 rx_packets;
    __u64 rx_bytes;
    __u64 picks; /* new connections that the classifier sent this way */
    __u64 fast;  /* of the packets, those that the fast path forwarded */
};
LB_STATIC_ASSERT(sizeof(struct lb_uplink_counters) == 48, "lb_uplink_counters is 48 bytes");

/* Why the classifier did what it did to a packet from the LAN; exactly one for each packet. */
enum lb_verdict {
    LB_VERDICT_PICKED = 0,      /* new TCP or UDP connection: took a turn, marked */
    LB_VERDICT_PINNED = 1,      /* conntrack knows it: marked as its entry says */
    LB_VERDICT_ESTABLISHED = 2, /* TCP without SYN: nftables restores the mark from conntrack */
    LB_VERDICT_PROPOSED = 3,    /* no telling if it is new (ICMP, other protocols, fragments):
                                   marked by hash; nftables overrides if conntrack knows better */
    LB_VERDICT_UNPINNED = 4,    /* conntrack knows it and it has no uplink: left to the fallback */
    LB_VERDICT_BYPASS = 5,      /* local, connected or multicast destination: mark untouched */
    LB_VERDICT_NOT_IP = 6,
    LB_VERDICT_MALFORMED = 7, /* truncated, or a header that contradicts itself */
    LB_VERDICT_NO_UPLINK = 8, /* the family has no uplink, or no buckets are loaded */
    LB_VERDICTS = 9,
};

struct lb_verdict_counters {
    __u64 packets;
    __u64 bytes;
};

/* What became of a packet that the fast path saw. All but the first go the kernel's way, untouched. */
enum lb_fast {
    LB_FAST_FORWARDED = 0,
    LB_FAST_MISS = 1,      /* no such flow, or its entry was just being written */
    LB_FAST_EXPIRED = 2,   /* the lease has run out */
    LB_FAST_RENEWS = 3,    /* goes to the kernel to renew the lease */
    LB_FAST_EPOCH = 4,     /* the uplink's epoch is over */
    LB_FAST_TCP_FLAGS = 5, /* SYN, FIN, RST, or no ACK */
    LB_FAST_NOT_IP = 6,
    LB_FAST_PROTOCOL = 7, /* neither TCP nor UDP, or behind IPv6 extension headers */
    LB_FAST_OPTIONS = 8,  /* IPv4 options */
    LB_FAST_FRAGMENT = 9,
    LB_FAST_TTL = 10,         /* TTL or hop limit of 1 or less */
    LB_FAST_HEADER = 11,      /* TTL or DSCP differ from what the kernel made of the last packet */
    LB_FAST_TOO_BIG = 12,     /* for the device that it would leave by */
    LB_FAST_MALFORMED = 13,   /* truncated, contradicts itself, or a wrong IPv4 header checksum */
    LB_FAST_NOT_FOR_US = 14,  /* another MAC address, or another device than the flow's */
    LB_FAST_TAGGED = 15,      /* VLAN */
    LB_FAST_NO_REDIRECT = 16, /* the device is gone, or the flow is the other one's of XDP and tc */
    LB_FASTS = 17,
};

/*
 * The flow cache. An entry is one direction of a connection: what its packets look like as they come,
 * and what the kernel made of them. Entries lie in buckets of LB_WAYS; a flow's bucket and first place
 * in it follow from lb_flow_index() (hash.h), and it is in the first of LB_WAYS places from there, going
 * round in the bucket, that was free.
 */
#define LB_WAYS 8u

/* By place, lb_flow_tag() of the flow there, or 0 where there has never been one: a flow that is not in
 * the cache is found missing without a look at its bucket, which is seldom in the processor's caches. */
struct lb_tags {
    __u8 way[LB_WAYS];
};

/* Addresses and ports in network byte order, as they lie in a packet without options. */
struct lb_tuple4 {
    __u32 source;
    __u32 destination;
    __u16 source_port;
    __u16 destination_port;
};
struct lb_tuple6 {
    __u32 source[4];
    __u32 destination[4];
    __u16 source_port;
    __u16 destination_port;
};

/* Written and read as one 64-bit word. All zero: the entry is dead. */
struct lb_lease {
    __u32 end;   /* in ticks of settings.ticks_per_second */
    __u16 renew; /* ticks before the end from which on one packet goes to the kernel */
    __u16 epoch; /* the low bits of the uplink's epoch in which it was learned */
};

/*
 * Read as one 32-bit word before and after the rest of an entry: if it has become another one, or the
 * generation is odd, the entry was written meanwhile.
 */
struct lb_version {
    __u8 ttl;  /* TTL or hop limit that the kernel sent */
    __u8 dscp; /* DSCP that the kernel sent, in the upper six bits as in the header; ECN is 0 */
    __u16 generation;
};

/* Counters miss packets that two CPUs forward at the very same time; those of uplinks never do. */
struct lb_flow {
    struct lb_lease lease;
    __u64 packets;
    __u64 bytes;   /* as on the wire, link-layer header included */
    __u16 ingress; /* slot of the device that it comes by */
    __u16 egress;  /* slot of the device that it leaves by */
    __u8 mac[6];   /* destination of the frames that leave */
    __u8 protocol; /* IPPROTO_TCP or IPPROTO_UDP */
    __u8 uplink;
    struct lb_version version;
};
LB_STATIC_ASSERT(sizeof(struct lb_flow) == 40, "lb_flow is 40 bytes");

/* One cache line, two for IPv6. */
struct lb_flow4 {
    struct lb_flow flow;
    struct lb_tuple4 from; /* as it comes */
    struct lb_tuple4 to;   /* as it leaves */
};
struct lb_flow6 {
    struct lb_flow flow;
    struct lb_tuple6 from;
    struct lb_tuple6 to;
    __u8 padding[16];
};
LB_STATIC_ASSERT(sizeof(struct lb_flow4) == 64, "lb_flow4 is 64 bytes");
LB_STATIC_ASSERT(sizeof(struct lb_flow6) == 128, "lb_flow6 is 128 bytes");

/* A lease is as long as it takes to keep the renewals of all flows below a budget. */
struct lb_lease_control {
    __u32 ticks;    /* of the leases that are given now; 0: not begun */
    __u32 window;   /* tick in which the count began */
    __u64 renewals; /* leases given since then */
    __u64 full;     /* flows that found no place, since the programs were loaded */
};
LB_STATIC_ASSERT(sizeof(struct lb_lease_control) == 24, "lb_lease_control is 24 bytes");

/*
 * Beginnings of TCP connections of the LAN. A SYN is noted when it is sent to an uplink, and
 * forgotten when the server answers by that uplink: with SYN-ACK, or with RST, which proves as well
 * that the link carries. What is never answered makes room for others when the map is full.
 */
#define LB_HANDSHAKES 16384u

/* A SYN on the same ports after that long begins another connection: Linux gives up after 127 s. */
#define LB_HANDSHAKE_LIFE_NS 128000000000ull

/* Addresses are those of struct lb_address (hash.h), ports in network byte order. */
struct lb_handshake_key {
    __u32 client[4];
    __u32 server[4];
    __u16 client_port;
    __u16 server_port;
    __u32 family; /* enum lb_family */
};
LB_STATIC_ASSERT(sizeof(struct lb_handshake_key) == 40, "lb_handshake_key is 40 bytes");

struct lb_handshake {
    __u64 began_ns; /* CLOCK_MONOTONIC; of the first SYN */
    __u32 uplink;
    __u32 repeated; /* the SYN has been sent again: nobody knows which one is answered */
};
LB_STATIC_ASSERT(sizeof(struct lb_handshake) == 16, "lb_handshake is 16 bytes");

/* Servers fall into slots by the hash of their address (lb_handshake_slot()). */
#define LB_SLOTS 64u

struct lb_handshake_counters {
    __u64 attempts;    /* connections, by their first SYN */
    __u64 retries;     /* SYNs that were sent again */
    __u64 answers;     /* connections that the server accepted or refused */
    __u64 rtt_sum_ns;  /* from SYN to answer */
    __u64 rtt_samples; /* not of connections whose SYN was sent again (Karn's algorithm) */
    __u32 slot_attempts[LB_SLOTS]; /* SYNs, the repeated ones as well */
    __u32 slot_answers[LB_SLOTS];
};
LB_STATIC_ASSERT(sizeof(struct lb_handshake_counters) == 552, "lb_handshake_counters is 552 bytes");

#endif
