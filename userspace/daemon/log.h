// SPDX-License-Identifier: GPL-2.0-or-later
// Events that programs read too. Everything else is logged with spdlog directly.
#pragma once

#include <initializer_list>
#include <string>
#include <string_view>
#include <utility>

#include <spdlog/common.h>

namespace linkbal {

// A name in lower case ("uplink") and a value.
using LogField = std::pair<std::string_view, std::string_view>;

// To the journal, where standard error is one (JOURNAL_STREAM, systemd.exec(5)), with each field as
// LINKBAL_NAME; else one line on standard error. The line, which is the journal's MESSAGE too, is
// `message uplink=velox1 state=down reason="no answer"`.
void log_event(spdlog::level::level_enum level, std::string_view message,
               std::initializer_list<LogField> fields);

// Makes spdlog's lines begin with their level: as `<4>`, which the journal takes for the priority
// (sd-daemon(3)), or else as a word. Replaces the default logger, whose threshold is kept.
void set_up_daemon_log();

bool logs_to_journal();

// The text after the message, each field with a blank in front; values are quoted where they need it.
std::string field_text(std::initializer_list<LogField> fields);

} // namespace linkbal
