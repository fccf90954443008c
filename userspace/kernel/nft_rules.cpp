// SPDX-License-Identifier: GPL-2.0-or-later
#include "kernel/nft_rules.h"

#include <map>

#include <libmnl/libmnl.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>

#include "kernel/dead_set.h"
#include "kernel/nft_expression.h"
#include "kernel/nft_sets.h"
#include "kernel/nft_statement.h"

namespace linkbal {

namespace {

uint64_t seconds_of(ConnectionRate::Unit unit) {
    switch (unit) {
    case ConnectionRate::Unit::second:
        return 1;
    case ConnectionRate::Unit::minute:
        return 60;
    case ConnectionRate::Unit::hour:
        return 3600;
    }
    return 1;
}

// Writes the rules of a table one after the other.
class RuleWriter {
  public:
    RuleWriter(std::vector<NftMessage>& messages, const std::string& table,
               const NftRuleset& ruleset)
        : messages_(messages), table_(table) {
        for (size_t i = 0; i < ruleset.sets.size(); ++i) {
            set_ids_[nft_set_name(ruleset.sets[i])] = named_set_id(i);
        }
    }

    void write(const NftChain& chain, const NftRule& wanted);

    void operator()(const DispatchByMark& part) {
        NftElements elements;
        for (const auto& target : part.targets) {
            elements.push_back(mark_element(target.mark, target.chain));
        }
        load_ct(rule_, NFT_CT_MARK);
        and_xor(rule_, part.mask, 0);
        look_up_verdict(rule_, anonymous(AnonymousSet::marks_to_chains, elements), sets_);
    }
    void operator()(const DispatchByDevice& part) {
        NftElements elements;
        for (const auto& target : part.targets) {
            elements.push_back(device_element(target.device, target.chain));
        }
        load_device(part.direction);
        look_up_verdict(rule_, anonymous(AnonymousSet::devices_to_chains, elements), sets_);
    }
    void operator()(const OnDevices& part) {
        NftElements elements;
        for (const auto& device : part.devices) {
            elements.push_back(device_element(device));
        }
        load_device(part.direction);
        match_any_of(AnonymousSet::devices, elements);
    }
    void operator()(const OfFamily& part) { match_family(rule_, part.family); }
    void operator()(const OfProtocol& part) { match_protocol(rule_, part.number); }
    void operator()(const OfState& part) { match_ct_bits(rule_, NFT_CT_STATE, part.states); }
    void operator()(const WithDestinationMapped&) {
        constexpr uint32_t destination_mapped = 1U << 5U; // IPS_DST_NAT
        match_ct_bits(rule_, NFT_CT_STATUS, destination_mapped);
    }
    void operator()(const WithMark& part) { match_mark(rule_, part.mask, part.mark); }
    void operator()(const IsFragment& part) { match_fragment(rule_, part.family); }
    void operator()(const FromNetwork& part) {
        match_network(rule_, AddressField::source, part.network);
    }
    void operator()(const ToNetwork& part) {
        match_network(rule_, AddressField::destination, part.network);
    }
    void operator()(const InSet& part) {
        load_address(rule_, part.family, part.field);
        look_up(rule_, part.set, set_ids_.at(part.set), part.inverted);
    }
    void operator()(const IsLocal& part) { match_local(rule_, part.field); }
    void operator()(const ToPorts& part) {
        load_destination_port(rule_, part.transport);
        if (part.ports.size() == 1) {
            match_16_bits(rule_, part.ports[0].first, part.ports[0].last);
        } else {
            look_up(rule_, anonymous(AnonymousSet::ports, port_elements(part.ports)), sets_);
        }
    }
    void operator()(const BetweenPorts& part) {
        match_ports(rule_, part.transport, part.source, part.destination);
    }
    void operator()(const OfIcmpTypes& part) {
        NftElements elements;
        for (const uint8_t type : part.types) {
            elements.push_back(byte_element(type));
        }
        load_icmp_type(rule_, part.family);
        match_any_of(part.family == Family::ipv4 ? AnonymousSet::icmp_types
                                                 : AnonymousSet::icmpv6_types,
                     elements);
    }
    void operator()(const WithTcpFlags& part) { match_tcp_flags(rule_, part.mask, part.value); }
    void operator()(const OfDeadConnection& part) {
        load_tcp_tuple(rule_, part.family);
        look_up(rule_, std::string(dead_set_name(part.family)), dead_set_id(part.family));
    }
    void operator()(const WithinSourceLimit& part) {
        load_limited_source(rule_, part.family);
        update_limit(rule_, part.set, set_ids_.at(part.set),
                     {.rate = part.rate.connections,
                      .seconds = seconds_of(part.rate.unit),
                      .burst = limit_burst});
    }
    void operator()(const SetMark& part) {
        load_meta(rule_, NFT_META_MARK);
        and_xor(rule_, ~part.mask, part.mark);
        store_meta_mark(rule_);
    }
    void operator()(const SaveMark& part) {
        load_ct(rule_, NFT_CT_MARK);
        and_xor(rule_, ~part.mask, part.mark);
        store_ct_mark(rule_);
    }
    void operator()(const Count& part) { refer_to(rule_, NFT_OBJECT_COUNTER, part.counter); }
    void operator()(const Log& part) {
        limit(rule_, {.rate = logged_per_second, .seconds = 1, .burst = limit_burst});
        log(rule_, part.prefix);
    }
    void operator()(const ClampMss& part) { clamp_mss(rule_, part.size); }
    void operator()(const AssignHelper& part) {
        refer_to(rule_, NFT_OBJECT_CT_HELPER, part.object);
    }
    void operator()(const Accept&) { verdict(rule_, NF_ACCEPT); }
    void operator()(const Drop&) { verdict(rule_, NF_DROP); }
    void operator()(const GoTo& part) { verdict(rule_, NFT_GOTO, part.chain); }
    void operator()(const Masquerade&) { masquerade(rule_); }
    void operator()(const MapDestination& part) { map_destination(rule_, part.address, part.port); }
    void operator()(const ResetTcp&) { reject(rule_, NFT_REJECT_TCP_RST, 0); }
    void operator()(const RejectNet&) {
        reject(rule_, NFT_REJECT_ICMPX_UNREACH, NFT_REJECT_ICMPX_ADMIN_PROHIBITED);
    }

