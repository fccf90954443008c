/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Every map of the datapath, and the settings that are known at load. include/linkbal/abi.h says
 * what they hold. */
#ifndef LINKBAL_BPF_MAPS_H
#define LINKBAL_BPF_MAPS_H

#include <linux/bpf.h>

#include <bpf/bpf_helpers.h>

#include "linkbal/abi.h"

#define LB_MAX_DEVICES 1024
#define LB_MAX_BYPASS 4096

const volatile struct lb_settings settings SEC(".rodata.settings");

struct lb_buckets_map {
    __uint(type, BPF_MAP_TYPE_ARRAY);
    __uint(max_entries, 1);
    __type(key, __u32);
    __type(value, struct lb_buckets);
};

struct {
    __uint(type, BPF_MAP_TYPE_ARRAY_OF_MAPS);
    __uint(max_entries, LB_FAMILIES);
    __type(key, __u32);
    __array(values, struct lb_buckets_map);
} buckets SEC(".maps");

struct {
    __uint(type, BPF_MAP_TYPE_ARRAY);
    __uint(max_entries, LB_TURNS);
    __type(key, __u32);
    __type(value, __u32);
} turns SEC(".maps");

struct {
    __uint(type, BPF_MAP_TYPE_LPM_TRIE);
    __uint(max_entries, LB_MAX_BYPASS);
    __uint(map_flags, BPF_F_NO_PREALLOC); /* the kernel takes a trie only so */
    __type(key, struct lb_prefix4);
    __type(value, __u8);
} bypass4 SEC(".maps");

struct {
    __uint(type, BPF_MAP_TYPE_LPM_TRIE);
    __uint(max_entries, LB_MAX_BYPASS);
    __uint(map_flags, BPF_F_NO_PREALLOC);
    __type(key, struct lb_prefix6);
    __type(value, __u8);
} bypass6 SEC(".maps");

struct {
    __uint(type, BPF_MAP_TYPE_HASH);
    __uint(max_entries, LB_MAX_DEVICES);
    __type(key, __u32);
    __type(value, struct lb_device);
} devices SEC(".maps");

struct {
    __uint(type, BPF_MAP_TYPE_ARRAY);
    __uint(max_entries, LB_UPLINK_IDS);
    __type(key, __u32);
    __type(value, struct lb_uplink);
} uplinks SEC(".maps");

struct {
    __uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
    __uint(max_entries, LB_UPLINK_IDS);
    __type(key, __u32);
    __type(value, struct lb_uplink_counters);
} uplink_counters SEC(".maps");

struct {
    __uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
    __uint(max_entries, LB_VERDICTS);
    __type(key, __u32);
    __type(value, struct lb_verdict_counters);
} verdict_counters SEC(".maps");

struct {
    __uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
    __uint(max_entries, LB_FASTS);
    __type(key, __u32);
    __type(value, struct lb_verdict_counters);
} fast_counters SEC(".maps");

struct {
    __uint(type, BPF_MAP_TYPE_LRU_HASH);
    __uint(max_entries, LB_HANDSHAKES);
    __type(key, struct lb_handshake_key);
    __type(value, struct lb_handshake);
} handshakes SEC(".maps");

/* Not per CPU: a connection begins here and there, and its reader asks twice a second. */
struct {
    __uint(type, BPF_MAP_TYPE_ARRAY);
    __uint(max_entries, LB_UPLINK_IDS* LB_FAMILIES);
    __type(key, __u32);
    __type(value, struct lb_handshake_counters);
} handshake_counters SEC(".maps");

struct {
    __uint(type, BPF_MAP_TYPE_ARRAY);
    __uint(max_entries, LB_UPLINK_IDS);
    __type(key, __u32);
    __type(value, __u32);
} epochs SEC(".maps");

struct {
    __uint(type, BPF_MAP_TYPE_ARRAY);
    __uint(max_entries, LB_INTERFACES);
    __type(key, __u32);
    __type(value, struct lb_interface);
} interfaces SEC(".maps");

struct {
    __uint(type, BPF_MAP_TYPE_DEVMAP);
    __uint(max_entries, LB_INTERFACES);
    __type(key, __u32);
    __type(value, __u32);
} redirects SEC(".maps");

/*
 * BPF_F_MMAPABLE is also what aligns entries with cache lines: the values of other arrays begin
 * behind the kernel's own header. Sizes are set at load.
 */
struct {
    __uint(type, BPF_MAP_TYPE_ARRAY);
    __uint(max_entries, LB_WAYS);
    __uint(map_flags, BPF_F_MMAPABLE);
    __type(key, __u32);
    __type(value, struct lb_flow4);
} flows_ipv4 SEC(".maps");

struct {
    __uint(type, BPF_MAP_TYPE_ARRAY);
    __uint(max_entries, LB_WAYS);
    __uint(map_flags, BPF_F_MMAPABLE);
    __type(key, __u32);
    __type(value, struct lb_flow6);
} flows_ipv6 SEC(".maps");

struct {
    __uint(type, BPF_MAP_TYPE_ARRAY);
    __uint(max_entries, 1);
    __type(key, __u32);
    __type(value, struct lb_tags);
} tags_ipv4 SEC(".maps");

struct {
    __uint(type, BPF_MAP_TYPE_ARRAY);
    __uint(max_entries, 1);
    __type(key, __u32);
    __type(value, struct lb_tags);
} tags_ipv6 SEC(".maps");

struct {
    __uint(type, BPF_MAP_TYPE_ARRAY);
    __uint(max_entries, 1);
    __type(key, __u32);
    __type(value, struct lb_lease_control);
} lease SEC(".maps");

#endif
