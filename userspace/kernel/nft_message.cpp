// SPDX-License-Identifier: GPL-2.0-or-later
#include "kernel/nft_message.h"

#include <array>
#include <cstring>
#include <memory>
#include <span>

#include <arpa/inet.h>
#include <libnftnl/chain.h>
#include <libnftnl/object.h>
#include <libnftnl/set.h>
#include <libnftnl/table.h>
#include <libnftnl/udata.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>
#include <net/if.h>

#include "kernel/dead_set.h"
#include "kernel/nft_expression.h"

namespace linkbal {

namespace {

// Numbers of nft's own types and byte orders (its include/datatype.h). The kernel only stores them;
// nft needs them to print keys as marks and names.
constexpr uint32_t nft_type_mark = 19;
constexpr uint32_t nft_type_ifname = 41;
constexpr uint32_t nft_host_byte_order = 1;

// Elements of one message: a list is one attribute, of 64 kB at most.
constexpr size_t elements_per_message = 128;
constexpr size_t element_room = 256;

using Element = std::pair<std::vector<uint8_t>, std::string>; // key, chain to go to or none

template <typename T, auto Free>
struct FreeWith {
    void operator()(T* object) const { Free(object); }
};
template <typename T, auto Free>
using Owned = std::unique_ptr<T, FreeWith<T, Free>>;

NfnetlinkMessage new_message(uint8_t type, uint16_t flags,
                             const std::function<void(nlmsghdr*)>& fill, size_t room = 4096) {
    return make_message(NFNL_SUBSYS_NFTABLES, type, NFPROTO_INET,
                        static_cast<uint16_t>(NLM_F_CREATE | flags), fill, room);
}

// The user data of tables, chains, rules and objects all begin with the comment as type 0.
template <typename Set>
void with_comment(const std::string& comment, Set set) {
    if (comment.empty()) {
        return;
    }
    const Owned<nftnl_udata_buf, nftnl_udata_buf_free> data(nftnl_udata_buf_alloc(512));
    nftnl_udata_put_strz(data.get(), NFTNL_UDATA_RULE_COMMENT, comment.c_str());
    set(nftnl_udata_buf_data(data.get()), nftnl_udata_buf_len(data.get()));
}

NftMessage table_message(const std::string& name, const std::string& comment) {
    const Owned<nftnl_table, nftnl_table_free> table(nftnl_table_alloc());
    nftnl_table_set_str(table.get(), NFTNL_TABLE_NAME, name.c_str());
    with_comment(comment, [&](const void* data, uint32_t size) {
        nftnl_table_set_data(table.get(), NFTNL_TABLE_USERDATA, data, size);
    });
    return {new_message(NFT_MSG_NEWTABLE, 0,
                        [&](nlmsghdr* m) { nftnl_table_nlmsg_build_payload(m, table.get()); }),
            "table"};
}

NftMessage counter_message(const std::string& table, const std::string& name,
                           const CounterValues& values) {
    const Owned<nftnl_obj, nftnl_obj_free> object(nftnl_obj_alloc());
    const auto value = values.find(name);
    nftnl_obj_set_str(object.get(), NFTNL_OBJ_TABLE, table.c_str());
    nftnl_obj_set_str(object.get(), NFTNL_OBJ_NAME, name.c_str());
    nftnl_obj_set_u32(object.get(), NFTNL_OBJ_TYPE, NFT_OBJECT_COUNTER);
    nftnl_obj_set_u64(object.get(), NFTNL_OBJ_CTR_PKTS,
                      value == values.end() ? 0 : value->second.packets);
    nftnl_obj_set_u64(object.get(), NFTNL_OBJ_CTR_BYTES,
                      value == values.end() ? 0 : value->second.bytes);
    return {new_message(NFT_MSG_NEWOBJ, 0,
                        [&](nlmsghdr* m) { nftnl_obj_nlmsg_build_payload(m, object.get()); }),
            "counter " + name};
}

uint32_t hook_number(NftHookPoint point) {
    switch (point) {
    case NftHookPoint::prerouting:
        return NF_INET_PRE_ROUTING;
    case NftHookPoint::output:
        return NF_INET_LOCAL_OUT;
    case NftHookPoint::postrouting:
        return NF_INET_POST_ROUTING;
    }
    return NF_INET_NUMHOOKS;
}

void set_hook(nftnl_chain* chain, const NftHook& hook) {
    nftnl_chain_set_str(chain, NFTNL_CHAIN_TYPE, std::string(nft_word(hook.type)).c_str());
    nftnl_chain_set_u32(chain, NFTNL_CHAIN_HOOKNUM, hook_number(hook.point));
    nftnl_chain_set_s32(chain, NFTNL_CHAIN_PRIO, hook.priority);
    nftnl_chain_set_u32(chain, NFTNL_CHAIN_POLICY, NF_ACCEPT);
}

NftMessage chain_message(const std::string& table, const NftChain& wanted) {
    const Owned<nftnl_chain, nftnl_chain_free> chain(nftnl_chain_alloc());
    nftnl_chain_set_str(chain.get(), NFTNL_CHAIN_TABLE, table.c_str());
    nftnl_chain_set_str(chain.get(), NFTNL_CHAIN_NAME, wanted.name.c_str());
    if (wanted.hook) {
        set_hook(chain.get(), *wanted.hook);
    }
    with_comment(wanted.comment, [&](const void* data, uint32_t size) {
        nftnl_chain_set_data(chain.get(), NFTNL_CHAIN_USERDATA, data, size);
    });
    return {new_message(NFT_MSG_NEWCHAIN, 0,
                        [&](nlmsghdr* m) { nftnl_chain_nlmsg_build_payload(m, chain.get()); }),
            "chain " + wanted.name};
}

std::vector<uint8_t> mark_key(uint32_t mark) {
    std::vector<uint8_t> key(sizeof mark);
    std::memcpy(key.data(), &mark, sizeof mark);
    return key;
}

std::vector<uint8_t> device_key(const std::string& device) {
    std::vector<uint8_t> key(IFNAMSIZ);
    std::memcpy(key.data(), device.data(), std::min(device.size(), key.size() - 1));
    return key;
}

void put_element(nlmsghdr* message, const Element& wanted) {
    const auto& [key, chain] = wanted;
    nlattr* element = mnl_attr_nest_start(message, NFTA_LIST_ELEM);
    nlattr* value = mnl_attr_nest_start(message, NFTA_SET_ELEM_KEY);
    mnl_attr_put(message, NFTA_DATA_VALUE, key.size(), key.data());
    mnl_attr_nest_end(message, value);
    if (!chain.empty()) {
        put_verdict(message, NFTA_SET_ELEM_DATA, NFT_GOTO, chain);
    }
    mnl_attr_nest_end(message, element);
}

struct SetType {
    const char* prefix;
    uint32_t flags;
    uint32_t key_type;
    uint32_t key_length;
};
constexpr uint32_t fixed = NFT_SET_ANONYMOUS | NFT_SET_CONSTANT;
constexpr SetType marks_to_chains{"__map", fixed | NFT_SET_MAP, nft_type_mark, sizeof(uint32_t)};
constexpr SetType devices_to_chains{"__map", fixed | NFT_SET_MAP, nft_type_ifname, IFNAMSIZ};
constexpr SetType devices{"__set", fixed, nft_type_ifname, IFNAMSIZ};

// Writes messages in the order in which the kernel needs them.
class Writer {
  public:
    Writer(const std::string& table, std::vector<NftMessage>& out) : table_(table), out_(out) {}

