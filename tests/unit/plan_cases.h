// SPDX-License-Identifier: GPL-2.0-or-later
// Plans, in short, and kernels to make them for.
#pragma once

#include <string>
#include <vector>

#include "core/plan.h"
#include "gateway_cases.h"

namespace linkbal::test {

// A word for each action, in the order of Action's alternatives.
inline const std::vector<std::string> action_words{
    "names",   "route+", "route=",  "route-", "rule+",  "rule-",  "sysctl", "nft",  "load",
    "devices", "bypass", "buckets", "attach", "detach", "forget", "unload", "nft-", "adopt"};

// "route+ route+ nft": runs of the same action are said once.
inline std::string outline(const Plan& plan) {
    std::string text;
    std::string last;
    for (const Action& action : plan) {
        const std::string& word = action_words.at(action.index());
        if (word != last) {
            text += (text.empty() ? "" : " ") + word;
        }
        last = word;
    }
    return text;
}

template <typename T>
std::vector<T> all_of(const Plan& plan) {
    std::vector<T> found;
    for (const Action& action : plan) {
        if (const T* one = std::get_if<T>(&action)) {
            found.push_back(*one);
        }
    }
    return found;
}

// A kernel in which `done` is applied.
inline ActualState applied(const Desired& done) {
    ActualState actual;
    actual.routes = done.state.routes;
    actual.rules = done.state.rules;
    actual.sysctls = done.state.sysctls;
    actual.netfilter = ActualState::Netfilter::same;
    actual.datapath = ActualDatapath{.state = done.state.datapath,
                                     .attachments = wanted_attachments(done.state.datapath),
                                     .outdated = {},
                                     .current = true};
    actual.table_names = done.state.table_names;
    return actual;
}

inline Memory remembers(const Desired& done) {
    Memory memory;
    for (const Uplink& link : done.uplinks) {
        memory.uplinks.push_back(
            {link.name, link.device, link.id, link.table, link.weight, {}, link.retired});
    }
    memory.balance_table = done.balance_table;
    return memory;
}

// A machine that linkbal has never seen: every parameter is 0.
inline ActualState untouched(const Desired& wanted) {
    ActualState actual;
    for (const Sysctl& sysctl : wanted.state.sysctls) {
        actual.sysctls.push_back({sysctl.key, "0"});
    }
    return actual;
}

// The plan from `before` applied to `after`.
inline Plan change(const Config& before, const Config& after, const Facts& facts = machine()) {
    const Desired done = desired(before, facts);
    const Memory memory = remembers(done);
    const Desired wanted = desired(after, facts, memory, done.state.datapath.buckets);
    return make_plan(applied(done), wanted, memory);
}

inline Config three_links(Facts& facts) {
    Config config = two_links();
    UplinkConfig link = uplink("velox3", "eth3");
    link.gateway = ip("192.168.3.1");
    link.gateway6 = ip("2001:db8:3::1");
    link.table = 12;
    config.uplinks.push_back(link);
    facts.interfaces.push_back(interface("eth3", {"192.168.3.2/24", "2001:db8:3::2/64"}));
    return config;
}

} // namespace linkbal::test
