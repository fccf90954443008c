// SPDX-License-Identifier: GPL-2.0-or-later
// What an imported script comes to.
#pragma once

#include <map>
#include <span>
#include <string>
#include <vector>

#include "core/config.h"
#include "core/import/facts.h"
#include "core/import/ledger.h"

namespace linkbal {

struct ImportModel {
    Config config; // of [lan], uplinks, [balance], [firewall] and forwards what the script says
    std::map<std::string, std::vector<uint16_t>> helpers; // ports; none: the usual one
    std::vector<std::string> balance_notes;  // what the reader of these sections should know
    std::vector<std::string> firewall_notes; // how [firewall] is not like the script

    [[nodiscard]] const UplinkConfig* uplink_by(const std::string& device) const;
    [[nodiscard]] bool is_lan(const std::string& device) const;
    [[nodiscard]] bool is_lan(const Prefix& network) const; // one of its networks or all of them
};

// The links, their weights and tables, and the LAN; judges routes, rules, marks and masquerading.
void find_links(const ScriptFacts& facts, ImportModel& model, ImportLedger& ledger);
void find_lan(const ScriptFacts& facts, ImportModel& model);
void judge_marks(const ScriptFacts& facts, const std::map<std::string, size_t>& uplink_of_table,
                 const std::string& balance_table, ImportModel& model, ImportLedger& ledger);

// [firewall], the forwards, [helpers] and mss; judges everything else about packets.
void find_firewall(const ScriptFacts& all, ImportModel& model, ImportLedger& ledger);
// `closed`: the families whose INPUT the script closes.
void judge_input(const ScriptFacts& facts, std::span<const Family> closed, ImportModel& model,
                 ImportLedger& ledger);
void judge_forward_chain(const ScriptFacts& facts, ImportModel& model, ImportLedger& ledger);
void judge_nat(const ScriptFacts& facts, bool closed, ImportModel& model, ImportLedger& ledger);

} // namespace linkbal