    void rule(const NftChain& chain, const NftRule& wanted) {
        const auto fill = [&](nlmsghdr* m) {
            mnl_attr_put_strz(m, NFTA_RULE_TABLE, table_.c_str());
            mnl_attr_put_strz(m, NFTA_RULE_CHAIN, chain.name.c_str());
            nlattr* expressions = mnl_attr_nest_start(m, NFTA_RULE_EXPRESSIONS);
            rule_ = m;
            std::visit(*this, wanted.statement);
            mnl_attr_nest_end(m, expressions);
            with_comment(wanted.comment, [&](const void* data, uint32_t size) {
                mnl_attr_put(m, NFTA_RULE_USERDATA, size, data);
            });
        };
        // Writing it sends its sets ahead.
        auto message = new_message(NFT_MSG_NEWRULE, NLM_F_APPEND, fill);
        out_.push_back({std::move(message), "rule in chain " + chain.name});
    }

    void operator()(const DispatchByMark& wanted) {
        std::vector<Element> elements;
        for (const auto& target : wanted.targets) {
            elements.emplace_back(mark_key(target.mark), target.chain);
        }
        load_ct_mark(rule_);
        and_xor(rule_, wanted.mask, 0);
        const std::string map = set(marks_to_chains, elements);
        look_up_verdict(rule_, map, set_id_);
    }
    void operator()(const DispatchByDevice& wanted) {
        std::vector<Element> elements;
        for (const auto& target : wanted.targets) {
            elements.emplace_back(device_key(target.device), target.chain);
        }
        load_meta(rule_, wanted.direction == Direction::in ? NFT_META_IIFNAME : NFT_META_OIFNAME);
        const std::string map = set(devices_to_chains, elements);
        look_up_verdict(rule_, map, set_id_);
    }
    void operator()(const AcceptFromDevices& wanted) {
        std::vector<Element> elements;
        for (const auto& device : wanted.devices) {
            elements.emplace_back(device_key(device), "");
        }
        load_meta(rule_, NFT_META_IIFNAME);
        const std::string name = set(devices, elements);
        look_up(rule_, name, set_id_);
        verdict(rule_, NF_ACCEPT);
    }
    void operator()(const RestoreMark& wanted) {
        load_meta(rule_, NFT_META_MARK);
        and_xor(rule_, ~wanted.mask, wanted.mark);
        store_meta_mark(rule_);
    }
    void operator()(const SaveMark& wanted) {
        load_ct_mark(rule_);
        and_xor(rule_, ~wanted.mask, wanted.mark);
        store_ct_mark(rule_);
        count(rule_, wanted.counter);
    }
    void operator()(const Masquerade& wanted) {
        match_source(rule_, wanted.source);
        masquerade(rule_);
    }
    void operator()(const CatchMidStream& wanted) {
        match_mid_stream(rule_);
        verdict(rule_, NFT_GOTO, wanted.chain);
    }
    void operator()(const ResetDead& wanted) {
        load_tcp_tuple(rule_, wanted.family);
        look_up(rule_, std::string(dead_set_name(wanted.family)), dead_set_id(wanted.family));
        reject_with_reset(rule_);
    }

