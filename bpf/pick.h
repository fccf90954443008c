/* SPDX-License-Identifier: GPL-2.0-or-later */
/* From a packet to an uplink: bypass, bucket and turn. */
#ifndef LINKBAL_BPF_PICK_H
#define LINKBAL_BPF_PICK_H

#include "maps.h"
#include "packet.h"

/* True if the destination is never balanced. */
static __always_inline bool lb_bypassed(const struct lb_packet* packet) {
    if (packet->family == LB_IPV4) {
        struct lb_prefix4 key = {.length = 32};
        __builtin_memcpy(key.address, packet->server.word, sizeof(key.address));
        return bpf_map_lookup_elem(&bypass4, &key) != NULL;
    }
    struct lb_prefix6 key = {.length = 128};
    __builtin_memcpy(key.address, packet->server.word, sizeof(key.address));
    return bpf_map_lookup_elem(&bypass6, &key) != NULL;
}

/*
 * Takes a turn. A counter is shared by whoever hashes to it: a stranger's turn in between costs
 * evenness for one connection, nothing else, and the table can neither fill up nor evict.
 */
static __always_inline __u32 lb_take_turn(const struct lb_packet* packet) {
    const __u32 key = lb_turn_index(packet->family, &packet->client, &packet->server,
                                    packet->protocol, settings.hash_seed);
    __u32* turn = bpf_map_lookup_elem(&turns, &key);
    return turn ? __sync_fetch_and_add(turn, 1) : 0;
}

static __always_inline __u32 lb_connection_hash(const struct lb_packet* packet) {
    return lb_hash_connection(settings.hash_mode, packet->family, &packet->client, &packet->server,
                              settings.hash_seed);
}

/*
 * What a position of the buckets belongs to. Not inlined: clang leaves struct lb_buckets out of the
 * BTF, where the inner map needs it, unless a function that is really there has it as an argument.
 */
static __noinline __u32 lb_uplink_in(const struct lb_buckets* table, __u32 position) {
    __u32 bucket = position & (LB_BUCKETS - 1);
    if (settings.hash_mode == LB_HASH_CONNECTION) {
        bucket = table->order[bucket];
    }
    return table->uplink[bucket];
}

/* LB_NO_UPLINK where the family has no buckets. */
static __always_inline __u32 lb_uplink_at(__u32 family, __u32 position) {
    const __u32 zero = 0;
    void* inner = bpf_map_lookup_elem(&buckets, &family);
    const struct lb_buckets* table = inner ? bpf_map_lookup_elem(inner, &zero) : NULL;
    return table ? lb_uplink_in(table, position) : LB_NO_UPLINK;
}

/* For a packet that begins a connection. */
static __always_inline __u32 lb_pick(const struct lb_packet* packet) {
    __u32 position = lb_connection_hash(packet);
    if (settings.hash_mode == LB_HASH_CONNECTION) {
        position += lb_take_turn(packet);
    }
    return lb_uplink_at(packet->family, position);
}

/* For a packet that may belong to a connection: the same packet always gets the same answer. */
static __always_inline __u32 lb_propose(const struct lb_packet* packet) {
    __u32 position = lb_connection_hash(packet);
    if (settings.hash_mode == LB_HASH_CONNECTION) {
        const __u32 ports = (__u32)packet->source_port << 16 | packet->destination_port;
        position = ports ? lb_hash_1(ports, position) : position;
    }
    return lb_uplink_at(packet->family, position);
}

#endif
