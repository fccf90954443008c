// SPDX-License-Identifier: GPL-2.0-or-later
// What a command prints, made into lines for the log. Pure.
#pragma once

#include <cstddef>
#include <functional>
#include <string>
#include <string_view>

namespace linkbal {

// However much comes and whatever it is: lines of at most line_limit bytes without control
// characters, at most count_limit of them, and one that says that there was more.
class OutputLines {
  public:
    static constexpr size_t line_limit = 500; // bytes; what a line has beyond is left out
    static constexpr size_t count_limit = 200;

    using Sink = std::function<void(std::string_view)>;
    explicit OutputLines(Sink sink) : sink_(std::move(sink)) {}

    void take(std::string_view bytes);
    void end(); // a last line may lack its newline

    // The last line that is not empty, whether it went to the sink or not.
    [[nodiscard]] const std::string& last() const { return last_; }

  private:
    void add(char byte);
    void end_line();

    Sink sink_;
    std::string line_, last_;
    size_t count_ = 0;
};

} // namespace linkbal