  private:
    std::string set(const SetType& type, const std::vector<Element>& list);
    void elements(const std::string& name, std::span<const Element> list);

    const std::string& table_;
    std::vector<NftMessage>& out_;
    nlmsghdr* rule_ = nullptr;
    uint32_t set_id_ = 0;
};

// Announces an anonymous set with its size, for which the kernel takes a hash of fixed size, its
// fastest. nft leaves the number in "__map%d" to the kernel; a number of our own is as good in a
// fresh table, and lets the tables be compared word by word.
std::string Writer::set(const SetType& type, const std::vector<Element>& list) {
    const std::string name = fmt::format("{}{}", type.prefix, set_id_++);
    const Owned<nftnl_set, nftnl_set_free> set(nftnl_set_alloc());
    const Owned<nftnl_udata_buf, nftnl_udata_buf_free> data(nftnl_udata_buf_alloc(64));
    nftnl_udata_put_u32(data.get(), NFTNL_UDATA_SET_KEYBYTEORDER, nft_host_byte_order);
    nftnl_set_set_str(set.get(), NFTNL_SET_TABLE, table_.c_str());
    nftnl_set_set_str(set.get(), NFTNL_SET_NAME, name.c_str());
    nftnl_set_set_u32(set.get(), NFTNL_SET_FAMILY, NFPROTO_INET);
    nftnl_set_set_u32(set.get(), NFTNL_SET_ID, set_id_);
    nftnl_set_set_u32(set.get(), NFTNL_SET_FLAGS, type.flags);
    nftnl_set_set_u32(set.get(), NFTNL_SET_KEY_TYPE, type.key_type);
    nftnl_set_set_u32(set.get(), NFTNL_SET_KEY_LEN, type.key_length);
    nftnl_set_set_u32(set.get(), NFTNL_SET_DESC_SIZE, static_cast<uint32_t>(list.size()));
    if ((type.flags & NFT_SET_MAP) != 0) {
        nftnl_set_set_u32(set.get(), NFTNL_SET_DATA_TYPE, NFT_DATA_VERDICT);
        nftnl_set_set_u32(set.get(), NFTNL_SET_DATA_LEN, 0);
    }
    nftnl_set_set_data(set.get(), NFTNL_SET_USERDATA, nftnl_udata_buf_data(data.get()),
                       nftnl_udata_buf_len(data.get()));
    out_.push_back({new_message(NFT_MSG_NEWSET, 0,
                                [&](nlmsghdr* m) { nftnl_set_nlmsg_build_payload(m, set.get()); }),
                    "set " + name});
    for (size_t first = 0; first < list.size(); first += elements_per_message) {
        const size_t size = std::min(elements_per_message, list.size() - first);
        elements(name, std::span(list).subspan(first, size));
    }
    return name;
}

// libnftnl's own writer of lists numbers the elements in a way that its reader, with which tables
// are compared, does not take.
void Writer::elements(const std::string& name, std::span<const Element> list) {
    const auto fill = [&](nlmsghdr* m) {
        mnl_attr_put_strz(m, NFTA_SET_ELEM_LIST_TABLE, table_.c_str());
        mnl_attr_put_strz(m, NFTA_SET_ELEM_LIST_SET, name.c_str());
        mnl_attr_put_u32(m, NFTA_SET_ELEM_LIST_SET_ID, htonl(set_id_));
        nlattr* nest = mnl_attr_nest_start(m, NFTA_SET_ELEM_LIST_ELEMENTS);
        for (const auto& element : list) {
            put_element(m, element);
        }
        mnl_attr_nest_end(m, nest);
    };
    out_.push_back({new_message(NFT_MSG_NEWSETELEM, 0, fill, elements_per_message * element_room),
                    "elements of set " + name});
}

NfnetlinkMessage frame(uint16_t type, std::optional<uint32_t> generation) {
    NfnetlinkMessage message = make_message(0, 0, AF_UNSPEC, 0, [&](nlmsghdr* m) {
        if (type == NFNL_MSG_BATCH_BEGIN && generation) {
            mnl_attr_put_u32(m, NFNL_BATCH_GENID, htonl(*generation));
        }
    });
    header(message)->nlmsg_type = type;
    static_cast<nfgenmsg*>(mnl_nlmsg_get_payload(header(message)))->res_id =
        htons(NFNL_SUBSYS_NFTABLES);
    return message;
}

std::vector<uint8_t> begin_batch(std::vector<NftMessage>& messages,
                                 std::optional<uint32_t> generation) {
    std::vector<uint8_t> bytes = frame(NFNL_MSG_BATCH_BEGIN, generation);
    uint32_t sequence = 0;
    for (auto& [message, what] : messages) {
        header(message)->nlmsg_seq = ++sequence;
        bytes.insert(bytes.end(), message.begin(), message.end());
    }
    return bytes;
}

} // namespace

std::vector<NftMessage> nft_table_messages(const std::string& table, const NftRuleset& ruleset,
                                           const CounterValues& counters) {
    std::vector<NftMessage> messages{table_message(table, ruleset.comment)};
    for (const auto& counter : ruleset.counters) {
        messages.push_back(counter_message(table, counter, counters));
    }
    for (const auto& set : ruleset.sets) {
        messages.push_back({dead_set_message(table, set.family),
                            fmt::format("set {}", dead_set_name(set.family))});
    }
    for (const auto& chain : ruleset.chains) {
        messages.push_back(chain_message(table, chain));
    }
    Writer writer(table, messages);
    for (const auto& chain : ruleset.chains) {
        for (const auto& rule : chain.rules) {
            writer.rule(chain, rule);
        }
    }
    return messages;
}

NftMessage nft_delete_table(const std::string& table) {
    const auto fill = [&](nlmsghdr* m) { mnl_attr_put_strz(m, NFTA_TABLE_NAME, table.c_str()); };
    return {make_message(NFNL_SUBSYS_NFTABLES, NFT_MSG_DELTABLE, NFPROTO_INET, 0, fill),
            "removal of the old table"};
}

std::vector<uint8_t> nft_trial_batch(std::vector<NftMessage> messages) {
    return begin_batch(messages, std::nullopt);
}

std::vector<uint8_t> nft_batch(std::vector<NftMessage> messages,
                               std::optional<uint32_t> generation) {
    std::vector<uint8_t> bytes = begin_batch(messages, generation);
    const NfnetlinkMessage end = frame(NFNL_MSG_BATCH_END, generation);
    bytes.insert(bytes.end(), end.begin(), end.end());
    return bytes;
}

} // namespace linkbal