  private:
    void load_device(Direction direction) {
        load_meta(rule_, direction == Direction::in ? NFT_META_IIFNAME : NFT_META_OIFNAME);
    }
    // One value is compared, as nft does it: a set is for several.
    void match_any_of(AnonymousSet kind, const NftElements& elements) {
        if (elements.size() == 1) {
            match_bytes(rule_, elements[0].key);
        } else {
            look_up(rule_, anonymous(kind, elements), sets_);
        }
    }
    // Its id is `sets_` afterwards.
    std::string anonymous(AnonymousSet kind, const NftElements& elements) {
        return append_anonymous_set(messages_, table_, kind, sets_++, elements);
    }

    std::vector<NftMessage>& messages_;
    const std::string& table_;
    std::map<std::string, uint32_t> set_ids_;
    uint32_t sets_ = 0; // anonymous ones so far
    nlmsghdr* rule_ = nullptr;
};

void RuleWriter::write(const NftChain& chain, const NftRule& wanted) {
    const auto fill = [&](nlmsghdr* m) {
        mnl_attr_put_strz(m, NFTA_RULE_TABLE, table_.c_str());
        mnl_attr_put_strz(m, NFTA_RULE_CHAIN, chain.name.c_str());
        nlattr* expressions = mnl_attr_nest_start(m, NFTA_RULE_EXPRESSIONS);
        rule_ = m;
        for (const auto& part : wanted.parts) {
            std::visit(*this, part);
        }
        mnl_attr_nest_end(m, expressions);
        if (const auto data = nft_comment(wanted.comment); !data.empty()) {
            mnl_attr_put(m, NFTA_RULE_USERDATA, data.size(), data.data());
        }
    };
    // Writing it sends its sets ahead.
    auto message = make_message(NFNL_SUBSYS_NFTABLES, NFT_MSG_NEWRULE, NFPROTO_INET,
                                NLM_F_CREATE | NLM_F_APPEND, fill);
    messages_.push_back({std::move(message), "rule in chain " + chain.name});
}

} // namespace

uint32_t named_set_id(size_t index) { return 0x20000U + static_cast<uint32_t>(index); }

void append_rules(std::vector<NftMessage>& messages, const std::string& table,
                  const NftRuleset& ruleset) {
    RuleWriter writer(messages, table, ruleset);
    for (const auto& chain : ruleset.chains) {
        for (const auto& rule : chain.rules) {
            writer.write(chain, rule);
        }
    }
}

} // namespace linkbal
