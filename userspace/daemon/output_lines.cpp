// SPDX-License-Identifier: GPL-2.0-or-later
#include "daemon/output_lines.h"

#include <algorithm>
#include <utility>

namespace linkbal {

void OutputLines::take(std::string_view bytes) {
    while (!bytes.empty()) {
        const size_t newline = bytes.find('\n');
        const auto part = bytes.substr(0, std::min(newline, bytes.size()));
        // Only what still fits is looked at: ten megabytes without a newline cost a search for it.
        for (const char byte : part.substr(0, line_limit - line_.size())) {
            add(byte);
        }
        if (newline == std::string_view::npos) {
            return;
        }
        end_line();
        bytes.remove_prefix(newline + 1);
    }
}

void OutputLines::end() { end_line(); }

// A terminal that shows the log must not obey a command's output.
void OutputLines::add(char byte) {
    const auto value = static_cast<unsigned char>(byte);
    line_ += value < 0x20 || value == 0x7f ? ' ' : byte;
}

void OutputLines::end_line() {
    while (line_.ends_with(' ')) {
        line_.pop_back();
    }
    if (line_.empty()) {
        return;
    }
    ++count_;
    if (count_ <= count_limit) {
        sink_(line_);
    } else if (count_ == count_limit + 1) {
        sink_("(what it prints from here on is not logged)");
    }
    last_ = std::exchange(line_, {});
}

} // namespace linkbal
