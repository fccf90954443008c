// SPDX-License-Identifier: GPL-2.0-or-later
#include "kernel/libbpf_log.h"

#include <cstdarg>
#include <cstdio>
#include <vector>

#include <bpf/libbpf.h>

namespace linkbal {

namespace {

constexpr size_t reason_lines = 3;

std::string& collected() {
    static std::string text;
    return text;
}

std::string& failed() {
    static std::string text;
    return text;
}

int collect(enum libbpf_print_level level, const char* format, va_list arguments) {
    if (level == LIBBPF_DEBUG) {
        return 0;
    }
    va_list again;
    va_copy(again, arguments);
    const int size = vsnprintf(nullptr, 0, format, again);
    va_end(again);
    if (size > 0) {
        std::vector<char> line(static_cast<size_t>(size) + 1);
        vsnprintf(line.data(), line.size(), format, arguments);
        collected().append(line.data(), static_cast<size_t>(size));
    }
    return 0;
}

std::vector<std::string_view> lines_of(std::string_view text) {
    std::vector<std::string_view> lines;
    while (!text.empty()) {
        const auto line = text.substr(0, text.find('\n'));
        text.remove_prefix(std::min(line.size() + 1, text.size()));
        if (line.find_first_not_of("; ") != std::string_view::npos) { // ";": a line without source
            lines.push_back(line);
        }
    }
    return lines;
}

} // namespace

LibbpfLog::LibbpfLog() {
    collected().clear();
    libbpf_set_print(collect);
}

LibbpfLog::~LibbpfLog() { libbpf_set_print(nullptr); }

// libbpf's callback takes no context, so the text is not a member; it is the object's all the same.
// NOLINTNEXTLINE(readability-convert-member-functions-to-static)
const std::string& LibbpfLog::text() const { return collected(); }

std::string log_reason(std::string_view log) {
    const auto end = log.find("-- END PROG LOAD LOG --");
    auto lines = lines_of(log.substr(0, end));
    // The verifier closes with its statistics.
    while (!lines.empty() && (lines.back().starts_with("processed ") ||
                              lines.back().starts_with("verification time ") ||
                              lines.back().starts_with("stack depth "))) {
        lines.pop_back();
    }
    const bool verifier = end != std::string_view::npos;
    const size_t wanted = std::min(verifier ? reason_lines : 1, lines.size());
    std::string reason;
    for (size_t i = lines.size() - wanted; i < lines.size(); ++i) {
        reason += reason.empty() ? "" : " | ";
        reason += lines[i];
    }
    return reason;
}

const std::string& failed_load_log() { return failed(); }
void keep_failed_load_log(const std::string& log) { failed() = log; }

tl::unexpected<Error> load_failure(int code, const LibbpfLog& log) {
    keep_failed_load_log(log.text());
    auto error = fail_errno(code, "loading the BPF programs");
    error.value().message += ": " + log_reason(log.text());
    return error;
}

} // namespace linkbal
