// SPDX-License-Identifier: GPL-2.0-or-later
#include "kernel/nftables.h"

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <functional>
#include <memory>

#include <libnftnl/object.h>
#include <linux/netfilter/nf_tables.h>
#include <sys/utsname.h>

#include "core/netfilter_rules.h"
#include "kernel/dead_set.h"
#include "kernel/nfnetlink.h"
#include "kernel/nft_describe.h"
#include "kernel/nft_dump.h"
#include "kernel/nft_message.h"

namespace linkbal {

namespace {

// Someone else's transaction between our reading and our writing: read again.
constexpr int attempts = 20;

std::string title(std::string_view verb, const std::string& table) {
    return fmt::format("{} nftables table inet {}", verb, table);
}

CounterValues counter_values(const std::vector<NfnetlinkMessage>& messages) {
    CounterValues values;
    for (const auto& message : messages) {
        if (nft_kind(message) != NFT_MSG_NEWOBJ) {
            continue;
        }
        const std::unique_ptr<nftnl_obj, void (*)(const nftnl_obj*)> object(nftnl_obj_alloc(),
                                                                            nftnl_obj_free);
        if (nftnl_obj_nlmsg_parse(header(message), object.get()) == 0 &&
            nftnl_obj_get_u32(object.get(), NFTNL_OBJ_TYPE) == NFT_OBJECT_COUNTER) {
            values[nftnl_obj_get_str(object.get(), NFTNL_OBJ_NAME)] = {
                nftnl_obj_get_u64(object.get(), NFTNL_OBJ_CTR_PKTS),
                nftnl_obj_get_u64(object.get(), NFTNL_OBJ_CTR_BYTES)};
        }
    }
    return values;
}

// The first refusal is the cause; the rest follows from it.
Status send_batch(NfnetlinkSocket& socket, const std::vector<NftMessage>& messages,
                  uint32_t generation) {
    const auto refusals = socket.transact(nft_batch(messages, generation));
    if (!refusals) {
        return tl::unexpected(refusals.error());
    }
    if (refusals->empty()) {
        return {};
    }
    const KernelRefusal& first = refusals->front();
    const bool known = first.sequence >= 1 && first.sequence <= messages.size();
    return refused(first, known ? messages[first.sequence - 1].what : "transaction");
}

using Build = std::function<std::vector<NftMessage>(const NftDump& before)>;

// Reads the table, lets `build` say what to send, and sends it provided that nothing in nftables
// changed in between; otherwise once more.
Status transact(const std::string& table, const Build& build) {
    auto socket = NfnetlinkSocket::open();
    if (!socket) {
        return tl::unexpected(socket.error());
    }
    Status status;
    for (int i = 0; i < attempts; ++i) {
        const auto before = read_table(*socket, table);
        if (!before) {
            return tl::unexpected(before.error());
        }
        const auto messages = build(*before);
        if (messages.empty()) {
            return {};
        }
        status = send_batch(*socket, messages, before->generation);
        if (status || status.error().code != ERESTART) {
            break;
        }
    }
    return status;
}

// Deleting and making the table in one transaction: on the packets' side the switch is one step.
std::vector<NftMessage> after_removal(const NftDump& before, const std::string& table,
                                      std::vector<NftMessage> messages) {
    if (!before.messages.empty()) {
        messages.insert(messages.begin(), nft_delete_table(table));
    }
    return messages;
}

// An uplink that fails is often what the table is replaced for: the resets must outlive it. Elements
// keep their time of expiry since 5.3; older kernels begin the timeout anew.
void append_dead_elements(std::vector<NftMessage>& messages, const NftDump& before) {
    for (const auto& elements : dead_elements_of(before.messages)) {
        messages.push_back({to_request(elements, 0), "elements of dead connections"});
    }
}

// The hook that an expression stands in is judged when a transaction is committed, in a trial since
// 5.11 only: older kernels without the ability would pass it.
bool is_before_5_9() {
    utsname system{};
    int major = 0;
    int minor = 0;
    return uname(&system) == 0 && std::sscanf(system.release, "%d.%d", &major, &minor) == 2 &&
           (major < 5 || (major == 5 && minor < 9));
}

Status within(Status status, const std::string& context) {
    return status ? status : Status(tl::unexpected(status.error().within(context)));
}

Result<NftDump> read_table(const std::string& table) {
    auto socket = NfnetlinkSocket::open();
    auto dump = socket ? read_table(*socket, table) : tl::unexpected(socket.error());
    return dump ? dump : tl::unexpected(dump.error().within(title("read", table)));
}

bool is_as_wanted(const std::string& table, const NetfilterState& state, const NftDump& actual) {
    std::vector<NfnetlinkMessage> wanted;
    for (auto& message : nft_table_messages(table, netfilter_ruleset(state), {})) {
        wanted.push_back(std::move(message.message));
    }
    const auto description = nft_describe(actual.messages);
    return is_complete(actual) && description && description == nft_describe(wanted);
}

} // namespace

Result<NetfilterMatch> compare(const std::string& table, const NetfilterState& state) {
    const auto actual = read_table(table);
    if (!actual) {
        return tl::unexpected(actual.error());
    }
    if (actual->messages.empty()) {
        return NetfilterMatch::absent;
    }
    if (!nft_is_ours(actual->messages.front())) {
        return NetfilterMatch::foreign;
    }
    return is_as_wanted(table, state, *actual) ? NetfilterMatch::same : NetfilterMatch::different;
}

Status replace(const std::string& table, const NetfilterState& state) {
    const NftRuleset ruleset = netfilter_ruleset(state);
    const auto build = [&](const NftDump& before) {
        const auto counters = counter_values(before.messages);
        auto messages = nft_table_messages(table, ruleset, counters);
        if (state.resets) {
            append_dead_elements(messages, before);
        }
        return after_removal(before, table, std::move(messages));
    };
    return within(transact(table, build), title("load", table));
}

Status remove(const std::string& table) {
    const auto build = [&](const NftDump& before) { return after_removal(before, table, {}); };
    return within(transact(table, build), title("remove", table));
}

Result<std::map<std::string, ConnectionCounters>> connection_counters(const std::string& table) {
    const auto dump = read_table(table);
    if (!dump) {
        return tl::unexpected(dump.error());
    }
    std::map<std::string, ConnectionCounters> counters;
    for (const auto& [name, value] : counter_values(dump->messages)) {
        if (name.starts_with(arrived_prefix)) {
            counters[name.substr(arrived_prefix.size())].arrived = value.packets;
        } else if (name.starts_with(left_prefix)) {
            counters[name.substr(left_prefix.size())].left = value.packets;
        }
    }
    return counters;
}

Result<bool> can_reject_in_prerouting() {
    if (is_before_5_9()) {
        return false;
    }
    auto socket = NfnetlinkSocket::open();
    if (!socket) {
        return tl::unexpected(socket.error());
    }
    const NftHook hook{NftChainType::filter, NftHookPoint::prerouting, 0};
    const NftRuleset ruleset{
        "",
        {},
        {},
        {DeadSet{Family::ipv4}},
        {{"probe", "", hook, {{{OfDeadConnection{Family::ipv4}, ResetTcp{}}, ""}}}}};
    const auto refusals =
        socket->transact(nft_trial_batch(nft_table_messages("linkbal_probe", ruleset, {})));
    if (!refusals) {
        return tl::unexpected(refusals.error());
    }
    if (!refusals->empty() && refusals->front().code == EPERM) {
        return refused(refusals->front(), "ask nftables for resets");
    }
    return refusals->empty();
}

Result<NetfilterSnapshot> snapshot(const std::string& table) {
    auto dump = read_table(table);
    if (!dump) {
        return tl::unexpected(dump.error());
    }
    if (!is_complete(*dump)) {
        return fail("{}: it has flow tables, which linkbal cannot put back", title("save", table));
    }
    return NetfilterSnapshot{table, std::move(dump->messages)};
}

Status restore(const NetfilterSnapshot& snapshot) {
    const auto build = [&](const NftDump& before) {
        std::vector<NftMessage> messages;
        for (const auto& message : snapshot.messages) {
            const auto id = static_cast<uint32_t>(messages.size() + 1);
            messages.push_back({to_request(message, id), fmt::format("saved message {}", id)});
        }
        return after_removal(before, snapshot.table, std::move(messages));
    };
    return within(transact(snapshot.table, build), title("restore", snapshot.table));
}

} // namespace linkbal
