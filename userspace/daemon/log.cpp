// SPDX-License-Identifier: GPL-2.0-or-later
#include "daemon/log.h"

#include <algorithm>
#include <cctype>
#include <cstdlib>
#include <memory>
#include <vector>

#include <fmt/format.h>
#include <spdlog/pattern_formatter.h>
#include <spdlog/sinks/stdout_sinks.h>
#include <spdlog/spdlog.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <syslog.h>
#include <unistd.h>

// Where in the source a message was made is of no use to those who read the journal.
#define SD_JOURNAL_SUPPRESS_LOCATION
#include <systemd/sd-journal.h>

namespace linkbal {

namespace {

int priority(spdlog::level::level_enum level) {
    switch (level) {
    case spdlog::level::critical:
        return LOG_CRIT;
    case spdlog::level::err:
        return LOG_ERR;
    case spdlog::level::warn:
        return LOG_WARNING;
    case spdlog::level::info:
        return LOG_INFO;
    default:
        return LOG_DEBUG;
    }
}

class PriorityFlag : public spdlog::custom_flag_formatter {
  public:
    void format(const spdlog::details::log_msg& message, const std::tm& /*time*/,
                spdlog::memory_buf_t& to) override {
        const std::string text = fmt::format("<{}>", priority(message.level));
        to.append(text.data(), text.data() + text.size());
    }
    [[nodiscard]] std::unique_ptr<custom_flag_formatter> clone() const override {
        return std::make_unique<PriorityFlag>();
    }
};

bool is_plain(std::string_view value) {
    return !value.empty() && std::ranges::all_of(value, [](unsigned char c) {
        return std::isgraph(c) != 0 && c != '"' && c != '=' && c != '\\';
    });
}

std::string quoted(std::string_view value) {
    std::string text = "\"";
    for (const char c : value) {
        const bool control = std::iscntrl(static_cast<unsigned char>(c)) != 0;
        if (c == '"' || c == '\\') {
            text += '\\';
        }
        text += control ? ' ' : c;
    }
    return text + '"';
}

// The journal takes capital letters, digits and underscores for a name.
std::string journal_entry(const LogField& field) {
    std::string entry = "LINKBAL_";
    for (const char c : field.first) {
        const auto value = static_cast<unsigned char>(c);
        entry += std::isalnum(value) != 0 ? static_cast<char>(std::toupper(value)) : '_';
    }
    entry += '=';
    return entry.append(field.second);
}

bool send_to_journal(std::vector<std::string> entries) {
    std::vector<iovec> vectors;
    for (auto& entry : entries) {
        vectors.push_back({entry.data(), entry.size()});
    }
    return sd_journal_sendv(vectors.data(), static_cast<int>(vectors.size())) == 0;
}

} // namespace

bool logs_to_journal() {
    const char* stream = std::getenv("JOURNAL_STREAM"); // NOLINT(concurrency-mt-unsafe): one thread
    struct stat info{};
    return stream != nullptr && ::fstat(STDERR_FILENO, &info) == 0 &&
           fmt::format("{}:{}", info.st_dev, info.st_ino) == stream;
}

std::string field_text(std::initializer_list<LogField> fields) {
    std::string text;
    for (const auto& [name, value] : fields) {
        text += fmt::format(" {}={}", name, is_plain(value) ? std::string(value) : quoted(value));
    }
    return text;
}

void log_event(spdlog::level::level_enum level, std::string_view message,
               std::initializer_list<LogField> fields) {
    if (!spdlog::should_log(level)) {
        return;
    }
    const std::string line = std::string(message) + field_text(fields);
    if (logs_to_journal()) {
        std::vector<std::string> entries{"MESSAGE=" + line,
                                         fmt::format("PRIORITY={}", priority(level))};
        for (const auto& field : fields) {
            entries.push_back(journal_entry(field));
        }
        if (send_to_journal(std::move(entries))) {
            return;
        }
    }
    spdlog::log(level, line);
}

void set_up_daemon_log() {
    auto log = std::make_shared<spdlog::logger>("linkbal",
                                                std::make_shared<spdlog::sinks::stderr_sink_st>());
    auto formatter = std::make_unique<spdlog::pattern_formatter>();
    formatter->add_flag<PriorityFlag>('*').set_pattern(logs_to_journal() ? "%*%v" : "%l: %v");
    log->set_formatter(std::move(formatter));
    log->set_level(spdlog::get_level());
    spdlog::set_default_logger(std::move(log));
}

} // namespace linkbal
