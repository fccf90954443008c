// SPDX-License-Identifier: GPL-2.0-or-later
#include "core/import/ledger.h"

#include <algorithm>

namespace linkbal {

namespace {

constexpr size_t most_remarks = 3; // of the turns of a loop

} // namespace

size_t ImportLedger::open(uint32_t line, const std::string& text) {
    const auto [entry, fresh] = numbers_.try_emplace({line, text}, entries_.size());
    if (fresh) {
        entries_.push_back({{line, text, Fate::covered, {}}, false});
    }
    return entry->second;
}

void ImportLedger::judge(size_t command, Fate fate, std::string remark) {
    Entry& entry = entries_[command];
    auto& [line, text, known, remarks] = entry.command;
    if (entry.judged && fate < known) {
        return;
    }
    if (!entry.judged || fate > known) {
        remarks.clear();
    }
    entry.judged = true;
    known = fate;
    if (remarks.size() < most_remarks && std::ranges::find(remarks, remark) == remarks.end()) {
        remarks.push_back(std::move(remark));
    }
}

std::vector<ImportedCommand> ImportLedger::take() && {
    std::vector<ImportedCommand> commands;
    for (Entry& entry : entries_) {
        if (!entry.judged) {
            entry.command.fate = Fate::left;
            entry.command.remarks = {"this command is not understood"};
        }
        commands.push_back(std::move(entry.command));
    }
    return commands;
}

} // namespace linkbal
