// SPDX-License-Identifier: GPL-2.0-or-later
#include "core/import/import.h"

#include <algorithm>

#include "core/import/read.h"

namespace linkbal {

size_t ImportResult::count(Fate fate) const {
    return static_cast<size_t>(std::ranges::count(commands, fate, &ImportedCommand::fate));
}

ImportResult import_script(std::string_view script) {
    ImportLedger ledger;
    ImportResult result;
    const ScriptFacts facts = read_facts(read_shell_script(script), ledger);
    find_links(facts, result.model, ledger);
    find_firewall(facts, result.model, ledger);
    result.commands = std::move(ledger).take();
    return result;
}

} // namespace linkbal
