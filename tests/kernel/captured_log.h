// SPDX-License-Identifier: GPL-2.0-or-later
// What is logged while the object lives, as text.
#pragma once

#include <memory>
#include <sstream>
#include <string>

#include <spdlog/sinks/ostream_sink.h>
#include <spdlog/spdlog.h>

namespace linkbal::test {

class CapturedLog {
  public:
    CapturedLog() : former_(spdlog::default_logger()) {
        auto log = std::make_shared<spdlog::logger>(
            "test", std::make_shared<spdlog::sinks::ostream_sink_st>(text_));
        log->set_pattern("%l: %v");
        log->set_level(spdlog::level::info);
        spdlog::set_default_logger(std::move(log));
    }
    CapturedLog(const CapturedLog&) = delete;
    CapturedLog& operator=(const CapturedLog&) = delete;
    ~CapturedLog() { spdlog::set_default_logger(former_); }

    [[nodiscard]] std::string text() const { return text_.str(); }
    [[nodiscard]] bool has(const std::string& part) const {
        return text().find(part) != std::string::npos;
    }

  private:
    std::ostringstream text_;
    std::shared_ptr<spdlog::logger> former_;
};

} // namespace linkbal::test
