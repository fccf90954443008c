// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include <string>
#include <string_view>

#include "util/result.h"

namespace linkbal {

// Collects what libbpf says while it lives (the verifier's log included); nothing goes to stderr.
// One at a time in a process: libbpf has one print function.
class LibbpfLog {
  public:
    LibbpfLog();
    ~LibbpfLog();
    LibbpfLog(const LibbpfLog&) = delete;
    LibbpfLog& operator=(const LibbpfLog&) = delete;

    [[nodiscard]] const std::string& text() const;
};

// The lines of the verifier's log that tell the reason, or libbpf's last line where there is none.
std::string log_reason(std::string_view log);

// The whole log of the last load that failed in this process; empty if none did.
const std::string& failed_load_log();
void keep_failed_load_log(const std::string& log);

// The error of a load that has failed with the errno `code`, whose log is kept.
tl::unexpected<Error> load_failure(int code, const LibbpfLog& log);

} // namespace linkbal
