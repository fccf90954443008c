// SPDX-License-Identifier: GPL-2.0-or-later
// From the commands of a script to what they say. Commands that mean something by themselves are judged
// here: settings of the kernel, modules, messages.
#pragma once

#include <span>

#include "core/import/facts.h"
#include "core/import/ledger.h"
#include "core/shell/script.h"

namespace linkbal {

[[nodiscard]] ScriptFacts read_facts(std::span<const ShellCommand> commands, ImportLedger& ledger);

// The parts of it. `words` begin behind the program's name.
using CommandWordSpan = std::span<const std::string>;
void read_ip(CommandWordSpan words, size_t command, ScriptFacts& facts, ImportLedger& ledger);
void read_old_route(CommandWordSpan words, size_t command, ScriptFacts& facts,
                    ImportLedger& ledger);
void read_ifconfig(CommandWordSpan words, size_t command, ScriptFacts& facts, ImportLedger& ledger);
void read_packet_command(CommandWordSpan words, Family family, size_t command, ScriptFacts& facts,
                         ImportLedger& ledger);
void read_setting(std::string_view key, std::string_view value, size_t command,
                  ImportLedger& ledger);
void read_module(CommandWordSpan words, size_t command, ScriptFacts& facts, ImportLedger& ledger);

} // namespace linkbal
