// SPDX-License-Identifier: GPL-2.0-or-later
#include "util/result.h"

#include <system_error>

namespace linkbal {

tl::unexpected<Error> fail_errno(int code, std::string_view what) {
    return tl::unexpected(
        Error{fmt::format("{}: {}", what, std::generic_category().message(code)), code});
}

} // namespace linkbal
