// SPDX-License-Identifier: GPL-2.0-or-later
#include "kernel/nft_describe.h"

#include <algorithm>
#include <array>
#include <memory>
#include <set>
#include <span>
#include <string_view>

#include <fmt/ranges.h>
#include <libnftnl/chain.h>
#include <libnftnl/expr.h>
#include <libnftnl/object.h>
#include <libnftnl/rule.h>
#include <libnftnl/set.h>
#include <libnftnl/table.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>

#include "core/netfilter_rules.h"
#include "kernel/nft_dump.h"

namespace linkbal {

namespace {

// Sorted by `order` alone, keeping what is equal in the order of arrival: rules of one chain.
struct Line {
    std::string order;
    std::string text;
};
using Lines = std::vector<Line>;

template <auto Alloc, auto Free>
auto allocate() {
    const auto release = [](auto* object) { Free(object); };
    return std::unique_ptr<std::remove_pointer_t<decltype(Alloc())>, decltype(release)>(Alloc(),
                                                                                        release);
}

std::string hex(const void* data, uint32_t size) {
    const std::span bytes(static_cast<const uint8_t*>(data), data == nullptr ? 0 : size);
    return fmt::format("{:02x}", fmt::join(bytes, ""));
}

std::string text(const char* string) { return string == nullptr ? "" : string; }

// libnftnl's getters differ in their first argument only.
template <auto Get, typename Object>
std::string data_of(Object* object, uint16_t attribute) {
    uint32_t size = 0;
    const void* data = Get(object, attribute, &size);
    return hex(data, size);
}

bool describe_table(const nlmsghdr* message, Lines& lines) {
    const auto table = allocate<nftnl_table_alloc, nftnl_table_free>();
    if (nftnl_table_nlmsg_parse(message, table.get()) < 0) {
        return false;
    }
    lines.push_back(
        {"0",
         fmt::format("table flags {} data {}", nftnl_table_get_u32(table.get(), NFTNL_TABLE_FLAGS),
                     data_of<nftnl_table_get_data>(table.get(), NFTNL_TABLE_USERDATA))});
    return true;
}

bool describe_chain(const nlmsghdr* message, Lines& lines) {
    const auto owner = allocate<nftnl_chain_alloc, nftnl_chain_free>();
    const nftnl_chain* chain = owner.get();
    if (nftnl_chain_nlmsg_parse(message, owner.get()) < 0) {
        return false;
    }
    const std::string name = text(nftnl_chain_get_str(chain, NFTNL_CHAIN_NAME));
    std::string line = fmt::format("chain {} data {}", name,
                                   data_of<nftnl_chain_get_data>(chain, NFTNL_CHAIN_USERDATA));
    if (nftnl_chain_is_set(chain, NFTNL_CHAIN_HOOKNUM)) {
        line += fmt::format(" type {} hook {} priority {} policy {} device {}",
                            text(nftnl_chain_get_str(chain, NFTNL_CHAIN_TYPE)),
                            nftnl_chain_get_u32(chain, NFTNL_CHAIN_HOOKNUM),
                            nftnl_chain_get_s32(chain, NFTNL_CHAIN_PRIO),
                            nftnl_chain_get_u32(chain, NFTNL_CHAIN_POLICY),
                            text(nftnl_chain_get_str(chain, NFTNL_CHAIN_DEV)));
    }
    lines.push_back({"1" + name, line});
    return true;
}

bool describe_object(const nlmsghdr* message, Lines& lines) {
    const auto object = allocate<nftnl_obj_alloc, nftnl_obj_free>();
    if (nftnl_obj_nlmsg_parse(message, object.get()) < 0) {
        return false;
    }
    const std::string name = text(nftnl_obj_get_str(object.get(), NFTNL_OBJ_NAME));
    std::string line = fmt::format("object {} type {} data {}", name,
                                   nftnl_obj_get_u32(object.get(), NFTNL_OBJ_TYPE),
                                   data_of<nftnl_obj_get_data>(object.get(), NFTNL_OBJ_USERDATA));
    // The family is not compared: the kernel says back those that the helper has.
    if (nftnl_obj_get_u32(object.get(), NFTNL_OBJ_TYPE) == NFT_OBJECT_CT_HELPER) {
        line += fmt::format(" helper {} protocol {}",
                            text(nftnl_obj_get_str(object.get(), NFTNL_OBJ_CT_HELPER_NAME)),
                            nftnl_obj_get_u8(object.get(), NFTNL_OBJ_CT_HELPER_L4PROTO));
    }
    lines.push_back({"2" + name, line});
    return true;
}

bool describe_set(const nlmsghdr* message, Lines& lines) {
    const auto owner = allocate<nftnl_set_alloc, nftnl_set_free>();
    const nftnl_set* set = owner.get();
    if (nftnl_set_nlmsg_parse(message, owner.get()) < 0) {
        return false;
    }
    const std::string name = text(nftnl_set_get_str(set, NFTNL_SET_NAME));
    std::string line = "set " + name;
    for (const uint16_t attribute :
         {NFTNL_SET_FLAGS, NFTNL_SET_KEY_TYPE, NFTNL_SET_KEY_LEN, NFTNL_SET_DATA_TYPE,
          NFTNL_SET_OBJ_TYPE, NFTNL_SET_DESC_SIZE}) {
        line += fmt::format(" {:#x}", nftnl_set_get_u32(set, attribute));
    }
    line += fmt::format(" timeout {} ms, garbage after {} ms data {}",
                        nftnl_set_get_u64(set, NFTNL_SET_TIMEOUT),
                        nftnl_set_get_u32(set, NFTNL_SET_GC_INTERVAL),
                        data_of<nftnl_set_get_data>(set, NFTNL_SET_USERDATA));
    lines.push_back({"3" + name, line});
    return true;
}

int describe_element(nftnl_set_elem* element, void* list) {
    const auto get = [&](uint16_t attribute) {
        uint32_t size = 0;
        const void* data = nftnl_set_elem_get(element, attribute, &size);
        return hex(data, size);
    };
    static_cast<std::vector<std::string>*>(list)->push_back(
        fmt::format("{} flags {} verdict {} chain {} data {} user data {}", get(NFTNL_SET_ELEM_KEY),
                    get(NFTNL_SET_ELEM_FLAGS), get(NFTNL_SET_ELEM_VERDICT),
                    text(nftnl_set_elem_get_str(element, NFTNL_SET_ELEM_CHAIN)),
                    get(NFTNL_SET_ELEM_DATA), get(NFTNL_SET_ELEM_USERDATA)));
    return 0;
}

// The kernel lists the elements of a hash in the order of its buckets.
bool describe_elements(const nlmsghdr* message, Lines& lines) {
    const auto set = allocate<nftnl_set_alloc, nftnl_set_free>();
    if (nftnl_set_elems_nlmsg_parse(message, set.get()) < 0) {
        return false;
    }
    const std::string name = text(nftnl_set_get_str(set.get(), NFTNL_SET_NAME));
    std::vector<std::string> elements;
    nftnl_set_elem_foreach(set.get(), describe_element, &elements);
    for (const auto& element : elements) {
        lines.push_back(
            {fmt::format("4{}{}", name, element), fmt::format("element of {}: {}", name, element)});
    }
    return true;
}

int describe_expression(nftnl_expr* expression, void* line) {
    // A verdict map of 255 uplinks is a name here, not its elements: no expression is long.
    std::array<char, 1024> words{};
    nftnl_expr_snprintf(words.data(), words.size(), expression, NFTNL_OUTPUT_DEFAULT, 0);
    *static_cast<std::string*>(line) += fmt::format(
        " [{} {}]", text(nftnl_expr_get_str(expression, NFTNL_EXPR_NAME)), words.data());
    return 0;
}

bool describe_rule(const nlmsghdr* message, Lines& lines) {
    const auto rule = allocate<nftnl_rule_alloc, nftnl_rule_free>();
    if (nftnl_rule_nlmsg_parse(message, rule.get()) < 0) {
        return false;
    }
    const std::string chain = text(nftnl_rule_get_str(rule.get(), NFTNL_RULE_CHAIN));
    std::string line = fmt::format("rule in {}:", chain);
    nftnl_expr_foreach(rule.get(), describe_expression, &line);
    line += " data " + data_of<nftnl_rule_get_data>(rule.get(), NFTNL_RULE_USERDATA);
    lines.push_back({"5" + chain, line});
    return true;
}

std::string name_in(const NfnetlinkMessage& message, uint16_t attribute) {
    const nlattr* name = find_attribute(*header(message), attribute);
    return name == nullptr ? "" : mnl_attr_get_str(name);
}

// What is in them comes and goes by itself.
std::set<std::string> sets_with_timeout(const std::vector<NfnetlinkMessage>& messages) {
    std::set<std::string> names;
    for (const auto& message : messages) {
        const bool is_set = nft_kind(message) == NFT_MSG_NEWSET;
        if (is_set && find_attribute(*header(message), NFTA_SET_TIMEOUT) != nullptr) {
            names.insert(name_in(message, NFTA_SET_NAME));
        }
    }
    return names;
}

bool describe(const NfnetlinkMessage& message, Lines& lines) {
    switch (nft_kind(message)) {
    case NFT_MSG_NEWTABLE:
        return describe_table(header(message), lines);
    case NFT_MSG_NEWCHAIN:
        return describe_chain(header(message), lines);
    case NFT_MSG_NEWOBJ:
        return describe_object(header(message), lines);
    case NFT_MSG_NEWSET:
        return describe_set(header(message), lines);
    case NFT_MSG_NEWSETELEM:
        return describe_elements(header(message), lines);
    case NFT_MSG_NEWRULE:
        return describe_rule(header(message), lines);
    default:
        return false;
    }
}

} // namespace

std::optional<std::vector<std::string>>
nft_describe(const std::vector<NfnetlinkMessage>& messages) {
    Lines lines;
    const auto dynamic = sets_with_timeout(messages);
    for (const auto& message : messages) {
        if (nft_kind(message) == NFT_MSG_NEWSETELEM &&
            dynamic.contains(name_in(message, NFTA_SET_ELEM_LIST_SET))) {
            continue;
        }
        if (!describe(message, lines)) {
            return std::nullopt;
        }
    }
    std::ranges::stable_sort(lines, {}, &Line::order);
    std::vector<std::string> texts;
    for (auto& line : lines) {
        texts.push_back(std::move(line.text));
    }
    return texts;
}

bool nft_is_ours(const NfnetlinkMessage& message) {
    const auto table = allocate<nftnl_table_alloc, nftnl_table_free>();
    if (nft_kind(message) != NFT_MSG_NEWTABLE ||
        nftnl_table_nlmsg_parse(header(message), table.get()) < 0) {
        return false;
    }
    uint32_t size = 0;
    const void* data = nftnl_table_get_data(table.get(), NFTNL_TABLE_USERDATA, &size);
    const std::string_view bytes(static_cast<const char*>(data), data == nullptr ? 0 : size);
    return bytes.find(table_signature) != std::string_view::npos;
}

} // namespace linkbal
